//! Options for Docker Engine that ucr has no words for.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// An option of `docker create`, passed on as it is: `--KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DockerParameter {
    /// The option's long name, without dashes.
    pub key: String,
    /// Its value; `true` for those that usually have none.
    pub value: String,
}

impl DockerParameter {
    /// Fails with [`Kind::Spec`] on what is no name of an option.
    pub fn check(&self) -> Result<(), Fault> {
        let is_usable = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !self.key.is_empty() && !self.key.starts_with('-') && self.key.chars().all(is_usable) {
            return Ok(());
        }
        let message = format!("docker parameter '{}': it is no option's name", self.key);
        Err(Fault::new(Kind::Spec, message).hint("say it without dashes: --docker-param KEY=VALUE"))
    }
}

impl FromStr for DockerParameter {
    type Err = Fault;

    /// `KEY=VALUE`.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let Some((key, value)) = text.split_once('=') else {
            let message = format!("--docker-param '{text}': it has no value");
            return Err(Fault::new(Kind::Usage, message)
                .hint("say KEY=VALUE; KEY=true for an option that takes none"));
        };
        let parameter = Self {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        parameter.check().map(|()| parameter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let parsed = "volume=a:b=c".parse::<DockerParameter>().unwrap();
        assert_eq!(
            (parsed.key.as_str(), parsed.value.as_str()),
            ("volume", "a:b=c")
        );
        for bad in ["", "rm", "=x", "--rm=true", "a b=c", "v\n=x"] {
            assert!(bad.parse::<DockerParameter>().is_err(), "{bad}");
        }
    }
}
