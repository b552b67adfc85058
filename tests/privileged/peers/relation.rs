//! Weaker: lets a container do or see what the other does not. Facts that have no such order are
//! never weaker, only different.

use std::collections::BTreeSet;

/// Is what we have weaker than what they have? `None` is a fact that is not there at all.
pub fn is_weaker(name: &str, ours: Option<&str>, theirs: Option<&str>) -> bool {
    let kind = name.split(' ').next().unwrap_or(name);
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return match (kind, ours) {
            ("mount", Some(ours)) => !has(ours, "nosuid") || !has(ours, "noexec"),
            ("node", Some(_)) => true,
            _ => false,
        };
    };
    match kind {
        "status" => status(name, ours, theirs),
        "limit" => limit(ours, theirs),
        "namespace" | "host" | "cgroup" => is_hosts(ours) && !is_hosts(theirs),
        "mount" => mount(ours, theirs),
        "node" => node(ours, theirs),
        "path" => seen(ours) && !seen(theirs) || written(ours) && !written(theirs),
        "call" | "open" | "mkdir" | "write" => reach(ours) > reach(theirs),
        "descriptors" => count(ours) > count(theirs),
        "processes" => theirs != "absent" && count(ours) > count(theirs),
        "oom" => signed(ours) < signed(theirs),
        "sysctl" => sysctl(name, ours, theirs),
        "network" => is_hosts(ours) && !is_hosts(theirs),
        _ => false,
    }
}

fn is_hosts(value: &str) -> bool {
    value == "the host's"
}

fn set(value: &str) -> BTreeSet<&str> {
    value.split(' ').filter(|word| *word != "none").collect()
}

fn status(name: &str, ours: &str, theirs: &str) -> bool {
    match name {
        "status CapInh" | "status CapPrm" | "status CapEff" | "status CapBnd" | "status CapAmb" => {
            !set(ours).is_subset(&set(theirs))
        }
        // The primary group is no further one.
        "status Groups" => set(ours)
            .difference(&set(theirs))
            .any(|group| *group != "0"),
        "status NoNewPrivs" => count(ours) < count(theirs),
        "status Seccomp" => ours != "2" && theirs == "2",
        "status Umask" => {
            let bits = |text| u32::from_str_radix(text, 8).unwrap();
            bits(theirs) & !bits(ours) != 0
        }
        "status Uid" | "status Gid" => ours != theirs,
        _ => false,
    }
}

/// `max` and `unlimited` are more than everything.
fn count(value: &str) -> u64 {
    value.parse().unwrap_or(u64::MAX)
}

fn signed(value: &str) -> i64 {
    value.parse().unwrap()
}

fn limit(ours: &str, theirs: &str) -> bool {
    let pair = |value: &str| -> Vec<u64> {
        let value = value.trim_start_matches("inherited: ");
        value.split(' ').map(count).collect()
    };
    let (ours, theirs) = (pair(ours), pair(theirs));
    ours.iter().zip(theirs).any(|(ours, theirs)| *ours > theirs)
}

fn has(value: &str, option: &str) -> bool {
    value
        .split_once(' ')
        .is_some_and(|(_, options)| options.split(',').any(|it| it == option))
}

fn mount(ours: &str, theirs: &str) -> bool {
    let lost = [
        "ro",
        "nosuid",
        "nodev",
        "noexec",
        "nosymfollow",
        "superblock ro",
    ];
    let gained = ["propagation shared", "propagation master"];
    lost.iter()
        .any(|option| has(theirs, option) && !has(ours, option))
        || gained
            .iter()
            .any(|option| has(ours, option) && !has(theirs, option))
}

fn node(ours: &str, theirs: &str) -> bool {
    let words = |value: &str| -> Vec<String> { value.split(' ').map(str::to_owned).collect() };
    let (ours, theirs) = (words(ours), words(theirs));
    if ours[0] == "directory" || ours[0] == "->" {
        return ours != theirs;
    }
    let mode = |words: &[String]| u32::from_str_radix(&words[2], 8).unwrap();
    ours[..2] != theirs[..2] || mode(&ours) & !mode(&theirs) != 0
}

fn seen(value: &str) -> bool {
    value.starts_with("shown")
}

fn written(value: &str) -> bool {
    value.ends_with("writable")
}

/// How far a call gets: it is refused, the kernel finds its arguments wrong, it works.
fn reach(value: &str) -> u8 {
    match value {
        "EPERM" | "ENOSYS" | "EACCES" | "EROFS" | "ENOENT" | "ENXIO" | "EAFNOSUPPORT"
        | "EOPNOTSUPP" | "EPROTONOSUPPORT" => 0,
        "ok" => 2,
        _ if value.starts_with("signal") => 0,
        _ => 1,
    }
}

fn sysctl(name: &str, ours: &str, theirs: &str) -> bool {
    if name.ends_with("port_start") {
        return count(ours) < count(theirs);
    }
    // "1 0" is nobody.
    let nobody = |range: &str| range == "1 0";
    nobody(theirs) && !nobody(ours)
}

#[test]
fn what_is_weaker() {
    let weaker = [
        ("status CapEff", "CHOWN KILL", "KILL"),
        ("status NoNewPrivs", "0", "1"),
        ("status Seccomp", "0", "2"),
        ("status Umask", "0000", "0022"),
        ("status Groups", "0 10", "0"),
        ("limit max open files", "1024 2048", "1024 1024"),
        ("limit max core file size", "0 unlimited", "0 0"),
        ("namespace pid", "the host's", "its own"),
        ("mount /proc", "proc rw,nosuid", "proc rw,nosuid,nodev"),
        ("mount /", "overlay rw,propagation shared", "overlay rw"),
        ("node /dev/null", "c 1:3 0666 0:0", "c 1:3 0660 0:0"),
        ("path /proc/keys", "shown", "empty"),
        ("path /proc/keys", "shown", "absent"),
        ("path /proc/sys", "shown, writable", "shown"),
        ("call mount", "EFAULT", "EPERM"),
        ("call socket NETLINK audit", "ok", "EINVAL"),
        ("write to /", "ok", "EROFS"),
        ("processes allowed", "max", "2048"),
        ("oom score adjustment", "-1", "0"),
        ("sysctl ping_group_range", "0 0", "1 0"),
    ];
    for (name, ours, theirs) in weaker {
        assert!(is_weaker(name, Some(ours), Some(theirs)), "{name}: {ours}");
        assert!(
            !is_weaker(name, Some(theirs), Some(ours)),
            "{name}: {theirs}"
        );
        assert!(!is_weaker(name, Some(ours), Some(ours)), "{name}: {ours}");
    }
    let (other, usual) = (Some("c 1:1 0666 0:0"), Some("c 1:3 0666 0:0"));
    assert!(is_weaker("node /dev/null", other, usual));
    assert!(is_weaker("node /dev/mem", Some("c 1:1 0666 0:0"), None));
    assert!(is_weaker("mount /x", Some("ext4 rw,nosuid"), None));
    assert!(!is_weaker("mount /x", None, Some("ext4 rw")));
}
