//! What a container looks like from inside, one fact a line: name, tab, value.
//!
//! Compiled by peers.rs with nothing but the standard library, linked statically, and put into an
//! image. It changes nothing that outlives it, privileged or not: system calls get arguments that
//! the kernel finds invalid once they are allowed at all, each in a child of its own.

// The standard library's own main ignores SIGPIPE; what the container does is a fact.
#![no_main]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
    fn access(path: *const u8, mode: i32) -> i32;
}

/// Not a descriptor, not an address.
const BAD: i64 = -1;
const NEW_USER: i64 = 0x1000_0000;
const NEW_MOUNT: i64 = 0x0002_0000;

fn fact(name: &str, value: impl std::fmt::Display) {
    println!("{name}\t{value}");
}

#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    status();
    limits();
    namespaces();
    mounts();
    devices(Path::new("/dev"));
    environment();
    streams();
    paths();
    calls();
    rest();
    0
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| errno(&error))
}

fn errno(error: &io::Error) -> String {
    name(error.raw_os_error().unwrap_or(0))
}

fn name(number: i32) -> String {
    let known = match number {
        0 => "ok",
        1 => "EPERM",
        2 => "ENOENT",
        3 => "ESRCH",
        5 => "EIO",
        6 => "ENXIO",
        7 => "E2BIG",
        8 => "ENOEXEC",
        9 => "EBADF",
        10 => "ECHILD",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        17 => "EEXIST",
        19 => "ENODEV",
        20 => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        25 => "ENOTTY",
        30 => "EROFS",
        38 => "ENOSYS",
        93 => "EPROTONOSUPPORT",
        94 => "ESOCKTNOSUPPORT",
        95 => "EOPNOTSUPP",
        97 => "EAFNOSUPPORT",
        126 => "ENOKEY",
        _ => return format!("errno {number}"),
    };
    known.to_owned()
}

// --- credentials, limits ---------------------------------------------------------------------------------------------

const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The fields of `/proc/self/status` that a runtime decides.
const STATUS: [&str; 16] = [
    "Uid",
    "Gid",
    "Groups",
    "Umask",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
    "Speculation_Store_Bypass",
    "SpeculationIndirectBranch",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "SigBlk",
    "SigIgn",
];

fn status() {
    for line in read("/proc/self/status").lines() {
        let Some((field, value)) = line.split_once(':') else {
            continue;
        };
        if !STATUS.contains(&field) {
            continue;
        }
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = match (field.starts_with("Cap"), u64::from_str_radix(&value, 16)) {
            (true, Ok(bits)) => capabilities(bits),
            _ => value,
        };
        fact(&format!("status {field}"), or_none(shown));
    }
}

fn or_none(text: String) -> String {
    match text.trim() {
        "" => "none".to_owned(),
        text => text.to_owned(),
    }
}

fn capabilities(bits: u64) -> String {
    let set = (0..64).filter(|bit| bits >> bit & 1 == 1);
    let mut names: Vec<String> = set
        .map(|bit| {
            CAPABILITIES
                .get(bit)
                .map_or_else(|| bit.to_string(), |name| (*name).to_owned())
        })
        .collect();
    names.sort();
    names.join(" ")
}

fn limits() {
    for line in read("/proc/self/limits").lines().skip(1) {
        let (name, values) = line.split_at(line.len().min(26));
        let values: Vec<_> = values.split_whitespace().take(2).collect();
        fact(
            &format!("limit {}", name.trim().to_lowercase()),
            values.join(" "),
        );
    }
    fact(
        "oom score adjustment",
        read("/proc/self/oom_score_adj").trim(),
    );
    fact(
        "core dump filter",
        read("/proc/self/coredump_filter").trim(),
    );
}

// --- namespaces, mounts ----------------------------------------------------------------------------------------------

fn namespaces() {
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
        let link = fs::read_link(format!("/proc/self/ns/{kind}"));
        let shown = link.map_or_else(|error| errno(&error), |link| link.display().to_string());
        fact(&format!("namespace {kind}"), shown);
    }
    let groups = read("/proc/self/cgroup");
    let mut seen: Vec<_> = groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    fact("cgroup paths", seen.join(" "));
    let places = ["/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max"];
    let limit = places.iter().find_map(|path| fs::read_to_string(path).ok());
    fact(
        "processes allowed",
        limit.as_deref().unwrap_or("absent").trim(),
    );
}

/// Type, options of the mount, what of the superblock's is not the same everywhere; propagation.
fn mounts() {
    let table = read("/proc/self/mountinfo");
    let mut cgroups: Vec<(String, Vec<String>)> = Vec::new();
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<_> = left.split(' ').collect();
        let right: Vec<_> = right.split(' ').collect();
        let (target, kind) = (left[4], right[0]);
        let mut options: Vec<String> = left[5].split(',').map(str::to_owned).collect();
        let own = right[2].split(',');
        let told = |option: &&str| {
            ["size=", "mode=", "ptmxmode=", "gid=", "hidepid="]
                .iter()
                .any(|key| option.starts_with(key))
        };
        // What a bind is of is the host's business, and so are its superblock's options.
        if ["tmpfs", "devpts", "proc"].contains(&kind) && left[3] == "/" {
            options.extend(own.filter(told).map(str::to_owned));
        } else if right[2].split(',').any(|option| option == "ro") {
            options.push("superblock ro".to_owned());
        }
        let propagation = left[6..].iter().filter_map(|field| field.split(':').next());
        options.extend(propagation.map(|word| format!("propagation {word}")));
        if kind.starts_with("cgroup") {
            cgroups.push((target.to_owned(), options));
        } else {
            fact(
                &format!("mount {target}"),
                format!("{kind} {}", options.join(",")),
            );
        }
    }
    // How many there are is the host's business.
    let Some((_, mut common)) = cgroups.pop() else {
        return fact("mount cgroups", "none");
    };
    common.retain(|option| cgroups.iter().all(|(_, other)| other.contains(option)));
    fact("mount cgroups", format!("cgroup {}", common.join(",")));
}

// --- files -----------------------------------------------------------------------------------------------------------

fn devices(directory: &Path) {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        let (kind, rdev) = (meta.file_type(), meta.rdev());
        let number = format!(
            "{}:{}",
            rdev >> 8 & 0xfff,
            rdev & 0xff | rdev >> 12 & 0xffff_ff00
        );
        let owner = format!("{:04o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
        let shown = if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap_or_default().display())
        } else if kind.is_char_device() {
            format!("c {number} {owner}")
        } else if kind.is_block_device() {
            format!("b {number} {owner}")
        } else if kind.is_dir() {
            format!("directory {owner}")
        } else {
            format!("file {owner}")
        };
        // The numbers of terminals differ.
        if path.starts_with("/dev/pts")
            && path != Path::new("/dev/pts")
            && entry.file_name() != "ptmx"
        {
            continue;
        }
        fact(&format!("node {}", path.display()), shown);
        if kind.is_dir() {
            devices(&path);
        }
    }
}

fn environment() {
    for (name, value) in std::env::vars() {
        fact(&format!("environment {name}"), value);
    }
}

fn streams() {
    let mut above = 0;
    for entry in fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
    {
        let link = fs::read_link(entry.path()).unwrap_or_default();
        let link = link.display().to_string();
        match entry.file_name().to_str() {
            Some("0") => fact("stdin", link),
            Some("1" | "2") => (),
            // The one that lists them.
            _ if link.ends_with("/fd") => (),
            _ => above += 1,
        }
    }
    fact("descriptors above 2", above);
}

/// What somebody masks or protects, or has reason to.
const PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/config.gz",
    "/proc/driver",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/irq",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecount",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/mtrr",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/sys",
    "/proc/sys/fs/binfmt_misc",
    "/proc/sys/fs/mqueue/queues_max",
    "/proc/sys/fs/suid_dumpable",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/msgmax",
    "/proc/sys/kernel/printk",
    "/proc/sys/kernel/randomize_va_space",
    "/proc/sys/kernel/shmmax",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys",
    "/sys/block",
    "/sys/class/net",
    "/sys/dev/block",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/fs/selinux",
    "/sys/kernel/debug",
    "/sys/kernel/kexec_crash_size",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/notes",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/uevent_seqnum",
    "/sys/kernel/vmcoreinfo",
    "/sys/module",
    "/sys/power/state",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc",
    "/run/.containerenv",
    "/.dockerenv",
];

fn paths() {
    for path in PATHS {
        fact(&format!("path {path}"), seen(path));
    }
}

/// `absent`, or what can be read of it (`hidden` is an error, `empty` no content) and whether it
/// can be opened for writing.
fn seen(path: &str) -> String {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return "absent".to_owned(),
        Err(error) => return format!("hidden {}", errno(&error)),
    };
    let character = meta.file_type().is_char_device();
    let readable = if meta.is_dir() {
        match fs::read_dir(path) {
            Err(error) => format!("hidden {}", errno(&error)),
            Ok(mut entries) => match entries.next() {
                None => "empty".to_owned(),
                Some(_) => "shown".to_owned(),
            },
        }
    } else if path == "/proc/kmsg" {
        // Reading it would take the host's messages, or wait for some.
        File::open(path).map_or_else(
            |error| format!("hidden {}", errno(&error)),
            |_| "shown".into(),
        )
    } else {
        let content = File::open(path).and_then(|mut file| file.read(&mut [0; 64]));
        match content {
            Err(error) => format!("hidden {}", errno(&error)),
            Ok(0) => "empty".to_owned(),
            Ok(_) => "shown".to_owned(),
        }
    };
    // A device says nothing of what is below it.
    if character {
        return readable;
    }
    let writable = if meta.is_dir() {
        let path = format!("{path}\0");
        // SAFETY: the path ends with a null byte.
        unsafe { access(path.as_ptr(), 2) == 0 }
    } else {
        OpenOptions::new().write(true).open(path).is_ok()
    };
    format!("{readable}{}", if writable { ", writable" } else { "" })
}

// --- system calls ----------------------------------------------------------------------------------------------------

/// A name, a number, arguments: harmless where allowed.
const CALLS: &[(&str, i64, [i64; 6])] = &[
    ("accept4", 288, [BAD, 0, 0, 0, 0, 0]),
    ("acct", 163, [BAD, 0, 0, 0, 0, 0]),
    ("add_key", 248, [BAD, BAD, 0, 0, 0, 0]),
    ("bpf", 321, [BAD, 0, 0, 0, 0, 0]),
    ("cachestat", 451, [BAD, 0, 0, 0, 0, 0]),
    ("chroot", 161, [BAD, 0, 0, 0, 0, 0]),
    ("clock_adjtime", 305, [BAD, BAD, 0, 0, 0, 0]),
    ("clock_settime", 227, [0, BAD, 0, 0, 0, 0]),
    (
        "clone of a mount namespace",
        56,
        [NEW_MOUNT | 0x200, 0, 0, 0, 0, 0],
    ),
    (
        "clone of a user namespace",
        56,
        [NEW_USER | 0x200, 0, 0, 0, 0, 0],
    ),
    ("clone3", 435, [0, 0, 0, 0, 0, 0]),
    ("delete_module", 176, [BAD, 0, 0, 0, 0, 0]),
    ("fanotify_init", 300, [BAD, BAD, 0, 0, 0, 0]),
    ("finit_module", 313, [BAD, 0, 0, 0, 0, 0]),
    ("fsconfig", 431, [BAD, BAD, 0, 0, 0, 0]),
    ("fsmount", 432, [BAD, BAD, 0, 0, 0, 0]),
    ("fsopen", 430, [BAD, 0, 0, 0, 0, 0]),
    ("fspick", 433, [BAD, 0, 0, 0, 0, 0]),
    ("futex_waitv", 449, [BAD, 0, 0, 0, 0, 0]),
    ("get_mempolicy", 239, [BAD, 0, 0, 0, 0, 0]),
    ("init_module", 175, [BAD, 0, 0, 0, 0, 0]),
    ("io_setup", 206, [0, BAD, 0, 0, 0, 0]),
    ("io_uring_enter", 426, [BAD, 0, 0, 0, 0, 0]),
    ("io_uring_register", 427, [BAD, 0, 0, 0, 0, 0]),
    ("io_uring_setup", 425, [0, 0, 0, 0, 0, 0]),
    ("ioctl TIOCLINUX", 16, [BAD, 0x541c, 0, 0, 0, 0]),
    ("ioctl TIOCSTI", 16, [BAD, 0x5412, 0, 0, 0, 0]),
    (
        "ioctl TIOCSTI with high bits",
        16,
        [BAD, 0x1_0000_5412, 0, 0, 0, 0],
    ),
    ("ioperm", 173, [0, BAD, 0, 0, 0, 0]),
    ("iopl", 172, [BAD, 0, 0, 0, 0, 0]),
    ("kcmp", 312, [BAD, BAD, 0, 0, 0, 0]),
    ("kexec_file_load", 320, [BAD, BAD, 0, 0, BAD, 0]),
    ("kexec_load", 246, [0, 999, 0, 0, 0, 0]),
    ("keyctl", 250, [BAD, 0, 0, 0, 0, 0]),
    ("landlock_create_ruleset", 444, [0, 0, 1, 0, 0, 0]),
    ("lookup_dcookie", 212, [0, 0, 0, 0, 0, 0]),
    ("mbind", 237, [0, 0, 99, 0, 0, 0]),
    ("memfd_secret", 447, [BAD, 0, 0, 0, 0, 0]),
    ("migrate_pages", 256, [BAD, 0, 0, 0, 0, 0]),
    ("mount", 165, [BAD, BAD, BAD, 0, 0, 0]),
    ("mount_setattr", 442, [BAD, BAD, 0, 0, 0, 0]),
    ("move_mount", 429, [BAD, BAD, BAD, BAD, 0, 0]),
    ("move_pages", 279, [BAD, 0, 0, 0, 0, 0]),
    ("name_to_handle_at", 303, [BAD, BAD, BAD, BAD, 0, 0]),
    ("nfsservctl", 180, [0, 0, 0, 0, 0, 0]),
    ("open_by_handle_at", 304, [BAD, BAD, 0, 0, 0, 0]),
    ("open_tree", 428, [BAD, BAD, 0, 0, 0, 0]),
    ("openat2", 437, [BAD, BAD, BAD, 0, 0, 0]),
    ("perf_event_open", 298, [BAD, 0, 0, BAD, BAD, 0]),
    (
        "personality ADDR_NO_RANDOMIZE",
        135,
        [0x0040_0000, 0, 0, 0, 0, 0],
    ),
    (
        "personality READ_IMPLIES_EXEC",
        135,
        [0x0400_0000, 0, 0, 0, 0, 0],
    ),
    ("pidfd_getfd", 438, [BAD, 0, 0, 0, 0, 0]),
    ("pidfd_open", 434, [BAD, 0, 0, 0, 0, 0]),
    ("pivot_root", 155, [BAD, BAD, 0, 0, 0, 0]),
    ("process_madvise", 440, [BAD, 0, 0, 0, 0, 0]),
    ("process_vm_readv", 310, [BAD, 0, 0, 0, 0, 0]),
    ("process_vm_writev", 311, [BAD, 0, 0, 0, 0, 0]),
    ("ptrace TRACEME", 101, [0, 0, 0, 0, 0, 0]),
    ("quotactl", 179, [BAD, BAD, 0, 0, 0, 0]),
    ("quotactl_fd", 443, [BAD, 0, 0, 0, 0, 0]),
    ("reboot", 169, [0, 0, 0, 0, 0, 0]),
    ("request_key", 249, [BAD, BAD, 0, 0, 0, 0]),
    ("sched_setscheduler FIFO", 144, [0, 1, BAD, 0, 0, 0]),
    ("set_mempolicy", 238, [BAD, 0, 0, 0, 0, 0]),
    ("setdomainname", 171, [BAD, 1, 0, 0, 0, 0]),
    ("sethostname", 170, [BAD, 1, 0, 0, 0, 0]),
    ("setns", 308, [BAD, 0, 0, 0, 0, 0]),
    ("settimeofday", 164, [0, 0, 0, 0, 0, 0]),
    ("socket ALG", 41, [38, 5, 0, 0, 0, 0]),
    ("socket INET raw", 41, [2, 3, 1, 0, 0, 0]),
    ("socket NETLINK audit", 41, [16, 3, 9, 0, 0, 0]),
    ("socket NETLINK route", 41, [16, 3, 0, 0, 0, 0]),
    ("socket PACKET", 41, [17, 3, 0, 0, 0, 0]),
    ("socket VSOCK", 41, [40, 1, 0, 0, 0, 0]),
    ("socket ping", 41, [2, 2, 1, 0, 0, 0]),
    ("swapoff", 168, [BAD, 0, 0, 0, 0, 0]),
    ("swapon", 167, [BAD, 0, 0, 0, 0, 0]),
    ("sysfs", 139, [BAD, 0, 0, 0, 0, 0]),
    ("syslog", 103, [10, 0, 0, 0, 0, 0]),
    ("umount2", 166, [BAD, 0, 0, 0, 0, 0]),
    ("unknown", 9999, [0; 6]),
    (
        "unshare of a mount namespace",
        272,
        [NEW_MOUNT, 0, 0, 0, 0, 0],
    ),
    (
        "unshare of a user namespace",
        272,
        [NEW_USER, 0, 0, 0, 0, 0],
    ),
    ("uselib", 134, [BAD, 0, 0, 0, 0, 0]),
    ("userfaultfd", 323, [BAD, 0, 0, 0, 0, 0]),
    ("ustat", 136, [0, BAD, 0, 0, 0, 0]),
    ("x32 getpid", 0x4000_0000 | 39, [0; 6]),
];

/// The same by way of a 32-bit call, with i386's numbers.
const CALLS_32: &[(&str, i64, [i64; 5])] = &[
    ("i386 getpid", 20, [0; 5]),
    ("i386 keyctl", 288, [BAD, 0, 0, 0, 0]),
    ("i386 mount", 21, [BAD, BAD, BAD, 0, 0]),
    ("i386 socket ALG", 359, [38, 5, 0, 0, 0]),
    (
        "i386 unshare of a user namespace",
        310,
        [NEW_USER, 0, 0, 0, 0],
    ),
];

fn calls() {
    for (name, number, arguments) in CALLS {
        fact(
            &format!("call {name}"),
            in_child(|| native(*number, arguments)),
        );
    }
    for (name, number, arguments) in CALLS_32 {
        fact(
            &format!("call {name}"),
            in_child(|| interrupt(*number, arguments)),
        );
    }
    let make = || {
        // A character device, 1:1: the machine's memory.
        native(
            133,
            &[c"/probe-node".as_ptr() as i64, 0o020_600, 0x101, 0, 0, 0],
        )
    };
    fact("call mknod of /dev/mem", in_child(make));
    let opened = File::open("/probe-node").map_or_else(|error| errno(&error), |_| "ok".to_owned());
    fact("open of an own /dev/mem", opened);
    let _ = fs::remove_file("/probe-node");
    let made = fs::create_dir("/sys/fs/cgroup/probe");
    fact(
        "mkdir in /sys/fs/cgroup",
        made.map_or_else(|error| errno(&error), |()| "ok".to_owned()),
    );
    let _ = fs::remove_dir("/sys/fs/cgroup/probe");
    let written = fs::write("/probe-file", "x");
    fact(
        "write to /",
        written.map_or_else(|error| errno(&error), |()| "ok".to_owned()),
    );
    let _ = fs::remove_file("/probe-file");
    for place in ["/dev", "/dev/shm", "/tmp", "/run", "/var/tmp"] {
        let path = format!("{place}/probe");
        let written = fs::write(&path, "x");
        let shown = written.map_or_else(|error| errno(&error), |()| "ok".to_owned());
        fact(&format!("write to {place}"), shown);
        let _ = fs::remove_file(path);
    }
}

/// The error of a call in a child; its death by a signal.
fn in_child(call: impl Fn() -> i32) -> String {
    let mut status = 0;
    // SAFETY: there is one thread; the child makes a system call and ends.
    match unsafe { fork() } {
        0 => {
            let number = call();
            // SAFETY: it has no memory arguments.
            unsafe { _exit(number) }
        }
        // SAFETY: our own child, and a place for its status.
        child => unsafe { waitpid(child, &raw mut status, 0) },
    };
    match status & 0x7f {
        0 => name(status >> 8 & 0xff),
        signal => format!("signal {signal}"),
    }
}

fn native(number: i64, a: &[i64; 6]) -> i32 {
    // SAFETY: what the arguments are is said above.
    let result = unsafe { syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    match result {
        -1 => io::Error::last_os_error().raw_os_error().unwrap_or(0),
        _ => 0,
    }
}

fn interrupt(number: i64, a: &[i64; 5]) -> i32 {
    let mut result = number;
    // SAFETY: as above; LLVM's own rbx is put back, and r8 to r11 are not kept.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {b}", "int 0x80", "xchg rbx, {b}",
            b = inout(reg) a[0] => _,
            inout("rax") result, in("rcx") a[1], in("rdx") a[2], in("rsi") a[3], in("rdi") a[4],
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let result = result as i32;
    if result < 0 { -result } else { 0 }
}

// --- the rest --------------------------------------------------------------------------------------------------------

fn rest() {
    let stat = read("/proc/self/stat");
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let number = |place: usize| fields.get(place).copied().unwrap_or("?");
    fact("process id", std::process::id());
    fact("parent", number(1));
    fact("process group", number(2));
    fact("session", number(3));
    fact(
        "controlling terminal",
        if number(4) == "0" { "none" } else { "its own" },
    );
    let tty = File::open("/dev/tty").map_or_else(|error| errno(&error), |_| "ok".to_owned());
    fact("open of /dev/tty", tty);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        processes.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    fact("processes seen", processes.count());
    fact("host name", read("/proc/sys/kernel/hostname").trim());
    fact(
        "working directory",
        std::env::current_dir().unwrap_or_default().display(),
    );
    fact(
        "label",
        or_none(read("/proc/self/attr/current").replace('\0', "")).trim(),
    );
    for (name, path) in [
        ("ping_group_range", "/proc/sys/net/ipv4/ping_group_range"),
        (
            "ip_unprivileged_port_start",
            "/proc/sys/net/ipv4/ip_unprivileged_port_start",
        ),
    ] {
        fact(
            &format!("sysctl {name}"),
            read(path).split_whitespace().collect::<Vec<_>>().join(" "),
        );
    }
    let devices = read("/proc/self/net/dev");
    let mut devices: Vec<_> = devices
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    devices.sort_unstable();
    fact("network devices", devices.join(" "));
}
