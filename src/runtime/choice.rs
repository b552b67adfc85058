//! Which runtime serves a request: the first of a list that can. Pure.

use std::fmt;
use std::str::FromStr;

use crate::error::{Fault, Kind};

/// Something that runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeName {
    /// ucr itself.
    Native,
    /// Docker Engine.
    Docker,
}

impl RuntimeName {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Runtimes, the preferred one first; each once, and at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtimes(Vec<RuntimeName>);

impl Default for Runtimes {
    fn default() -> Self {
        Self(vec![RuntimeName::Native])
    }
}

impl Runtimes {
    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = RuntimeName> {
        self.0.iter().copied()
    }

    /// The only one, if there is no choice.
    pub fn only(&self) -> Option<RuntimeName> {
        match self.0.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

impl From<RuntimeName> for Runtimes {
    fn from(name: RuntimeName) -> Self {
        Self(vec![name])
    }
}

impl FromStr for Runtimes {
    type Err = Fault;

    /// `native`, which is also called `ucr` and `mesos`, `docker`, or both, with a comma between.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: String| {
            Fault::new(Kind::Usage, format!("--runtime '{text}': {why}")).hint(
                "say native, docker, or a list of both: docker,native; for runc and others make \
                     a bundle: ucr provision --bundle DIR IMAGE",
            )
        };
        let mut all = Vec::new();
        for word in text.split(',') {
            let name = match word {
                "native" | "ucr" | "mesos" => RuntimeName::Native,
                "docker" => RuntimeName::Docker,
                _ => return Err(bad(format!("there is no runtime '{word}'"))),
            };
            if all.contains(&name) {
                return Err(bad(format!("'{word}' stands there twice")));
            }
            all.push(name);
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let names = |text: &str| text.parse::<Runtimes>().map(|all| all.0);
        use RuntimeName::{Docker, Native};
        assert_eq!(names("native").unwrap(), [Native]);
        assert_eq!(names("docker,native").unwrap(), [Docker, Native]);
        assert_eq!(names("docker,mesos").unwrap(), [Docker, Native]);
        assert_eq!(names("ucr").unwrap(), [Native]);
        for bad in [
            "",
            "podman",
            "docker,",
            "native,native",
            "ucr,mesos",
            "docker native",
        ] {
            assert!(names(bad).is_err(), "{bad}");
        }
    }
}
