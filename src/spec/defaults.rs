//! ucr's own defaults, shared by every runtime: what a container may do and see unless its
//! description says otherwise (reference/runtime.md, section 4).

use caps::Capability;

/// What a container's root may do: Podman's eleven without SETFCAP. Everything that talks to
/// hardware, the network's raw side or other namespaces is missing on purpose.
pub const CAPABILITIES: [Capability; 10] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_SETUID,
    Capability::CAP_SYS_CHROOT,
];

/// Processes and threads of a container for which nothing else was asked (as podman).
pub const PIDS: u64 = 2048;

/// Open files of a process, soft and hard limit, where nothing else was asked: what programs that
/// call select(2) expect, and how far others may raise it (as systemd).
pub const OPEN_FILES: (u64, u64) = (1024, 524_288);

/// Bytes of `/dev/shm`, which [`FILESYSTEMS`] says in its own words.
pub const SHARED_MEMORY: u64 = 64 << 20;

/// Replaced by nothing, where they exist: they tell of the host or are side channels. All that
/// docker, podman, containerd and Mesos mask.
pub const MASKED_PATHS: [&str; 15] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
    "/sys/kernel/debug",
];

/// Readable only, where they exist: writing to them changes the host.
pub const READ_ONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// A filesystem that every container gets fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// Where it is mounted.
    pub target: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// Its own options; one without a value is a flag.
    pub options: &'static [(&'static str, Option<&'static str>)],
    /// Refuse writes.
    pub read_only: bool,
    /// Refuse to execute.
    pub no_exec: bool,
    /// Ignore device nodes.
    pub no_dev: bool,
}

/// In the order of mounting. None of them honours set-user-ID bits.
pub const FILESYSTEMS: [Filesystem; 6] = [
    Filesystem {
        target: "/proc",
        kind: "proc",
        options: &[],
        read_only: false,
        no_exec: true,
        no_dev: true,
    },
    Filesystem {
        target: "/dev",
        kind: "tmpfs",
        options: &[("mode", Some("755")), ("size", Some("65536k"))],
        read_only: false,
        no_exec: true,
        no_dev: false,
    },
    Filesystem {
        target: "/dev/pts",
        kind: "devpts",
        options: &[
            ("newinstance", None),
            ("ptmxmode", Some("0666")),
            ("mode", Some("0620")),
            ("gid", Some("5")),
        ],
        read_only: false,
        no_exec: true,
        no_dev: false,
    },
    Filesystem {
        target: "/dev/shm",
        kind: "tmpfs",
        options: &[("mode", Some("1777")), ("size", Some("65536k"))],
        read_only: false,
        no_exec: true,
        no_dev: true,
    },
    Filesystem {
        target: "/dev/mqueue",
        kind: "mqueue",
        options: &[],
        read_only: false,
        no_exec: true,
        no_dev: true,
    },
    Filesystem {
        target: "/sys",
        kind: "sysfs",
        options: &[],
        read_only: true,
        no_exec: true,
        no_dev: true,
    },
];

/// Character devices in `/dev`: name, major, minor; all 0666.
pub const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Symbolic links in `/dev`: name, target.
pub const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_has_one_size() {
        let found = FILESYSTEMS.iter().find(|it| it.target == "/dev/shm");
        let size = format!("{}k", SHARED_MEMORY >> 10);
        let options = found.map(|it| it.options).unwrap_or_default();
        assert!(
            options.contains(&("size", Some(size.as_str()))),
            "{options:?}"
        );
    }
}
