//! Options of `docker run` that `ucr run` does not have: whoever types one did not mistype it, and
//! hears why it is not there and what to do instead. What is there is in no list: clap knows it.
//!
//! tests/data/docker-run-flags.md has all options of docker's, with the tests of those that are
//! there; DOCKER OPTIONS in ucr-run(1) is printed from both.

use crate::error::{Fault, Kind};

/// An option of docker's that is refused.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// Its name, with the dashes.
    pub long: &'static str,
    /// Its short name, with the dash; empty if it has none.
    pub short: &'static str,
    /// Why it is not there.
    pub why: &'static str,
    /// What to do instead.
    pub hint: &'static str,
}

impl Refused {
    /// The one that is meant by an option, if one is.
    pub(super) fn find(is_named: impl Fn(&str) -> bool) -> Option<&'static Self> {
        let mut all = REFUSED.iter();
        all.find(|it| is_named(it.long) || !it.short.is_empty() && is_named(it.short))
    }

    pub(super) fn fault(&self) -> Fault {
        let message = format!("docker's {} is not supported: {}", self.long, self.why);
        Fault::new(Kind::Usage, message).hint(self.hint)
    }
}

const fn refused(
    long: &'static str,
    short: &'static str,
    why: &'static str,
    hint: &'static str,
) -> Refused {
    Refused {
        long,
        short,
        why,
        hint,
    }
}

const WINDOWS: &str = "it is for Windows";

/// By name.
pub const REFUSED: &[Refused] = &[
    refused("--cpu-count", "", WINDOWS, "say --cpus NUMBER"),
    refused("--cpu-percent", "", WINDOWS, "say --cpus NUMBER"),
    refused(
        "--disable-content-trust",
        "",
        "ucr knows no signatures of Notary's that could be checked",
        "leave it out; an image by digest, NAME@sha256:…, is always checked",
    ),
    refused(
        "--io-maxbandwidth",
        "",
        WINDOWS,
        "say --device-read-bps and --device-write-bps",
    ),
    refused(
        "--io-maxiops",
        "",
        WINDOWS,
        "say --device-read-iops and --device-write-iops",
    ),
    refused(
        "--isolation",
        "",
        WINDOWS,
        "leave it out: containers are isolated by namespaces",
    ),
    refused(
        "--kernel-memory",
        "",
        "the kernel has no such limit any more (Linux 5.16)",
        "say --memory, which counts the kernel's part, too",
    ),
    refused(
        "--link",
        "",
        "containers are not linked, and learn nothing of each other's variables",
        "say --add-host NAME:ADDRESS, and -e for variables",
    ),
    refused(
        "--link-local-ip",
        "",
        "the kernel gives link-local addresses by itself",
        "leave it out",
    ),
    refused(
        "--network-alias",
        "",
        "no name server knows the names of containers",
        "say --add-host NAME:ADDRESS for those that look for it",
    ),
    refused(
        "--storage-opt",
        "",
        "what a container writes is on the store's filesystem and has no size of its own",
        "say --read-only and --tmpfs DIR:size=SIZE, or put a quota on the store",
    ),
    refused(
        "--use-api-socket",
        "",
        "there is no daemon whose socket it could be",
        "show the socket of another one: -v /run/docker.sock:/run/docker.sock",
    ),
    refused(
        "--volume-driver",
        "",
        "volumes are directories of the store",
        "mount on the host what the driver would, and show it with -v /PATH:/DIR",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_refused() {
        let mut command = super::super::command();
        command.build();
        let run = command.find_subcommand("run").expect("it is there");
        for it in REFUSED {
            let known = run.get_arguments().any(|arg| {
                let short = arg.get_short().map(|short| format!("-{short}"));
                arg.get_long() == Some(it.long.trim_start_matches("--"))
                    || short.as_deref() == Some(it.short)
            });
            assert!(!known, "{} is there", it.long);
            assert!(!it.why.is_empty() && !it.hint.is_empty(), "{}", it.long);
        }
        let in_order = REFUSED.is_sorted_by(|a, b| a.long < b.long);
        assert!(in_order, "by name");
    }
}
