//! tests/data/peers.md: all facts of the default container, of the others what is not as there,
//! and the argument for every difference.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::facts::{Facts, is_host_node};
use super::relation::is_weaker;
use super::{CASES, Case};

/// Why a fact may differ from a peer's.
struct Argument {
    /// A fact's name, or how it begins if it ends in `*`.
    fact: &'static str,
    /// `""` is all cases.
    case: &'static str,
    /// `""` is both.
    peer: &'static str,
    /// It is weaker, and still right.
    weaker: bool,
    /// Only with the older versions that Debian 12 has.
    old: bool,
    why: &'static str,
}

const fn differs(fact: &'static str, peer: &'static str, why: &'static str) -> Argument {
    Argument {
        fact,
        case: "",
        peer,
        weaker: false,
        old: false,
        why,
    }
}

const fn weaker(fact: &'static str, peer: &'static str, why: &'static str) -> Argument {
    Argument {
        weaker: true,
        ..differs(fact, peer, why)
    }
}

/// Weaker than a version that the document is not about.
const fn old(fact: &'static str, peer: &'static str, why: &'static str) -> Argument {
    Argument {
        old: true,
        ..weaker(fact, peer, why)
    }
}

const fn only(case: &'static str, argument: Argument) -> Argument {
    Argument { case, ..argument }
}

const HOST_NETWORK: &str =
    "stated default of ucr's: the host's network, and with it its name; --network=none has neither";
const FEWER: &str =
    "ucr's default has ten capabilities, with the fewest users each; --cap-add gives others";
const NO_SETFCAP: &str = "as podman's, without SETFCAP; --cap-add gives it";
const NAMES_THE_ENGINE: &str = "a file that names the engine; ucr has the variable `container`";
const MOBYS_LIST: &str = "refused: ucr's filter is moby's list, which leaves out what podman lets through to the kernel's own checks";
const OTHER_ERROR: &str =
    "refused by both; ucr says EPERM of a call that it knows, ENOSYS of one that it does not";
const MASK: &str = "hidden by both; ucr's cover is read-only and without set-user-ID, programs, or (but for /dev/null) devices";
const AS_MESOS: &str =
    "hidden in ucr, as in Mesos: it tells how many keys which users of the host have";
const NEWER: &str = "newer than podman's list, in moby's: harmless, and C libraries expect ENOSYS where it is missing";
const PING: &str =
    "as docker: everybody may send pings and serve low ports where the network is nobody else's";
const RESOLV: &str = "as docker: the host's nameservers, which cannot be asked without a network; programs want the file";
const AMBIENT: &str = "as podman: a capability that is asked for a user is the user's; docker gives it to nobody but set-user-ID programs, which are off here";
const UNUSUAL: &str =
    "not in ucr: nothing else would change in a container that is read-only; --tmpfs gives one";

/// The first that fits is taken.
const ARGUMENTS: &[Argument] = &[
    // --- the stated default
    only("default", weaker("host name", "", HOST_NETWORK)),
    only("default", differs("environment HOSTNAME", "", HOST_NETWORK)),
    only("default", weaker("namespace net", "", HOST_NETWORK)),
    only("default", weaker("network devices", "", HOST_NETWORK)),
    only("default", weaker("sysctl *", "", HOST_NETWORK)),
    // --- credentials
    only("user-cap-add", weaker("status CapAmb", "docker", AMBIENT)),
    only("user-cap-add", weaker("status CapEff", "docker", AMBIENT)),
    only("user-cap-add", weaker("status CapInh", "docker", AMBIENT)),
    only("user-cap-add", weaker("status CapPrm", "docker", AMBIENT)),
    differs("status Cap*", "docker", FEWER),
    differs("status Cap*", "podman", NO_SETFCAP),
    differs(
        "status Groups",
        "podman",
        "the primary group is also a further one, as in docker, so that it cannot be lost (CVE-2022-36109)",
    ),
    differs(
        "status NoNewPrivs",
        "",
        "on in ucr: set-user-ID programs and file capabilities give nothing; --security-opt no-new-privileges=false lifts it",
    ),
    differs(
        "status SigIgn",
        "",
        "ucr resets every signal; theirs keep some that their caller ignored",
    ),
    // --- limits
    differs(
        "limit max core file size",
        "",
        "no core dumps in ucr: the host's pattern decides where they go; --ulimit core gives them",
    ),
    differs(
        "limit max open files",
        "",
        "1024, and no more than 524288, in ucr: many programs close all up to the limit, or use select; --ulimit nofile gives others",
    ),
    differs(
        "processes allowed",
        "docker",
        "2048 in ucr against fork bombs; docker has no limit",
    ),
    differs(
        "processes allowed",
        "podman",
        "podman's is 2048, too; it is off here, where its view of the cgroups lacks the controller",
    ),
    // --- cgroups
    differs(
        "cgroup paths",
        "docker",
        "docker has a cgroup namespace on version 2 only, ucr always",
    ),
    differs(
        "namespace cgroup",
        "docker",
        "docker has a cgroup namespace on version 2 only, ucr always",
    ),
    differs(
        "mkdir in /sys/fs/cgroup",
        "docker",
        "the memory filesystem that holds version 1 hierarchies is read-only in ucr, too",
    ),
    differs(
        "path /sys/fs/cgroup",
        "docker",
        "the memory filesystem that holds version 1 hierarchies is read-only in ucr, too",
    ),
    differs(
        "mount /sys/fs/cgroup",
        "",
        "it holds version 1 hierarchies, which podman was not shown here; ucr's is small and read-only",
    ),
    weaker(
        "mount cgroups",
        "podman",
        "there are no symbolic links in a cgroup, nor can any be made, that not following could stop",
    ),
    // --- mounts
    differs("mount /", "", "no device nodes of the image's in ucr"),
    differs(
        "mount /dev",
        "",
        "no programs from /dev in ucr; nothing but devices belongs there",
    ),
    differs(
        "mount /dev/shm",
        "podman",
        "64 MiB in ucr and docker, 64000 KiB in podman",
    ),
    only(
        "read-only",
        differs("mount /run/*", "podman", NAMES_THE_ENGINE),
    ),
    differs("mount /run/.containerenv", "podman", NAMES_THE_ENGINE),
    differs(
        "mount /etc/*",
        "",
        "ucr's own copy in memory, without set-user-ID, programs or devices; podman has no resolv.conf without a network",
    ),
    differs("mount /proc/key-users", "", AS_MESOS),
    differs("path /proc/key-users", "", AS_MESOS),
    differs("mount /proc/*", "", MASK),
    differs("mount /sys/firmware", "", MASK),
    differs(
        "mount /sys/kernel/debug",
        "",
        "hidden in ucr even where nothing is mounted there",
    ),
    weaker(
        "mount /sys",
        "",
        "mount and filesystem are read-only in docker, the mount in ucr and podman; SYS_ADMIN undoes either, nothing less does",
    ),
    only("read-only", differs("mount /run", "podman", UNUSUAL)),
    only("read-only", differs("mount /tmp", "podman", UNUSUAL)),
    only("read-only", differs("mount /var/tmp", "podman", UNUSUAL)),
    only(
        "tty",
        differs(
            "mount /dev/console",
            "podman",
            "podman has a link to the terminal, ucr and docker the terminal itself",
        ),
    ),
    only(
        "tty",
        weaker(
            "node /dev/console",
            "podman",
            "podman has a link to the terminal, ucr and docker the terminal itself",
        ),
    ),
    // --- files
    differs(
        "node /dev/core",
        "podman",
        "a link to a file that is hidden: no use",
    ),
    differs("path /.dockerenv", "docker", NAMES_THE_ENGINE),
    differs("path /run/.containerenv", "podman", NAMES_THE_ENGINE),
    differs(
        "environment container",
        "",
        "names the engine, as podman does and systemd wants it",
    ),
    weaker("path /etc/resolv.conf", "podman", RESOLV),
    old(
        "path /sys/dev/block",
        "podman",
        "podman has stopped hiding it (containers/common 2278): links to what /sys/block and /sys/devices show anyway",
    ),
    only(
        "cap-drop",
        weaker(
            "write to /",
            "podman",
            "podman makes the image's root directory 0555, ucr has the image's mode",
        ),
    ),
    differs(
        "write to /run",
        "podman",
        "podman makes /run for a file of its own; the image here has none",
    ),
    only("read-only", differs("write to *", "podman", UNUSUAL)),
    // --- system calls
    differs(
        "call mknod of /dev/mem",
        "",
        "no MKNOD in ucr, unless it is added",
    ),
    differs(
        "open of an own /dev/mem",
        "",
        "the root filesystem ignores device nodes; docker's and podman's device rules refuse to open it",
    ),
    differs(
        "call socket INET raw",
        "",
        "no NET_RAW in ucr; pings need none",
    ),
    differs(
        "call socket PACKET",
        "",
        "no NET_RAW in ucr; pings need none",
    ),
    differs(
        "call ioctl *",
        "",
        "refused in ucr: they type into a terminal for somebody else (CVE-2017-5226), also with bits that the kernel ignores",
    ),
    differs(
        "call socket ALG",
        "",
        "refused in ucr, as in moby since 29.4; this kernel has no such sockets",
    ),
    differs(
        "call i386 socket ALG",
        "",
        "refused in ucr, as in moby since 29.4; this kernel has no such sockets",
    ),
    only(
        "default",
        differs(
            "call socket ping",
            "",
            "as the host's sysctl says on its network",
        ),
    ),
    weaker("call socket ping", "podman", PING),
    weaker("sysctl *", "podman", PING),
    differs(
        "call socket NETLINK audit",
        "docker",
        "as podman: no audit socket without AUDIT_WRITE, and an error that login and sshd can live with",
    ),
    old(
        "call quotactl_fd",
        "podman",
        "newer than that podman's list, and of no use without SYS_ADMIN",
    ),
    weaker("call cachestat", "podman", NEWER),
    weaker("call futex_waitv", "podman", NEWER),
    only(
        "cap-add",
        weaker(
            "call perf_event_open",
            "podman",
            "as docker: SYS_ADMIN gives it, where the kernel's own setting does",
        ),
    ),
    old("call cachestat", "docker", "newer than that docker's list"),
    old(
        "call name_to_handle_at",
        "docker",
        "in moby's newer lists: it names a file, open_by_handle_at is what opens",
    ),
    old(
        "call process_vm_*",
        "docker",
        "in moby's newer lists: no more than ptrace, which is safe below a filter from Linux 4.8 on",
    ),
    differs("call add_key", "podman", OTHER_ERROR),
    differs("call request_key", "podman", OTHER_ERROR),
    differs("call io_uring_*", "podman", OTHER_ERROR),
    differs("call personality *", "podman", OTHER_ERROR),
    differs("call *", "podman", MOBYS_LIST),
];

/// A row's columns: ours, docker's, podman's; `None` is a fact that is not there.
pub type Row = [Option<String>; 3];

pub const PEERS: [&str; 2] = ["docker", "podman"];
const ABSENT: &str = "–";
const SAME: &str = "=";

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn argument(case: &str, name: &str, peer: &str, is_weaker: bool) -> Option<&'static Argument> {
    ARGUMENTS.iter().find(|argument| {
        fits(argument.fact, name)
            && (argument.case.is_empty() || argument.case == case)
            && (argument.peer.is_empty() || argument.peer == peer)
            && (argument.weaker || !is_weaker)
    })
}

/// The text of a value in the document: what is inherited has the machine's number.
fn plain(value: &str) -> &str {
    match value.strip_prefix("inherited: ") {
        Some(_) => "inherited",
        None => value,
    }
}

/// Facts as the document has them.
pub fn shortened(facts: &Facts) -> Facts {
    let mut short = Facts::new();
    for (name, value) in facts {
        if is_host_node(name) {
            short.insert("nodes of the host".to_owned(), "shown".to_owned());
        } else {
            short.insert(name.clone(), plain(value).to_owned());
        }
    }
    short
}

/// What is wrong with ours beside a peer's: what is weaker without an argument that says so.
pub fn weaknesses(case: &str, peer: &str, ours: &Facts, theirs: &Facts) -> Vec<String> {
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let each = names.into_iter().filter_map(|name| {
        let value = |facts: &Facts| facts.get(name).cloned();
        let (ours, theirs) = (value(ours), value(theirs));
        let bad = is_weaker(name, ours.as_deref(), theirs.as_deref())
            && argument(case, name, peer, true).is_none();
        let shown = |value: Option<String>| value.unwrap_or_else(|| ABSENT.to_owned());
        bad.then(|| {
            format!(
                "{case}: {name}: ucr {}, {peer} {}",
                shown(ours),
                shown(theirs)
            )
        })
    });
    each.collect()
}

/// Writes the document. `seen` has the facts of a case: ours, docker's, podman's.
pub fn write(heading: &str, seen: &dyn Fn(&Case) -> [Facts; 3]) -> String {
    let mut text = heading.to_owned();
    let default = seen(&CASES[0]).map(|facts| shortened(&facts));
    for case in CASES {
        let facts = seen(case).map(|facts| shortened(&facts));
        let names: BTreeSet<_> = facts.iter().chain(&default).flat_map(Facts::keys).collect();
        let shown = |words: &[&str]| match words {
            [] => "no options".to_owned(),
            words => format!("`{}`", words.join(" ")),
        };
        let (ours, theirs) = (shown(case.ours), shown(case.theirs));
        let _ = write!(
            text,
            "\n## {}\n\nucr: {ours}; docker and podman: {theirs}\n",
            case.name
        );
        text.push_str("\n| fact | ucr | docker | podman | why |\n|---|---|---|---|---|\n");
        for name in names {
            let row: Row = [0, 1, 2].map(|column| facts[column].get(name).cloned());
            let before: Row = [0, 1, 2].map(|column| default[column].get(name).cloned());
            if case.name == "default" || row != before {
                text.push_str(&line(case.name, name, &row));
            }
        }
    }
    text
}

/// One line of the document, which must be as this gives it.
pub fn line(case: &str, name: &str, row: &Row) -> String {
    let own = row[0].as_deref();
    let mut columns = vec![name.to_owned(), own.unwrap_or(ABSENT).to_owned()];
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (peer, theirs) in PEERS.iter().zip(&row[1..]) {
        let theirs = theirs.as_deref();
        if theirs == own {
            columns.push(SAME.to_owned());
            continue;
        }
        columns.push(theirs.unwrap_or(ABSENT).to_owned());
        let worse = is_weaker(name, own, theirs);
        let why = argument(case, name, peer, worse).map_or("not argued", |found| found.why);
        if reasons.last().is_none_or(|(before, _)| *before != why) {
            reasons.push((why, Vec::new()));
        }
        if let (true, Some((_, peers))) = (worse, reasons.last_mut()) {
            peers.push(peer);
        }
    }
    let why: Vec<String> = reasons
        .into_iter()
        .map(|(why, worse)| match worse.as_slice() {
            [] => why.to_owned(),
            peers => format!("weaker than {}: {why}", peers.join(" and ")),
        })
        .collect();
    format!("| {} | {} |\n", columns.join(" | "), why.join("; "))
}

/// The lines of a case, by the fact's name.
pub fn read<'a>(document: &'a str, case: &str) -> Vec<(&'a str, Row, &'a str)> {
    let heading = format!("\n## {case}\n");
    let start = document.find(&heading).map(|at| at + heading.len());
    let section = &document[start.unwrap_or_else(|| panic!("no section {case}"))..];
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1);
    let parsed = rows.map(|whole| {
        let line = whole.trim_start_matches("| ").trim_end_matches('|');
        let columns: Vec<&str> = line.split(" | ").collect();
        let own = columns[1];
        let value = |text: &str| {
            let text = if text == SAME { own } else { text };
            (text != ABSENT).then(|| text.to_owned())
        };
        let row = [value(own), value(columns[2]), value(columns[3])];
        (columns[0], row, whole)
    });
    parsed.collect()
}

/// Our facts of a case: those of the default one, changed.
pub fn ours(document: &str, case: &str) -> Facts {
    let mut facts = Facts::new();
    for section in ["default", case] {
        for (name, [own, ..], _) in read(document, section) {
            match own {
                Some(value) => facts.insert(name.to_owned(), value),
                None => facts.remove(name),
            };
        }
    }
    facts
}

/// The arguments that nothing in the document needs.
pub fn unused(document: &str) -> Vec<String> {
    let mut used = BTreeSet::new();
    for case in CASES {
        for (name, row, _) in read(document, case.name) {
            for (peer, theirs) in PEERS.iter().zip(&row[1..]) {
                if *theirs != row[0] {
                    let worse = is_weaker(name, row[0].as_deref(), theirs.as_deref());
                    let found = argument(case.name, name, peer, worse);
                    used.extend(found.map(|argument| std::ptr::from_ref(argument).addr()));
                }
            }
        }
    }
    let idle = ARGUMENTS
        .iter()
        .filter(|argument| !argument.old)
        .filter(|argument| !used.contains(&std::ptr::from_ref(*argument).addr()));
    idle.map(|it| format!("{} {} {}: {}", it.case, it.fact, it.peer, it.why))
        .collect()
}
