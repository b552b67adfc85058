//! The values of secrets, between their source and the container: in memory only, never printed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::error::{Fault, Kind};
use crate::spec::{Secret, SecretSource, SecretTarget};

/// Largest value, in bytes: Kubernetes' limit for all of one object.
const MAX_VALUE: u64 = 1 << 20;

/// Secrets with their values.
#[derive(Default)]
pub(super) struct Secrets {
    variables: Vec<(String, Vec<u8>)>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads the values.
    pub(super) fn read(secrets: &[Secret]) -> Result<Self> {
        let mut read = Self::default();
        for secret in secrets {
            let value = value(&secret.source)?;
            match &secret.target {
                SecretTarget::File(path) => read.files.push((path.clone(), value)),
                SecretTarget::Environment(name) if value.contains(&0) => {
                    let message = format!("secret for {name}: it contains a NUL byte");
                    return Err(Fault::new(Kind::Spec, message)
                        .hint("give it as a file: target=PATH")
                        .into());
                }
                SecretTarget::Environment(name) => read.variables.push((name.clone(), value)),
            }
        }
        Ok(read)
    }

    /// Those that become files: where, and what is in them.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        let files = self.files.iter();
        files.map(|(path, value)| (path.as_path(), value.as_slice()))
    }

    /// An environment with those that become variables, which replace others of their name.
    pub(super) fn extend(&self, env: &[String]) -> Vec<Vec<u8>> {
        let is_secret = |variable: &&String| {
            let name = variable.split('=').next().unwrap_or_default();
            self.variables.iter().any(|(secret, _)| secret == name)
        };
        let plain = env.iter().filter(|variable| !is_secret(variable));
        let mut all: Vec<Vec<u8>> = plain
            .map(|variable| variable.clone().into_bytes())
            .collect();
        for (name, value) in &self.variables {
            all.push([name.as_bytes(), b"=", value].concat());
        }
        all
    }
}

fn value(source: &SecretSource) -> Result<Vec<u8>> {
    match source {
        SecretSource::File(path) => {
            let what = || format!("secret file {}", path.display());
            let metadata = fs::metadata(path).with_context(what)?;
            if !metadata.is_file() || metadata.len() > MAX_VALUE {
                let message = format!("it is no file of at most {MAX_VALUE} bytes");
                return Err(Fault::new(Kind::Spec, message)).with_context(what);
            }
            fs::read(path).with_context(what)
        }
        SecretSource::Environment(name) => match std::env::var_os(name) {
            Some(value) => Ok(std::os::unix::ffi::OsStringExt::into_vec(value)),
            None => {
                let message = format!("secret: the environment has no variable {name}");
                Err(Fault::new(Kind::Spec, message).into())
            }
        },
    }
}
