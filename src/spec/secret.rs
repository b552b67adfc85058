//! Secrets: a description says where a value is and where it goes, and never what it is.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// A secret by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Where the value is.
    pub source: SecretSource,
    /// Where the container finds it.
    pub target: SecretTarget,
}

/// Where ucr finds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// In a file of the host; absolute.
    File(PathBuf),
    /// In a variable of ucr's own environment.
    Environment(String),
}

/// Where a container finds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretTarget {
    /// In an environment variable.
    Environment(String),
    /// In a file that only its user can read, on a memory filesystem; absolute.
    File(PathBuf),
}

impl FromStr for Secret {
    type Err = Fault;

    /// `file=PATH|environment=NAME,env=NAME|target=PATH`.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| {
            Fault::new(Kind::Usage, format!("--secret {text}: {why}"))
                .hint("say file=PATH or environment=NAME, then env=NAME or target=PATH")
        };
        let (mut source, mut target) = (None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some((_, "")) | None => return Err(bad("a part without a value")),
                Some(("file", path)) => source = Some(SecretSource::File(path.into())),
                Some(("environment", name)) => {
                    source = Some(SecretSource::Environment(name.to_owned()));
                }
                Some(("env", name)) => target = Some(SecretTarget::Environment(name.to_owned())),
                Some(("target", path)) => target = Some(SecretTarget::File(path.into())),
                Some((name, _)) => return Err(bad(&format!("'{name}' is not known"))),
            }
        }
        match (source, target) {
            (Some(source), Some(target)) => Ok(Self { source, target }),
            (None, _) => Err(bad("it does not say where the value is")),
            (_, None) => Err(bad("it does not say where the value goes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets() {
        let secret: Secret = "file=/k,target=/run/k".parse().unwrap();
        assert_eq!(
            serde_json::to_string(&secret).unwrap(),
            r#"{"source":{"file":"/k"},"target":{"file":"/run/k"}}"#
        );
        let secret: Secret = "environment=A,env=B".parse().unwrap();
        assert_eq!(
            serde_json::to_string(&secret).unwrap(),
            r#"{"source":{"environment":"A"},"target":{"environment":"B"}}"#
        );
        for bad in ["", "file=/k", "env=B", "file=,env=B", "value=x,env=B", "/k"] {
            assert!(bad.parse::<Secret>().is_err(), "{bad}");
        }
    }
}
