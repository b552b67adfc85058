//! The directory that is the CLI's configuration while one ucr uses it: nothing of the user's that
//! changes what containers are like (proxies, plug-ins, formats), but his contexts; and the
//! credential of one pull.
//!
//! It is locked as long as its ucr lives. What a killed one left is recognised by that, and what it
//! has noted there says what else is to be removed.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::credentials::Secret;
use crate::error::{Fault, Kind};
use crate::sys::random_name;

/// Largest configuration of the user's that is read, in bytes.
const MAX_CONFIG: u64 = 4 << 20;
/// What its ucr has noted.
const NOTE: &str = "note.json";

/// A credential for one registry.
#[derive(Debug)]
pub struct Auth<'a> {
    /// As docker writes it in its configuration.
    pub registry: &'a str,
    /// What proves who we are.
    pub secret: &'a Secret,
}

/// A directory of ours, removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct Private {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
    is_kept: std::cell::Cell<bool>,
}

/// What a ucr that was killed left.
#[derive(Debug)]
pub struct Left {
    /// Its directory, which is ours now.
    pub private: Private,
    /// What it noted, if anything.
    pub note: Option<Value>,
}

impl Private {
    /// Makes one below `directory`, with the contexts of the `user`'s configuration.
    pub(super) fn make(directory: &Path, user: Option<&Path>, auth: Option<&Auth>) -> Result<Self> {
        let made = || -> Result<Self> {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(directory)?;
            let private = loop {
                if let Some(private) = Self::make_empty(directory)? {
                    break private;
                }
            };
            private.configure(user, auth)?;
            Ok(private)
        };
        made().with_context(|| format!("a directory for docker below {}", directory.display()))
    }

    /// None if another ucr took it for one that nobody has, before it was locked, and removed it.
    fn make_empty(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(random_name()?);
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        lock.lock()?;
        let is_there = path.try_exists()?;
        Ok(is_there.then(|| Self {
            path,
            _lock: lock,
            is_kept: false.into(),
        }))
    }

    fn configure(&self, user: Option<&Path>, auth: Option<&Auth>) -> Result<()> {
        let mut config = json!({});
        if let Some(user) = user {
            if let Some(context) = current_context(user)? {
                config["currentContext"] = context.into();
            }
            symlink(user.join("contexts"), self.path.join("contexts"))?;
        }
        if let Some(auth) = auth {
            config["auths"] = json!({ auth.registry: credential(auth.secret)? });
        }
        self.write("config.json", &config.to_string())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path.join(name))?;
        Ok(file.write_all(text.as_bytes())?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, which no other has.
    pub fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// Writes a file that docker is to read, and returns its path.
    pub fn file(&self, name: &str, value: &Value) -> Result<PathBuf> {
        self.text(name, &[value.to_string()])
    }

    /// As [`Self::file`], with these lines.
    pub fn text(&self, name: &str, lines: &[String]) -> Result<PathBuf> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.write(name, &text)
            .with_context(|| format!("{name} for docker"))?;
        Ok(self.path.join(name))
    }

    /// Notes what is to be removed should this process be killed, in place of what it noted before.
    pub fn note(&self, note: &Value) -> Result<()> {
        let new = self.file(&random_name()?, note)?;
        fs::rename(new, self.path.join(NOTE)).context("a note of what is to be removed")
    }

    /// Removes it now, before a signal ends this process.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Leaves it to the next command, which does what was noted.
    pub fn leave(&self) {
        self.is_kept.set(true);
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if !self.is_kept.get() {
            // Should that fail, the next command finds it, and nobody has its lock.
            self.remove();
        }
    }
}

/// What killed processes left below `directory`.
pub fn left(directory: &Path) -> Result<Vec<Left>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| directory.display().to_string()),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // It may go while we look.
        let Ok(lock) = File::open(&path) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let note = fs::read(path.join(NOTE)).ok();
        let note = note.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let private = Private {
            path,
            _lock: lock,
            is_kept: false.into(),
        };
        all.push(Left { private, note });
    }
    Ok(all)
}

/// Removes what killed processes left and noted nothing of: it may hold a credential.
pub fn forget(directory: &Path) -> Result<()> {
    for left in left(directory)? {
        if left.note.is_some() {
            left.private.leave();
        }
    }
    Ok(())
}

/// The context that the user chose.
fn current_context(user: &Path) -> Result<Option<String>> {
    let path = user.join("config.json");
    let text = match fs::metadata(&path) {
        Ok(found) if found.len() > MAX_CONFIG => {
            let message = format!("{}: it is larger than 4 MiB", path.display());
            return Err(Fault::new(Kind::Limit, message).into());
        }
        Ok(_) => fs::read(&path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    // docker itself warns of a file that it cannot read, and goes on.
    let config: Value = serde_json::from_slice(&text).unwrap_or_default();
    Ok(config["currentContext"].as_str().map(str::to_owned))
}

/// As `docker login` writes it.
fn credential(secret: &Secret) -> Result<Value, Fault> {
    match secret {
        Secret::Basic { user, password } => {
            Ok(json!({ "auth": STANDARD.encode(format!("{user}:{password}")) }))
        }
        Secret::IdentityToken { user, token } => {
            let user = user.as_deref().unwrap_or("<token>");
            Ok(json!({ "auth": STANDARD.encode(format!("{user}:")), "identitytoken": token }))
        }
        Secret::RegistryToken(token) => Ok(json!({ "registrytoken": token })),
    }
}

/// What of it must not be shown, in each form that docker sends it in.
pub(super) fn secrets(secret: &Secret) -> Vec<String> {
    let forms = match secret {
        Secret::Basic { user, password } => vec![
            STANDARD.encode(format!("{user}:{password}")),
            password.clone(),
        ],
        Secret::IdentityToken { token, .. } | Secret::RegistryToken(token) => vec![token.clone()],
    };
    // An empty password stands everywhere.
    forms.into_iter().filter(|it| !it.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ours_alone_and_goes() {
        let base = tempfile::tempdir().unwrap();
        let user = base.path().join("user");
        fs::create_dir_all(user.join("contexts/meta")).unwrap();
        let theirs = json!({
            "currentContext": "far",
            "auths": {"r.io": {"auth": "c2VjcmV0"}},
            "proxies": {"default": {"httpProxy": "http://p"}},
        });
        fs::write(user.join("config.json"), theirs.to_string()).unwrap();
        let secret = Secret::Basic {
            user: "me".into(),
            password: "pass".into(),
        };
        let auth = Auth {
            registry: "other.io",
            secret: &secret,
        };
        let directory = base.path().join("docker");
        let private = Private::make(&directory, Some(&user), Some(&auth)).unwrap();
        let config = fs::read(private.path().join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let expected = json!({
            "currentContext": "far",
            "auths": {"other.io": {"auth": "bWU6cGFzcw=="}},
        });
        assert_eq!(config, expected);
        assert!(private.path().join("contexts/meta").is_dir());
        assert!(left(&directory).unwrap().is_empty(), "it is held");
        let path = private.path().to_owned();
        drop(private);
        assert!(!path.exists() && user.join("contexts/meta").exists());
    }

    #[test]
    fn what_is_left_is_found_with_its_note() {
        let base = tempfile::tempdir().unwrap();
        let private = Private::make(base.path(), None, None).unwrap();
        private.note(&json!({"a": 1})).unwrap();
        private.leave();
        let path = private.path().to_owned();
        drop(private);
        let found = left(base.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].note, Some(json!({"a": 1})));
        found[0].private.leave();
        drop(found);
        forget(base.path()).unwrap();
        assert!(path.exists(), "it is noted");
        drop(left(base.path()).unwrap());
        assert!(!path.exists());
        let private = Private::make(base.path(), None, None).unwrap();
        private.leave();
        drop(private);
        forget(base.path()).unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert!(left(&base.path().join("nothing")).unwrap().is_empty());
    }
}
