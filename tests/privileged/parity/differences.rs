//! What differs between the two runtimes, and why: also in ucr-docker(7).

use std::fmt::Write;
use std::fs;
use std::path::Path;

const PAGE: &str = "man/ucr-docker.7";
const BEGIN: &str = ".\\\" DIFFERENCES, printed: UCR_BLESS=1 cargo test --test privileged parity\n";
const END: &str = ".\\\" END OF DIFFERENCES\n";

/// A fact that need not be the same.
#[derive(Debug)]
pub struct Difference {
    /// What people call it.
    pub title: &'static str,
    /// Its name in the table; with a `*`, which stands for anything, that of several.
    pub fact: &'static str,
    /// Of these rows only, if there are any.
    pub rows: &'static [&'static str],
    /// What it is and why, in a sentence or two.
    pub reason: &'static str,
}

impl Difference {
    /// Is it about this fact of this row?
    pub fn covers(&self, row: &str, fact: &str) -> bool {
        let is_row = self.rows.is_empty() || self.rows.contains(&row);
        let is_fact = fits(self.fact, fact);
        is_row && is_fact
    }
}

/// Each `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.get(at..).is_some_and(|it| fits(rest, it)))
        }),
    }
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        title: "What is said of a fault",
        fact: "message",
        rows: &[],
        reason: "The Engine and its OCI runtime have their own words, which ucr passes on. The exit code is the same.",
    },
    Difference {
        title: "Owner of a working directory that is made",
        fact: "cwd owner",
        rows: &["directory-made-for-a-user"],
        reason: "The Engine makes it, and it is root's; ucr makes it the user's.",
    },
    Difference {
        title: "Owner of a tmpfs over a directory of the image",
        fact: "*/data",
        rows: &["tmpfs-over-the-image"],
        reason: "The OCI runtime gives it the mode of what it covers, not the owner; ucr both.",
    },
    Difference {
        title: "/etc/hosts: lines for IPv6",
        fact: "hosts ip6-*",
        rows: &[],
        reason: "The Engine writes its own list; ucr's has no multicast names. With --add-host on the host's network the Engine's own file replaces the host's.",
    },
    Difference {
        title: "/etc/hosts: the container's own name",
        fact: "hosts box*",
        rows: &[],
        reason: "Without a network the Engine gives the name no address, ucr 127.0.1.1. Its own bridge has IPv4 only, ucr's both.",
    },
    Difference {
        title: "/etc/hosts: the host's own lines",
        fact: "hosts *",
        rows: &["host-added-on-the-hosts-network"],
        reason: "With --add-host on the host's network the Engine writes a file of its own; ucr adds the line to a copy of the host's.",
    },
    Difference {
        title: "noexec on /dev",
        fact: "mount /dev options",
        rows: &["places"],
        reason: "The Engine mounts it without, and has no option for it.",
    },
    Difference {
        title: "nodev on the root filesystem and on volumes",
        fact: "mount * options",
        rows: &[
            "places",
            "read-only",
            "volume-on-a-place-of-the-image",
            "volume-with-a-name",
            "volume-without-a-name",
            "volume-of-the-image",
            "volume-of-a-file",
            "volume-read-only",
            "volume",
            "volume-below-another",
            "volume-in-fields",
            "volume-slave",
        ],
        reason: "The Engine mounts them without it and has no option for it; its device cgroup is what keeps nodes from being opened.",
    },
    Difference {
        title: "/dev/shm of --ipc host",
        fact: "mount /dev/shm options",
        rows: &["namespace-of-ipc"],
        reason: "The Engine shows the host's without restrictions; ucr keeps those of its own.",
    },
    Difference {
        title: "Propagation of the root filesystem and of volumes",
        fact: "mount * propagation",
        rows: &[
            "places",
            "read-only",
            "volume-on-a-place-of-the-image",
            "volume-with-a-name",
            "volume-without-a-name",
            "volume-of-the-image",
        ],
        reason: "The Engine leaves its own mounts slaves of the host's; ucr's are private.",
    },
    Difference {
        title: "/etc/hosts, /etc/hostname and /etc/resolv.conf as mounts",
        fact: "mount /etc/*",
        rows: &["places-files"],
        reason: "The Engine's are files on its disk, ucr's are in memory; both can be written to.",
    },
    Difference {
        title: "/sys/fs/cgroup as a mount",
        fact: "*/sys/fs/cgroup*",
        rows: &["places", "places-hidden"],
        reason: "Where cgroups are version 1, the OCI runtime leaves the directory above them writable, which is empty memory; the cgroups themselves are read-only under both.",
    },
    Difference {
        title: "/dev/shm of --ipc none",
        fact: "place /dev/shm",
        rows: &["namespace-of-ipc-none"],
        reason: "ucr leaves an empty directory there, the OCI runtime nothing.",
    },
    Difference {
        title: "Kernel files that are hidden",
        fact: "read=/proc/interrupts",
        rows: &["places-hidden"],
        reason: "The Engine has a list of its own, and its CLI has no option for another.",
    },
    Difference {
        title: "Modes of hidden directories",
        fact: "file *",
        rows: &["places-hidden"],
        reason: "Other empty directories hide them; they are read-only under both.",
    },
    Difference {
        title: "Capabilities of users other than root",
        fact: "status Cap*",
        rows: &["capability-added-for-a-user"],
        reason: "What --cap-add adds is in the Engine's bounding set only, so that the user gets it by executing a file that has it; ucr gives it as an ambient one.",
    },
    Difference {
        title: "Kinds of standard streams",
        fact: "stdout",
        rows: &["stdin-not-asked-for", "stdin-a-file"],
        reason: "The Engine has pipes for all; ucr passes files on as they are.",
    },
];

/// Roff, where a hyphen of an option must stay one.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.replace('\'', "\\(aq")
}

fn printed() -> String {
    DIFFERENCES.iter().fold(String::new(), |mut text, it| {
        let (title, reason) = (plain(it.title), plain(it.reason));
        writeln!(text, ".TP\n{title}\n{reason}").expect("a String takes all");
        text
    })
}

#[test]
fn the_page_lists_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = fs::read_to_string(&path).expect(PAGE);
    let (Some((before, rest)), true) = (text.split_once(BEGIN), text.contains(END)) else {
        panic!("{PAGE}: one of the marker lines is missing:\n{BEGIN}{END}");
    };
    let (_, after) = rest.split_once(END).expect("after the other one");
    let expected = format!("{before}{BEGIN}{}{END}{after}", printed());
    if std::env::var_os("UCR_BLESS").is_some_and(|value| value == "1") {
        fs::write(path, expected).expect("write");
        return;
    }
    assert!(
        text == expected,
        "{PAGE} is out of date: UCR_BLESS=1 cargo test --test privileged parity"
    );
}
