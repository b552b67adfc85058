//! AppArmor: whether this host has it, which profile a container gets without asking for one, and
//! taking a profile on.
//!
//! ucr makes and loads no profiles: it uses one that the machine's administrator or another engine
//! has loaded.

use std::fs;
use std::io;

use crate::error::{Fault, Kind};
use crate::sys::proc::Proc;

const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";

/// Profiles for any container, the best first: one made for ucr, docker's, then podman's, in whose
/// name a version follows.
const DEFAULTS: [&str; 3] = ["ucr-default", "docker-default", "containers-default-"];

/// What a host with AppArmor contributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppArmor {
    /// The profile of containers that ask for none, if one is loaded.
    pub default: Option<String>,
    /// What ucr itself is confined by.
    pub own: Option<String>,
}

impl AppArmor {
    /// `None` on hosts without it. `choose`: whether a default is needed.
    pub(super) fn read(proc: &Proc, choose: bool) -> Option<Self> {
        let enabled = fs::read("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        if !enabled.starts_with(b"Y") {
            return None;
        }
        if !choose {
            return Some(Self::default());
        }
        let current = read(proc, "current").unwrap_or_default();
        // Absent where securityfs is not mounted, as in containers.
        let profiles = fs::read_to_string(PROFILES).unwrap_or_default();
        Some(Self {
            default: default_of(&profiles),
            own: confined_by(&current),
        })
    }
}

/// The best of the loaded profiles, of which each line has the name and the mode.
fn default_of(profiles: &str) -> Option<String> {
    let enforced: Vec<&str> = profiles
        .lines()
        .filter_map(|line| line.strip_suffix(" (enforce)"))
        .collect();
    let best = |name: &&str| {
        let matching = enforced.iter().filter(|loaded| match name.ends_with('-') {
            true => loaded.starts_with(*name),
            false => *loaded == name,
        });
        matching.max().map(|found| (*found).to_owned())
    };
    DEFAULTS.iter().find_map(best)
}

/// `NAME (MODE)`, or `unconfined`.
fn confined_by(current: &str) -> Option<String> {
    let name = current.trim_end_matches(['\n', '\0']);
    (!matches!(name, "" | "unconfined")).then(|| name.to_owned())
}

/// Runs what this process executes next under a profile.
pub(super) fn confine_next(profile: &str) -> anyhow::Result<()> {
    write("exec", &format!("exec {profile}"), profile)
}

/// Puts this process under a profile at once.
pub(super) fn confine_self(profile: &str) -> anyhow::Result<()> {
    write("current", &format!("changeprofile {profile}"), profile)
}

fn write(file: &str, value: &str, profile: &str) -> anyhow::Result<()> {
    // Never the one in the root filesystem (CVE-2025-52881), unless the host is gone already.
    let written = Proc::open().and_then(|proc| {
        // The older name is that of whichever module was first (Linux 5.1).
        proc.write(&format!("self/attr/apparmor/{file}"), value)
            .or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => proc.write(&format!("self/attr/{file}"), value),
                _ => Err(error),
            })
    });
    Ok(written.map_err(|error| refused(profile, &error))?)
}

fn read(proc: &Proc, file: &str) -> io::Result<String> {
    proc.read(&format!("self/attr/apparmor/{file}"))
        .or_else(|_| proc.read(&format!("self/attr/{file}")))
}

fn refused(profile: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let message = format!("AppArmor profile '{profile}' is not loaded on this host");
            Fault::new(Kind::Unsupported, message)
                .hint("load it with apparmor_parser(8), or say --security-opt apparmor=unconfined")
        }
        _ => Fault::new(
            Kind::Unsupported,
            format!("AppArmor profile '{profile}': {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_loaded_profile_is_the_default() {
        let rows: [(&[&str], Option<&str>); 7] = [
            (&[], None),
            (&["/usr/bin/man (enforce)"], None),
            (&["docker-default (complain)"], None),
            (&["my-docker-default (enforce)"], None),
            (
                &[
                    "containers-default-0.50 (enforce)",
                    "containers-default-0.44 (enforce)",
                ],
                Some("containers-default-0.50"),
            ),
            (
                &["containers-default-1 (enforce)", "docker-default (enforce)"],
                Some("docker-default"),
            ),
            (
                &["docker-default (enforce)", "ucr-default (enforce)"],
                Some("ucr-default"),
            ),
        ];
        for (lines, expected) in rows {
            assert_eq!(
                default_of(&lines.join("\n")).as_deref(),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn our_own_label() {
        for (text, expected) in [
            ("", None),
            ("unconfined\n", None),
            ("lxc (enforce)\n", Some("lxc (enforce)")),
        ] {
            assert_eq!(confined_by(text).as_deref(), expected, "{text}");
        }
    }
}
