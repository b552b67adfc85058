//! How a container ends, whether it is started again then, and what is kept of what it prints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::resources::bytes;
use crate::error::{Fault, Kind};

/// Seconds that a container has for its end before it is killed, as in docker.
pub const STOP_TIMEOUT: u32 = 10;

/// When a container is started again that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Restart {
    /// Never.
    No,
    /// When it failed, so many times; without a number, always.
    OnFailure(Option<u32>),
    /// Whenever it ended, unless somebody stopped it.
    Always,
    /// The same: without a daemon nothing starts it after a reboot.
    UnlessStopped,
}

impl FromStr for Restart {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.split_once(':') {
            None => match text {
                "no" => return Ok(Self::No),
                "on-failure" => return Ok(Self::OnFailure(None)),
                "always" => return Ok(Self::Always),
                "unless-stopped" => return Ok(Self::UnlessStopped),
                _ => (),
            },
            Some(("on-failure", number)) => {
                if let Ok(number) = number.parse() {
                    return Ok(Self::OnFailure(Some(number)));
                }
            }
            Some(_) => (),
        }
        let message = format!("'{text}' is no restart policy");
        Err(Fault::new(Kind::Usage, message)
            .hint("say no, on-failure, on-failure:NUMBER, always or unless-stopped"))
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::No => out.write_str("no"),
            Self::OnFailure(None) => out.write_str("on-failure"),
            Self::OnFailure(Some(number)) => write!(out, "on-failure:{number}"),
            Self::Always => out.write_str("always"),
            Self::UnlessStopped => out.write_str("unless-stopped"),
        }
    }
}

impl From<Restart> for String {
    fn from(restart: Restart) -> Self {
        restart.to_string()
    }
}

impl TryFrom<String> for Restart {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

/// What is kept of what a container in the background prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub none: bool,
    /// So many bytes, about, and as many that are older; all if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
}

impl Log {
    /// Whether nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// From docker's words. Fails with [`Kind::Usage`] on what ucr does not have.
    pub fn from_words(driver: Option<&str>, options: &[String]) -> Result<Self, Fault> {
        let none = match driver {
            None | Some("k8s-file" | "json-file" | "local") => false,
            Some("none") => true,
            Some(other) => {
                let message = format!("--log-driver '{other}': ucr only writes files");
                return Err(Fault::new(Kind::Usage, message).hint("say k8s-file or none"));
            }
        };
        let mut log = Self {
            none,
            max_size: None,
        };
        for option in options {
            match option.split_once('=') {
                Some(("max-size", size)) => log.max_size = Some(bytes(size)?),
                _ => {
                    let message = format!("--log-opt '{option}' is not supported");
                    return Err(Fault::new(Kind::Usage, message).hint("max-size=BYTES is"));
                }
            }
        }
        Ok(log)
    }
}

/// Refuses a name that could be taken for something else.
pub fn check_name(name: &str) -> Result<(), Fault> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if first && name.len() <= 128 && letters.all(rest) {
        return Ok(());
    }
    let message = format!("'{name}' is no name of a container");
    Err(Fault::new(Kind::Usage, message)
        .hint("say at most 128 letters, digits, '_', '.', '-', a letter or digit first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        for text in [
            "no",
            "on-failure",
            "on-failure:3",
            "always",
            "unless-stopped",
        ] {
            let restart: Restart = text.parse().unwrap();
            assert_eq!(restart.to_string(), text);
        }
        for text in ["", "never", "on-failure:", "on-failure:x", "always:3"] {
            assert!(text.parse::<Restart>().is_err(), "{text}");
        }
    }

    #[test]
    fn names() {
        for name in ["web", "web-1", "a.b_c", "0a"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "a".repeat(129);
        for name in ["", "-a", "a/b", "../a", ".a", "a b", "ä1", &long] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn logs() {
        let words = |driver, options: &[&str]| {
            let options: Vec<_> = options.iter().map(|text| (*text).to_owned()).collect();
            Log::from_words(driver, &options)
        };
        assert_eq!(words(None, &[]), Ok(Log::default()));
        assert!(words(Some("none"), &[]).unwrap().none);
        assert_eq!(
            words(None, &["max-size=1m"]).unwrap().max_size,
            Some(1 << 20)
        );
        assert!(words(Some("syslog"), &[]).is_err());
        assert!(words(None, &["tag=x"]).is_err());
    }
}
