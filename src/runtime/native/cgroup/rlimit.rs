//! Limits of the container's first process: setrlimit(2) and the out-of-memory score. The decisions
//! are pure. Raising a hard limit and lowering the score need CAP_SYS_RESOURCE, which root may lack:
//! then defaults are clamped, and what was asked for is a fault with its name.

use anyhow::{Context, Result};
use rustix::process::{self, Pid, Resource, getrlimit, prlimit, setrlimit};
use serde::Serialize;

use crate::error::{Fault, Kind};
use crate::spec::defaults::OPEN_FILES;
use crate::spec::{Ulimit, UlimitName};

/// One limit; `u64::MAX` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rlimit {
    /// Which.
    pub name: UlimitName,
    /// What holds.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// Decides all limits that are set. `current` are ucr's own, of at least the names in question.
/// Fails with [`Kind::Unsupported`] on one that was asked for and may not be set.
pub fn rlimits(
    asked: &[Ulimit],
    current: &[Rlimit],
    may_raise: bool,
) -> Result<(Vec<Rlimit>, Vec<String>)> {
    let mut notes = Vec::new();
    let hard_of = |name| {
        let found = current.iter().find(|limit| limit.name == name);
        found.map_or(u64::MAX, |limit| limit.hard)
    };
    let mut all = Vec::new();
    for name in [UlimitName::Nofile, UlimitName::Core] {
        if asked.iter().any(|limit| limit.name == name) {
            continue;
        }
        let (soft, wanted) = match name {
            UlimitName::Nofile => OPEN_FILES,
            _ => (0, 0),
        };
        let most = if may_raise { u64::MAX } else { hard_of(name) };
        let hard = wanted.min(most);
        if hard < wanted {
            notes.push(format!(
                "default of --ulimit {name}: {hard} instead of {wanted}"
            ));
        }
        let soft = soft.min(hard);
        all.push(Rlimit { name, soft, hard });
    }
    for limit in asked {
        limit.check()?;
        // -1 is the largest number, which is what the kernel means by unlimited.
        let (soft, hard) = (limit.soft.cast_unsigned(), limit.hard.cast_unsigned());
        let most = hard_of(limit.name);
        if hard > most && !may_raise {
            let message = format!("--ulimit {limit}: without CAP_SYS_RESOURCE the most is {most}");
            let hint = "ask for less, or give ucr the capability";
            return Err(Fault::new(Kind::Unsupported, message).hint(hint).into());
        }
        let name = limit.name;
        all.push(Rlimit { name, soft, hard });
    }
    Ok((all, notes))
}

/// Decides whether the score may become what was asked. Fails with [`Kind::Unsupported`].
pub fn oom_score_adj(asked: i16, current: i16, may_lower: bool) -> Result<i16> {
    if asked >= current || may_lower {
        return Ok(asked);
    }
    let message =
        format!("--oom-score-adj {asked}: without CAP_SYS_RESOURCE it cannot be below {current}");
    let hint = "ask for more, or give ucr the capability";
    Err(Fault::new(Kind::Unsupported, message).hint(hint).into())
}

/// Our own limits, for the defaults and for what was asked.
pub fn current_limits(asked: &[Ulimit]) -> Vec<Rlimit> {
    let names = [UlimitName::Nofile, UlimitName::Core];
    let names = names
        .into_iter()
        .chain(asked.iter().map(|limit| limit.name));
    let limit = |name| {
        let found = getrlimit(resource(name));
        Rlimit {
            name,
            soft: found.current.unwrap_or(u64::MAX),
            hard: found.maximum.unwrap_or(u64::MAX),
        }
    };
    names.map(limit).collect()
}

/// Whether this process may raise hard limits and lower its out-of-memory score.
pub fn may_raise() -> bool {
    let set = caps::CapSet::Effective;
    caps::has_cap(None, set, caps::Capability::CAP_SYS_RESOURCE).unwrap_or(false)
}

impl Rlimit {
    /// Lets a copy of this process set it, if it is above what that has: CAP_SYS_RESOURCE in a user
    /// namespace of its own raises nothing.
    pub fn permit(&self, copy: Pid) -> Result<()> {
        let own = getrlimit(resource(self.name));
        let is_more = own.maximum.is_some_and(|maximum| self.hard > maximum);
        if !is_more {
            return Ok(());
        }
        let limit = process::Rlimit {
            maximum: (self.hard != u64::MAX).then_some(self.hard),
            ..own
        };
        prlimit(Some(copy), resource(self.name), limit)
            .map_err(std::io::Error::from)
            .with_context(|| format!("raise ulimit {} to {}", self.name, self.hard))?;
        Ok(())
    }

    /// Sets it for this process and what it becomes.
    pub fn set(&self) -> Result<()> {
        let value = |number| (number != u64::MAX).then_some(number);
        let limit = process::Rlimit {
            current: value(self.soft),
            maximum: value(self.hard),
        };
        setrlimit(resource(self.name), limit)
            .map_err(std::io::Error::from)
            .with_context(|| format!("set ulimit {}={}:{}", self.name, self.soft, self.hard))
    }
}

fn resource(name: UlimitName) -> Resource {
    match name {
        UlimitName::As => Resource::As,
        UlimitName::Core => Resource::Core,
        UlimitName::Cpu => Resource::Cpu,
        UlimitName::Data => Resource::Data,
        UlimitName::Fsize => Resource::Fsize,
        UlimitName::Locks => Resource::Locks,
        UlimitName::Memlock => Resource::Memlock,
        UlimitName::Msgqueue => Resource::Msgqueue,
        UlimitName::Nice => Resource::Nice,
        UlimitName::Nofile => Resource::Nofile,
        UlimitName::Nproc => Resource::Nproc,
        UlimitName::Rss => Resource::Rss,
        UlimitName::Rtprio => Resource::Rtprio,
        UlimitName::Rttime => Resource::Rttime,
        UlimitName::Sigpending => Resource::Sigpending,
        UlimitName::Stack => Resource::Stack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    fn limit(name: UlimitName, soft: u64, hard: u64) -> Rlimit {
        Rlimit { name, soft, hard }
    }

    #[test]
    fn defaults_are_clamped_and_what_was_asked_is_not() {
        use UlimitName::{Core, Nofile, Nproc};
        let own = |files| {
            [
                limit(Nofile, 10, files),
                limit(Core, 0, 9),
                limit(Nproc, 5, 50),
            ]
        };
        let core = limit(Core, 0, 0);
        let rows = [
            (
                "",
                u64::MAX,
                false,
                vec![limit(Nofile, 1024, 524_288), core],
                0,
            ),
            ("", 4096, false, vec![limit(Nofile, 1024, 4096), core], 1),
            ("", 100, false, vec![limit(Nofile, 100, 100), core], 1),
            ("", 100, true, vec![limit(Nofile, 1024, 524_288), core], 0),
            ("nofile=7:8", 100, false, vec![core, limit(Nofile, 7, 8)], 0),
            (
                "nofile=-1",
                100,
                true,
                vec![core, limit(Nofile, u64::MAX, u64::MAX)],
                0,
            ),
            (
                "nproc=50",
                4096,
                false,
                vec![limit(Nofile, 1024, 4096), core, limit(Nproc, 50, 50)],
                1,
            ),
        ];
        for (words, files, may_raise, expected, notes) in rows {
            let asked: Vec<Ulimit> = words
                .split_whitespace()
                .map(|w| w.parse().unwrap())
                .collect();
            let (made, said) = rlimits(&asked, &own(files), may_raise).unwrap();
            assert_eq!(made, expected, "{words} {files}");
            assert_eq!(said.len(), notes, "{said:?}");
        }
        for words in ["nofile=101", "nofile=1:-1", "nproc=51"] {
            let error = rlimits(&[words.parse().unwrap()], &own(100), false).unwrap_err();
            assert_eq!(error::kind(&error), Kind::Unsupported);
            let name = words.split('=').next().unwrap();
            assert!(
                error.to_string().contains(&format!("--ulimit {name}=")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_score_is_lowered_by_privilege_only() {
        for (asked, current, may) in [(5, 0, false), (0, 0, false), (-5, 0, true)] {
            assert_eq!(oom_score_adj(asked, current, may).unwrap(), asked);
        }
        let error = oom_score_adj(-1, 0, false).unwrap_err();
        assert_eq!(error::kind(&error), Kind::Unsupported);
    }

    #[test]
    fn our_own_limits_are_read() {
        let own = current_limits(&["nproc=1".parse().unwrap()]);
        assert_eq!(own.len(), 3);
        assert!(own[0].hard >= own[0].soft && own[0].soft > 0);
    }
}
