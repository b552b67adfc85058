//! Limits of single processes (setrlimit(2)) as docker's `--ulimit` writes them. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// Which resource, by docker's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they are the names of setrlimit(2)")]
pub enum UlimitName {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

impl UlimitName {
    const ALL: [(Self, &'static str); 16] = [
        (Self::As, "as"),
        (Self::Core, "core"),
        (Self::Cpu, "cpu"),
        (Self::Data, "data"),
        (Self::Fsize, "fsize"),
        (Self::Locks, "locks"),
        (Self::Memlock, "memlock"),
        (Self::Msgqueue, "msgqueue"),
        (Self::Nice, "nice"),
        (Self::Nofile, "nofile"),
        (Self::Nproc, "nproc"),
        (Self::Rss, "rss"),
        (Self::Rtprio, "rtprio"),
        (Self::Rttime, "rttime"),
        (Self::Sigpending, "sigpending"),
        (Self::Stack, "stack"),
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(name, _)| *name == self);
        found.map_or("", |(_, text)| text)
    }
}

impl fmt::Display for UlimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One limit; -1 is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ulimit {
    /// Which resource.
    pub name: UlimitName,
    /// What holds.
    pub soft: i64,
    /// How far the container may raise it.
    pub hard: i64,
}

impl Ulimit {
    /// The soft limit is not above the hard one, and neither is below -1.
    pub fn check(&self) -> Result<(), Fault> {
        let Self { name, soft, hard } = *self;
        let bad = |why: &str| {
            let message = format!("--ulimit {name}={soft}:{hard}: {why}");
            Err(Fault::new(Kind::Usage, message))
        };
        // -1 becomes the largest number.
        match soft.cast_unsigned() <= hard.cast_unsigned() {
            _ if soft < -1 || hard < -1 => bad("a limit is negative"),
            true => Ok(()),
            false => bad("the soft limit is above the hard limit"),
        }
    }
}

impl FromStr for Ulimit {
    type Err = Fault;

    /// `NAME=SOFT[:HARD]`; without HARD it is the same as SOFT.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| {
            Fault::new(Kind::Usage, format!("--ulimit '{text}': {why}"))
                .hint("say NAME=SOFT[:HARD], as in nofile=1024:2048; -1 is unlimited")
        };
        let (name, limits) = text.split_once('=').ok_or_else(|| bad("there is no '='"))?;
        let known = UlimitName::ALL.iter().find(|(_, known)| *known == name);
        let (name, _) = *known.ok_or_else(|| bad("there is no such limit"))?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let number = |text: &str| match text {
            "-1" => Some(-1),
            text => {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| text.parse().ok()).flatten()
            }
        };
        let limit = number(soft).zip(number(hard));
        let (soft, hard) = limit.ok_or_else(|| bad("a limit is not a number"))?;
        let limit = Self { name, soft, hard };
        limit.check()?;
        Ok(limit)
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.name, self.soft, self.hard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, shown) in [
            ("nofile=1024:2048", "nofile=1024:2048"),
            ("nproc=5", "nproc=5:5"),
            ("core=-1", "core=-1:-1"),
            ("core=0:-1", "core=0:-1"),
        ] {
            assert_eq!(text.parse::<Ulimit>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "nofile",
            "nofile=",
            "nofile=1:",
            "nofile=:1",
            "nofile=2:1",
            "nofile=-1:1",
            "nofile=1:2:3",
            "NOFILE=1",
            "x=1",
            "nofile=-2",
            "nofile=+1",
            "nofile=1 ",
            "nofile=9223372036854775808",
        ] {
            assert!(text.parse::<Ulimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_the_same_in_json() {
        for (name, text) in UlimitName::ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), text);
            assert_eq!(name.to_string(), text);
        }
    }
}
