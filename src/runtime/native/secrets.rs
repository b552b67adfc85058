//! The values of secrets, between their source and the container: in memory only, never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use zeroize::Zeroizing;

use crate::error::{Fault, Kind};
use crate::runtime::values;
use crate::spec::{GivenValues, Secret, SecretTarget};

/// Secrets with their values, wiped when dropped.
#[derive(Default)]
pub(super) struct Secrets {
    variables: Vec<(String, Zeroizing<Vec<u8>>)>,
    files: Vec<(PathBuf, Zeroizing<Vec<u8>>)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads the values.
    pub(super) fn read(secrets: &[Secret], given: &GivenValues) -> Result<Self> {
        let mut read = Self::default();
        for secret in secrets {
            let value = values::read(&secret.source, given)?;
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
            all.push([name.as_bytes(), b"=", value.as_slice()].concat());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SecretSource;

    #[test]
    fn given_values() {
        let mut given = GivenValues::default();
        given.insert("a", b"sesame");
        let secret = |name: &str, target| Secret {
            source: SecretSource::Given(name.into()),
            target,
        };
        let variable = || SecretTarget::Environment("K".into());
        let file = SecretTarget::File("/run/k".into());
        let all = [secret("a", variable()), secret("a", file)];
        let read = Secrets::read(&all, &given).unwrap();
        assert_eq!(
            read.extend(&["K=1".into(), "B=2".into()]),
            [b"B=2".to_vec(), b"K=sesame".to_vec()]
        );
        let files: Vec<_> = read.files().collect();
        assert_eq!(files, [(Path::new("/run/k"), &b"sesame"[..])]);
        let missing = Secrets::read(&[secret("b", variable())], &given).unwrap_err();
        assert!(missing.to_string().contains("no value was given for b"));
    }
}
