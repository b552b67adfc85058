//! `--app-secret NAME_OR_SOURCE=…`: where one secret is.

use std::path::PathBuf;
use std::str::FromStr;

use super::source::normalise;
use crate::error::{Fault, Kind};

/// Where one secret is, as somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explicit {
    /// The name that the description has for it, or its source.
    pub secret: String,
    /// Its place.
    pub origin: Origin,
}

/// A place that holds one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file; absolute.
    File(PathBuf),
    /// A variable of our environment.
    Environment(String),
    /// A descriptor that we were started with, read to its end once.
    Descriptor(u32),
}

impl Explicit {
    /// Whether it is about a secret; `source` is normalised.
    pub(super) fn is_for(&self, name: &str, source: &str) -> bool {
        self.secret == name || normalise(&self.secret).is_ok_and(|own| own == source)
    }
}

impl FromStr for Explicit {
    type Err = Fault;

    /// `NAME_OR_SOURCE=file:/PATH`, `=env:VARIABLE` or `=fd:NUMBER`.
    fn from_str(text: &str) -> Result<Self, Fault> {
        // What follows '=' may be a value that was put there by mistake: it is not repeated.
        let name = text.split('=').next().unwrap_or_default();
        let bad = |why: &str| {
            Fault::new(Kind::Usage, format!("--app-secret {name}=…: {why}"))
                .hint("say NAME=file:/PATH, NAME=env:VARIABLE or NAME=fd:NUMBER")
        };
        let (secret, origin) = text.split_once('=').ok_or_else(|| {
            Fault::new(Kind::Usage, "--app-secret: it is not NAME=PLACE")
                .hint("say NAME=file:/PATH, NAME=env:VARIABLE or NAME=fd:NUMBER")
        })?;
        if secret.is_empty() {
            return Err(bad("it does not say which secret"));
        }
        let origin = match origin.split_once(':') {
            Some(("file", path)) if path.starts_with('/') => Origin::File(path.into()),
            Some(("file", _)) => return Err(bad("the path of the file is not absolute")),
            Some(("env", name)) if is_variable(name) => Origin::Environment(name.to_owned()),
            Some(("env", _)) => return Err(bad("this is no name of a variable")),
            Some(("fd", number)) => match number.parse() {
                Ok(number) => Origin::Descriptor(number),
                Err(_) => return Err(bad("this is no number of a descriptor")),
            },
            _ => return Err(bad("a value is not given here, only its place")),
        };
        Ok(Self {
            secret: secret.to_owned(),
            origin,
        })
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, secret, origin) in [
            ("a=file:/x=y:z", "a", Origin::File("/x=y:z".into())),
            ("/a/b=env:V", "/a/b", Origin::Environment("V".into())),
            ("a=fd:3", "a", Origin::Descriptor(3)),
        ] {
            let secret = secret.to_owned();
            assert_eq!(text.parse(), Ok(Explicit { secret, origin }), "{text}");
        }
        for text in [
            "",
            "a",
            "=file:/x",
            "a=file:x",
            "a=env:",
            "a=env:b=c",
            "a=fd:-1",
            "a=fd:",
            "a=hunter2",
        ] {
            let fault = text.parse::<Explicit>().unwrap_err();
            assert_eq!(fault.kind(), Kind::Usage, "{text}");
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn by_name_or_by_source() {
        let named: Explicit = "n=env:V".parse().unwrap();
        assert!(named.is_for("n", "a/b") && !named.is_for("m", "a/b"));
        let sourced: Explicit = "/a//b=env:V".parse().unwrap();
        assert!(sourced.is_for("n", "a/b") && !sourced.is_for("n", "a"));
    }
}
