//! The values of secrets that a description names, by the places an operator gave: so that neither
//! the description nor the command line ever holds one.
//!
//! ```text
//! explicit (NAME=file:/p, env:V, fd:N) ─► directories ─► environment prefixes ─► commands
//! ```
//!
//! The first place that has the value ends the search. A place that *has no* value is passed over;
//! one that cannot be asked, or whose value is not usable, ends the search with a fault: falling
//! through to another place would hide a mistake. Values are the exact bytes, at most 1 MiB, wiped
//! from memory when dropped, and in no message, not even with `{:?}`.
//!
//! Does not know what a secret is for: a variable, a file or a registry's credential.

mod command;
mod explicit;
mod read;
mod source;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

pub use command::SecretCommand;
pub use explicit::{Explicit, Origin};
pub use source::may_use;

use crate::error::{Fault, Kind};
use crate::sys::root::Root;

/// Largest value, in bytes: as much as the secret store of DC/OS takes.
pub const MAX_VALUE: u64 = 1 << 20;

/// Where values are looked for when nobody says where, if it is there.
pub const DEFAULT_DIRECTORY: &str = "/etc/ucr/secrets";

/// The bytes of a secret.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as what can be in an environment variable; `name` is the secret's, for the
    /// message. Fails with [`Kind::Spec`].
    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        let text = std::str::from_utf8(&self.0).ok();
        text.filter(|text| !text.contains('\0')).ok_or_else(|| {
            let message = format!(
                "secret '{name}': its value is not UTF-8 text without NUL, \
                 as a variable must be [E:secret-not-text]"
            );
            Fault::new(Kind::Spec, message).hint("let the container have it as a file")
        })
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// A value that was found.
#[derive(Debug)]
pub struct Found {
    /// It.
    pub value: SecretValue,
    /// What its owner should know, without the value: for the caller to print.
    pub warnings: Vec<String>,
}

/// The places to look in, in the order of the fields.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// `--app-secret NAME_OR_SOURCE=…`.
    pub explicit: Vec<Explicit>,
    /// `--secrets-dir`: the source is a path below.
    pub directories: Vec<PathBuf>,
    /// `--secret-env-prefix`: the source in capitals, with `_` for what is no letter or digit.
    pub env_prefixes: Vec<String>,
    /// `--secret-command`.
    pub commands: Vec<SecretCommand>,
    /// The environment, which tests replace.
    pub environment: fn(&str) -> Option<OsString>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            explicit: Vec::new(),
            directories: Vec::new(),
            env_prefixes: Vec::new(),
            commands: Vec::new(),
            environment: |name| std::env::var_os(name),
        }
    }
}

impl Resolver {
    /// The value of the secret that a description calls `name` and that is to be had as `source`.
    ///
    /// Fails with [`Kind::NotFound`] if no place has it, and with [`Kind::Spec`] if `source` cannot
    /// be looked for; both faults name secret, source and places.
    pub fn resolve(&self, name: &str, source: &str) -> Result<Found, Fault> {
        let clean = source::normalise(source).map_err(|why| {
            let message = format!("secret '{name}': source '{source}': {why} [E:secret-source]");
            Fault::new(Kind::Spec, message)
        })?;
        let mut search = Search::default();
        match self.look(name, &clean, &mut search) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(search.unresolved(name, source, None)),
            Err(why) => Err(search.unresolved(name, source, Some(why))),
        }
    }

    fn look(&self, name: &str, source: &str, search: &mut Search) -> Result<Option<Found>, String> {
        let mut told = self.explicit.iter();
        if let Some(explicit) = told.find(|explicit| explicit.is_for(name, source)) {
            return self.explicit(&explicit.origin).map(Some);
        }
        for directory in &self.directories {
            if let Some(found) = in_directory(directory, source)? {
                return Ok(Some(found));
            }
            search.tried(format!("{}/{source}", directory.display()));
        }
        for prefix in &self.env_prefixes {
            let variable = source::variable(prefix, source);
            if let Some(value) = (self.environment)(&variable) {
                return found(value.into_vec().into(), &variable).map(Some);
            }
            search.tried(format!("variable {variable}"));
        }
        for command in &self.commands {
            match command.ask(source, &|variable| self.holds_values(variable)) {
                Ok(value) => return found(value, command.program()).map(Some),
                Err(why) => search.tried(format!("command {}: {why}", command.program())),
            }
        }
        Ok(None)
    }

    /// Whether a variable is one of those that values are taken from: nobody else gets it.
    pub fn holds_values(&self, variable: &str) -> bool {
        let named = |explicit: &Explicit| matches!(&explicit.origin, Origin::Environment(own) if own == variable);
        let prefixed =
            |prefix: &String| !prefix.is_empty() && variable.starts_with(prefix.as_str());
        self.explicit.iter().any(named) || self.env_prefixes.iter().any(prefixed)
    }

    /// What somebody said where it is must be there.
    fn explicit(&self, origin: &Origin) -> Result<Found, String> {
        match origin {
            Origin::File(path) => {
                let shown = path.display();
                let file = read::open(path).map_err(|error| format!("{shown}: {error}"))?;
                in_file(file, &shown.to_string(), true)
            }
            Origin::Environment(variable) => match (self.environment)(variable) {
                Some(value) => found(value.into_vec().into(), variable),
                None => Err(format!("there is no variable {variable}")),
            },
            Origin::Descriptor(number) => {
                let shown = format!("descriptor {number}");
                let value =
                    read::descriptor(*number).map_err(|error| format!("{shown}: {error}"))?;
                found(value, &shown)
            }
        }
    }
}

/// What was done to find one.
#[derive(Default)]
struct Search {
    tried: Vec<String>,
}

impl Search {
    fn tried(&mut self, place: String) {
        self.tried.push(place);
    }

    fn unresolved(self, name: &str, source: &str, why: Option<String>) -> Fault {
        let reason = match (why, self.tried.is_empty()) {
            (Some(why), _) => why,
            (None, true) => "no place to look in was given".to_owned(),
            (None, false) => format!("it is not in {}", self.tried.join(", nor in ")),
        };
        let message =
            format!("secret '{name}' with source '{source}': {reason} [E:secret-unresolved]");
        Fault::new(Kind::NotFound, message).hint(format!(
            "say where it is with --app-secret '{name}=file:/PATH', or name a place with --secrets-dir, \
             --secret-env-prefix or --secret-command"
        ))
    }
}

fn found(value: Zeroizing<Vec<u8>>, place: &str) -> Result<Found, String> {
    if value.len() as u64 > MAX_VALUE {
        return Err(format!("{place}: {}", read::too_large()));
    }
    Ok(Found {
        value: SecretValue(value),
        warnings: Vec::new(),
    })
}

/// Reads a file below a directory that no link leads out of; `None` if there is none.
fn in_directory(directory: &Path, source: &str) -> Result<Option<Found>, String> {
    let said = |error: std::io::Error| format!("{}/{source}: {error}", directory.display());
    // The directory itself may be a link: whoever named it chose it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle: OwnedFd = rustix::fs::open(directory, flags, Mode::empty())
        .map_err(|errno| format!("{}: {}", directory.display(), std::io::Error::from(errno)))?;
    let is_open = read::is_for_others(&handle, Mode::XOTH).map_err(said)?;
    match read::open_below(&Root::from_fd(handle), Path::new(source)) {
        Ok(Some(file)) => {
            let place = directory.join(source);
            in_file(file, &place.display().to_string(), is_open).map(Some)
        }
        Ok(None) => Ok(None),
        Err(error) => Err(said(error)),
    }
}

/// The value in an open file; `is_open` if others get as far as to the file.
fn in_file(file: File, place: &str, is_open: bool) -> Result<Found, String> {
    let said = |error: std::io::Error| format!("{place}: {error}");
    let others_read = is_open && read::is_for_others(&file, Mode::ROTH).map_err(said)?;
    let mut found = found(read::whole(file).map_err(said)?, place)?;
    if others_read {
        let warning = format!("secret file {place} can be read by every user of this machine");
        found.warnings.push(warning);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
