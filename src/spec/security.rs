//! What a container may do to its kernel and its host: capabilities, filter, labels, users.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// Isolation as it was asked for; what is unset is ucr's default, which is the strict side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// Lift everything but the namespaces: all capabilities and devices, no filter, nothing masked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// Capabilities beyond the default ones, or `ALL`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities to take away, or `ALL`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Whether set-user-ID bits and file capabilities stay without effect; the default is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// The system call filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// An AppArmor profile that is loaded, or `unconfined`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor: Option<String>,
    /// SELinux label options, as `type:NAME` or `disable`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selinux: Vec<String>,
    /// Show the kernel's files in `/proc` and `/sys` that are hidden by default, and let them be
    /// written to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmask_system_paths: bool,
    /// Whose users the container's are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userns: Option<Userns>,
}

impl Security {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Takes one `--security-opt` up: docker's `NAME=VALUE` and `NAME:VALUE`.
    pub fn apply(&mut self, option: &str) -> Result<(), Fault> {
        let (name, value) = match option.find(['=', ':']) {
            Some(at) => (&option[..at], Some(&option[at + 1..])),
            None => (option, None),
        };
        match (name, value) {
            ("no-new-privileges", None | Some("true")) => self.no_new_privileges = Some(true),
            ("no-new-privileges", Some("false")) => self.no_new_privileges = Some(false),
            ("seccomp", Some("unconfined")) => self.seccomp = Some(Seccomp::Unconfined),
            ("seccomp", Some("builtin" | "default")) => self.seccomp = Some(Seccomp::BuiltIn),
            ("seccomp", Some(file)) if !file.is_empty() => {
                self.seccomp = Some(Seccomp::File(file.into()));
            }
            ("apparmor", Some(profile)) if !profile.is_empty() => {
                self.apparmor = Some(profile.to_owned());
            }
            ("label", Some(label)) if !label.is_empty() => self.selinux.push(label.to_owned()),
            ("systempaths", Some("unconfined")) => self.unmask_system_paths = true,
            _ => {
                let message = format!("--security-opt {option}: not known");
                return Err(Fault::new(Kind::Usage, message).hint(
                    "known are seccomp=FILE|unconfined, no-new-privileges[=false], \
                     apparmor=PROFILE, label=OPTION and systempaths=unconfined",
                ));
            }
        }
        Ok(())
    }
}

/// A system call filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seccomp {
    /// ucr's own.
    BuiltIn,
    /// None.
    Unconfined,
    /// A profile in the form of moby's `default.json`; absolute.
    File(PathBuf),
}

/// Where a container's users come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Userns {
    /// They are the host's.
    Host,
    /// A range of 65,536 IDs that no other container of this machine's ucr has.
    Auto,
    /// These, for users and groups alike.
    Map(Vec<IdRange>),
}

/// A range of user or group IDs in a container and what they are on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// First ID inside.
    pub inside: u32,
    /// First ID on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Most ranges that the kernel takes (UID_GID_MAP_MAX_EXTENTS, Linux 4.15).
const MAX_RANGES: usize = 340;

impl FromStr for Userns {
    type Err = Fault;

    /// `host`, `auto`, or `INSIDE:OUTSIDE:COUNT[,…]`.
    fn from_str(text: &str) -> Result<Self, Fault> {
        match text {
            "host" => return Ok(Self::Host),
            "auto" => return Ok(Self::Auto),
            _ => (),
        }
        let ranges = text.split(',').map(|range| {
            let mut numbers = range.split(':').map(str::parse::<u32>);
            match (
                numbers.next(),
                numbers.next(),
                numbers.next(),
                numbers.next(),
            ) {
                (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count)), None) => Some(IdRange {
                    inside,
                    outside,
                    count,
                }),
                _ => None,
            }
        });
        let bad = || {
            Fault::new(
                Kind::Usage,
                format!("--userns {text}: it is no map of users"),
            )
            .hint("say host, auto, or INSIDE:OUTSIDE:COUNT[,INSIDE:OUTSIDE:COUNT…]")
        };
        Ok(Self::Map(ranges.collect::<Option<_>>().ok_or_else(bad)?))
    }
}

impl Userns {
    /// Refuses maps that the kernel would refuse without saying why, and those without a root.
    pub fn check(&self) -> Result<(), Fault> {
        let Self::Map(ranges) = self else {
            return Ok(());
        };
        let bad = |why: String| {
            Err(
                Fault::new(Kind::Spec, format!("map of users (--userns): {why}"))
                    .hint("say INSIDE:OUTSIDE:COUNT, as in 0:100000:65536"),
            )
        };
        if ranges.is_empty() || ranges.len() > MAX_RANGES {
            return bad(format!(
                "it has {} ranges, not 1 to {MAX_RANGES}",
                ranges.len()
            ));
        }
        for (place, range) in ranges.iter().enumerate() {
            let ends = |first: u32| u64::from(first) + u64::from(range.count);
            if range.count == 0 || ends(range.inside).max(ends(range.outside)) > u64::from(u32::MAX)
            {
                return bad(format!("range {place} is empty or leads beyond 4294967294"));
            }
            for earlier in &ranges[..place] {
                if overlap(range.inside, earlier.inside, range.count, earlier.count)
                    || overlap(range.outside, earlier.outside, range.count, earlier.count)
                {
                    return bad(format!("range {place} overlaps an earlier one"));
                }
            }
        }
        if !ranges.iter().any(|range| range.inside == 0) {
            return bad("it has no ID 0, which the container starts as".into());
        }
        Ok(())
    }
}

fn overlap(a: u32, b: u32, a_count: u32, b_count: u32) -> bool {
    let end = |first: u32, count: u32| u64::from(first) + u64::from(count);
    u64::from(a) < end(b, b_count) && u64::from(b) < end(a, a_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_options() {
        let applied = |options: &[&str]| {
            let mut security = Security::default();
            for option in options {
                security.apply(option)?;
            }
            Ok::<_, Fault>(security)
        };
        let made = applied(&[
            "seccomp=/p.json",
            "no-new-privileges:false",
            "apparmor=x",
            "label=type:y",
            "systempaths=unconfined",
        ])
        .unwrap();
        assert_eq!(made.seccomp, Some(Seccomp::File("/p.json".into())));
        assert_eq!(made.no_new_privileges, Some(false));
        assert_eq!(made.apparmor.as_deref(), Some("x"));
        assert_eq!(made.selinux, ["type:y"]);
        assert!(made.unmask_system_paths);
        let unconfined = applied(&["seccomp:unconfined", "no-new-privileges"]).unwrap();
        assert_eq!(unconfined.seccomp, Some(Seccomp::Unconfined));
        assert_eq!(unconfined.no_new_privileges, Some(true));
        for bad in [
            "",
            "seccomp",
            "seccomp=",
            "no-new-privileges=maybe",
            "x=y",
            "apparmor=",
        ] {
            assert!(applied(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn user_maps() {
        let map = |text: &str| {
            text.parse::<Userns>()
                .and_then(|map| map.check().map(|()| map))
        };
        assert_eq!(map("host").unwrap(), Userns::Host);
        assert_eq!(map("auto").unwrap(), Userns::Auto);
        let range = |inside, outside, count| IdRange {
            inside,
            outside,
            count,
        };
        assert_eq!(
            map("0:100000:1000,1000:0:1").unwrap(),
            Userns::Map(vec![range(0, 100_000, 1000), range(1000, 0, 1)])
        );
        for bad in [
            "",
            "keep-id",
            "0:1",
            "0:1:2:3",
            "0:x:1",
            "-1:0:1",
            "0:0:0",
            "1:1:1",
            "0:4294967290:6",
            "0:0:10,5:100:1",
            "0:0:10,20:9:1",
        ] {
            assert!(map(bad).is_err(), "{bad}");
        }
    }
}
