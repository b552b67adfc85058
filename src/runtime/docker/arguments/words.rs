//! Words of a command line, and how a field is refused.

use std::fmt::Display;
use std::path::Path;

use crate::error::{Fault, Kind};

/// Options so far.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<String>);

impl Words {
    /// One that takes nothing.
    pub(super) fn switch(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// One with its value.
    pub(super) fn option(&mut self, name: &str, value: impl Display) {
        self.0.push(format!("{name}={value}"));
    }

    /// One with its value, if there is one.
    pub(super) fn perhaps(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.option(name, value);
        }
    }

    /// One for each value.
    pub(super) fn each<T: Display>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.option(name, value);
        }
    }

    /// All of them, what they are for, and what that is told.
    pub(super) fn finish(
        mut self,
        image: &str,
        arguments: impl Iterator<Item = String>,
    ) -> Result<Vec<String>, Fault> {
        self.0.push(image.to_owned());
        self.0.extend(arguments);
        self.into_options()
    }

    /// All of them.
    pub(super) fn into_options(self) -> Result<Vec<String>, Fault> {
        match self.0.iter().find(|word| word.contains('\0')) {
            None => Ok(self.0),
            Some(word) => {
                let name = word.split(['=', '\0']).next().unwrap_or_default();
                let message = format!("'{name}': no argument of a program can have a NUL in it");
                Err(Fault::new(Kind::Spec, message))
            }
        }
    }
}

/// Docker Engine cannot do it. An `option` is what people say for it, if that is not the field.
pub(super) fn refuse(field: &str, option: &str, why: &str, instead: &str) -> Fault {
    let message = match option {
        "" => format!("{field}: {why}"),
        option => format!("{field} ({option}): {why}"),
    };
    Fault::new(Kind::Unsupported, message).hint(format!("say --runtime native, or {instead}"))
}

/// A path as a word.
pub(super) fn text<'a>(path: &'a Path, field: &str, option: &str) -> Result<&'a str, Fault> {
    path.to_str().ok_or_else(|| {
        let why = format!("Docker Engine takes only UTF-8, not {}", path.display());
        refuse(field, option, &why, "rename it")
    })
}

/// A path in an option that separates by colons.
pub(super) fn part<'a>(path: &'a Path, field: &str, option: &str) -> Result<&'a str, Fault> {
    let text = text(path, field, option)?;
    if !text.contains(':') {
        return Ok(text);
    }
    let why = format!("docker takes no ':' in a path here, as in {text}");
    Err(refuse(field, option, &why, "rename it"))
}
