//! The capabilities that open system calls in the built-in filter, as bits of a set.
//!
//! The build script cannot name the `caps` crate's types cheaply, so these are the kernel's numbers
//! (linux/capability.h); a test holds them against the crate's.

pub const DAC_READ_SEARCH: u64 = 1 << 2;
pub const SYS_MODULE: u64 = 1 << 16;
pub const SYS_RAWIO: u64 = 1 << 17;
pub const SYS_CHROOT: u64 = 1 << 18;
pub const SYS_PTRACE: u64 = 1 << 19;
pub const SYS_PACCT: u64 = 1 << 20;
pub const SYS_ADMIN: u64 = 1 << 21;
pub const SYS_BOOT: u64 = 1 << 22;
pub const SYS_NICE: u64 = 1 << 23;
pub const SYS_TIME: u64 = 1 << 25;
pub const SYS_TTY_CONFIG: u64 = 1 << 26;
pub const AUDIT_WRITE: u64 = 1 << 29;
pub const SYSLOG: u64 = 1 << 34;
pub const PERFMON: u64 = 1 << 38;
pub const BPF: u64 = 1 << 39;

/// All of them: other capabilities make no difference to the filter.
pub const RELEVANT: u64 = DAC_READ_SEARCH
    | SYS_MODULE
    | SYS_RAWIO
    | SYS_CHROOT
    | SYS_PTRACE
    | SYS_PACCT
    | SYS_ADMIN
    | SYS_BOOT
    | SYS_NICE
    | SYS_TIME
    | SYS_TTY_CONFIG
    | AUDIT_WRITE
    | SYSLOG
    | PERFMON
    | BPF;
