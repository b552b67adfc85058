//! Why a user may not have a user namespace, in the words of the setting that forbids it.

use std::io;

use crate::error::{Fault, Kind};

/// A setting, the value that forbids, and one that allows.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

const MESSAGE: &str = "running without root needs a user namespace";

/// The fault, from what the kernel said and what its settings are.
pub(super) fn refusal(error: &io::Error, setting: &dyn Fn(&str) -> Option<String>) -> Fault {
    let fault = |why: &str| Fault::new(Kind::Unsupported, format!("{MESSAGE}: {why}"));
    let mut settings = SETTINGS.iter();
    let forbids = |(name, value, _): &&(&str, &str, &str)| setting(name).as_deref() == Some(*value);
    if let Some((name, value, allowed)) = settings.find(forbids) {
        let hint = format!(
            "as root: sysctl -w {name}={allowed}, and a line '{name}={allowed}' in \
             /etc/sysctl.d/50-ucr.conf to keep it; or run ucr as root"
        );
        return fault(&format!("{name} is {value} here")).hint(hint);
    }
    match error.raw_os_error() {
        Some(libc::ENOSPC) => {
            fault("user.max_user_namespaces are there already, or too many levels")
                .hint("as root: sysctl -w user.max_user_namespaces=NUMBER, with a larger one")
        }
        Some(libc::EINVAL | libc::ENOSYS) => {
            fault(&format!("this kernel has none (CONFIG_USER_NS): {error}"))
                .hint("run ucr as root")
        }
        Some(libc::EPERM) => fault(&format!("{error}")).hint(
            "a container's filter of system calls forbids it, or a chroot, or a security module: \
             start that container with --privileged, or run ucr as root",
        ),
        _ => fault(&error.to_string()).hint("run ucr as root"),
    }
}

/// newuidmap or newgidmap did not do it.
pub(super) fn not_mapped(said: &str) -> Fault {
    Fault::new(
        Kind::Unsupported,
        format!("running without root needs users: {said}"),
    )
    .hint(
        "newuidmap and newgidmap must be set-user-ID root, or have the capabilities cap_setuid and \
         cap_setgid (Debian's package uidmap), on a filesystem that is not mounted nosuid, and \
         the ranges in /etc/subuid and /etc/subgid must not overlap your own IDs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    #[test]
    fn the_setting_is_named_with_its_remedy() {
        type Settings = &'static [(&'static str, &'static str)];
        let rows: [(i32, Settings, &[&str]); 7] = [
            (
                libc::ENOSPC,
                &[("user.max_user_namespaces", "0")],
                &[
                    "user.max_user_namespaces is 0",
                    "sysctl -w user.max_user_namespaces=15000",
                ],
            ),
            (
                libc::EPERM,
                &[("kernel.unprivileged_userns_clone", "0")],
                &[
                    "kernel.unprivileged_userns_clone is 0",
                    "kernel.unprivileged_userns_clone=1",
                ],
            ),
            (
                libc::EACCES,
                &[("kernel.apparmor_restrict_unprivileged_userns", "1")],
                &[
                    "restrict_unprivileged_userns is 1",
                    "restrict_unprivileged_userns=0",
                ],
            ),
            (
                libc::ENOSPC,
                &[("user.max_user_namespaces", "5")],
                &["max_user_namespaces", "larger"],
            ),
            (libc::EINVAL, &[], &["CONFIG_USER_NS"]),
            (
                libc::EPERM,
                &[("kernel.unprivileged_userns_clone", "1")],
                &["filter of system calls"],
            ),
            (libc::EIO, &[], &["as root"]),
        ];
        for (errno, settings, words) in rows {
            let setting = |name: &str| {
                let found = settings.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let error = io::Error::from_raw_os_error(errno);
            let fault = anyhow::Error::new(refusal(&error, &setting));
            let said = format!("{} {:?}", error::render(&fault), error::hint(&fault));
            for word in words {
                assert!(said.contains(word), "{errno}: {said}");
            }
        }
    }
}
