//! Secrets: a description says where a value is and where it goes, and never what it is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

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
    /// In the [`GivenValues`] beside the description, under this name. A document cannot say it.
    Given(String),
}

/// Values that ucr has already, by the names that [`SecretSource::Given`] has: in memory beside a
/// description, wiped when dropped, and never written or printed.
#[derive(Clone, Default)]
pub struct GivenValues(BTreeMap<String, Zeroizing<Vec<u8>>>);

/// No values at all.
pub static NO_VALUES: GivenValues = GivenValues(BTreeMap::new());

impl GivenValues {
    /// Adds one, or replaces that of the same name.
    pub fn insert(&mut self, name: impl Into<String>, value: &[u8]) {
        self.0.insert(name.into(), Zeroizing::new(value.to_vec()));
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|value| value.as_slice())
    }
}

impl fmt::Debug for GivenValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenValues(…)")
    }
}

/// Refuses a description from outside that names values which only ucr itself can give.
pub(super) fn refuse_given(secrets: &[Secret]) -> Result<(), Fault> {
    let is_given = |secret: &Secret| matches!(secret.source, SecretSource::Given(_));
    match secrets.iter().position(is_given) {
        None => Ok(()),
        Some(place) => {
            let message = format!(
                "container description: secrets[{place}].source: 'given' is no source of a document"
            );
            Err(Fault::new(Kind::Spec, message)
                .hint("its value is in no document: say where it is, file or environment"))
        }
    }
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
    fn given_values_are_not_shown() {
        let mut values = GivenValues::default();
        values.insert("a", b"sesame");
        assert_eq!(values.get("a"), Some(&b"sesame"[..]));
        assert_eq!(values.get("b"), None);
        assert!(!format!("{values:?}").contains("sesame"));
        let secret = Secret {
            source: SecretSource::Given("a".into()),
            target: SecretTarget::Environment("A".into()),
        };
        let refused = refuse_given(&[secret]).unwrap_err();
        assert!(refused.to_string().contains("secrets[0].source: 'given'"));
    }

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
