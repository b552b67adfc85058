//! Which device nodes a container may open or make, as rules of the version 1 `devices` controller;
//! for version 2 they are compiled to a program.
//!
//! It is a second wall: the root filesystem ignores device nodes, making them needs a capability that
//! is not given, and `/dev` is ucr's own.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Fault, Kind};

/// What a container may do with device nodes.
#[derive(Clone, Copy, Debug)]
pub struct DeviceList<'a> {
    /// What is allowed.
    pub rules: &'a [DeviceRule],
    /// The flag that makes it necessary, if one does: without it the list is a mere default.
    pub asked: Option<&'static str>,
}

/// One rule that allows something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceRule {
    /// A block device, not a character device.
    pub block: bool,
    /// Major number; `None` is any.
    pub major: Option<u32>,
    /// Minor number; `None` is any.
    pub minor: Option<u32>,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be made.
    pub make: bool,
}

impl DeviceRule {
    /// null, zero, full, random, urandom, tty, console, ptmx and the terminals.
    pub const DEFAULT: [Self; 9] = [
        Self::character(1, Some(3)),
        Self::character(1, Some(5)),
        Self::character(1, Some(7)),
        Self::character(1, Some(8)),
        Self::character(1, Some(9)),
        Self::character(5, Some(0)),
        Self::character(5, Some(1)),
        Self::character(5, Some(2)),
        Self::character(136, None),
    ];

    /// Making any block or character device.
    pub fn make_any(block: bool) -> Self {
        Self {
            block,
            major: None,
            minor: None,
            read: false,
            write: false,
            make: true,
        }
    }

    /// Those that a word of `--device-cgroup-rule` means: the kind `a` is both others, as in docker.
    pub fn asked(text: &str) -> Result<Vec<Self>, Fault> {
        let one = |text: &str| -> Result<Self, Fault> {
            let rule = text.parse();
            rule.map_err(|_| {
                let message =
                    format!("--device-cgroup-rule '{text}': it is not TYPE MAJOR:MINOR ACCESS");
                Fault::new(Kind::Spec, message).hint("say 'c 10:229 rwm', 'b 8:* r' or 'a *:* rwm'")
            })
        };
        match text.strip_prefix("a ") {
            Some(rest) => ["b", "c"]
                .into_iter()
                .map(|kind| one(&format!("{kind} {rest}")))
                .collect(),
            None => Ok(vec![one(text)?]),
        }
    }

    const fn character(major: u32, minor: Option<u32>) -> Self {
        Self {
            block: false,
            major: Some(major),
            minor,
            read: true,
            write: true,
            make: true,
        }
    }
}

/// As the kernel reads it: `c 136:* rwm`.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
        let kind = if self.block { 'b' } else { 'c' };
        write!(f, "{kind} {}:{} ", number(self.major), number(self.minor))?;
        for (allowed, letter) in [(self.read, "r"), (self.write, "w"), (self.make, "m")] {
            f.write_str(if allowed { letter } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for DeviceRule {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        parse(text).ok_or_else(|| {
            let message = format!("device rule '{text}': it is not TYPE MAJOR:MINOR ACCESS");
            Fault::new(Kind::Usage, message).hint("say 'c 10:229 rwm' or 'b 8:* r'")
        })
    }
}

fn parse(text: &str) -> Option<DeviceRule> {
    let fields: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, access] = fields.as_slice() else {
        return None;
    };
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| match text {
        "*" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Some),
        _ => None,
    };
    let letters = |c| access.matches(c).count();
    let known = letters('r') + letters('w') + letters('m') == access.len();
    let once = !access.is_empty() && ['r', 'w', 'm'].iter().all(|&c| letters(c) <= 1);
    Some(DeviceRule {
        block: match *kind {
            "b" => true,
            "c" => false,
            _ => return None,
        },
        major: number(major)?,
        minor: number(minor)?,
        read: access.contains('r'),
        write: access.contains('w'),
        make: access.contains('m'),
    })
    .filter(|_| known && once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back() {
        for text in ["c 1:3 rwm", "b 8:* r", "c *:* m"] {
            assert_eq!(text.parse::<DeviceRule>().unwrap().to_string(), text);
        }
        assert_eq!(DeviceRule::DEFAULT[8].to_string(), "c 136:* rwm");
        for text in [
            "",
            "a *:* rwm",
            "c 1:3",
            "c 1 rwm",
            "c 1:3 x",
            "c 1:3 rr",
            "c 1:3 ",
            "c -1:3 r",
            "c 1:3 r w",
            "c 4294967296:3 r",
            "c :3 r",
        ] {
            assert!(text.parse::<DeviceRule>().is_err(), "{text}");
        }
    }
}
