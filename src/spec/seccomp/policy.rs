//! The built-in filter: moby's list and conditions, more careful answers, and no TIOCSTI.
//!
//! A call that nobody has judged yet fails with ENOSYS, so that libraries fall back to an older
//! one; a known one that is refused fails with EPERM. Also part of the build script.

use super::capability::{AUDIT_WRITE, RELEVANT, SYS_ADMIN, SYS_CHROOT, SYS_PTRACE};
use super::rule::{Action, Architecture, Case, Compare, Condition, Rule, Table};
use super::syscalls::{NO, SYSCALLS};

/// Who may make a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Everybody.
    Always,
    /// Nobody.
    Never,
    /// Nobody, and as if it did not exist: newer than the profile that the grants are from.
    Later,
    /// Whoever has one of these capabilities.
    Any(u64),
    /// It depends on more than that.
    Special,
}

/// What a filter is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The bounding set, of which only some are [`RELEVANT`].
    pub capabilities: u64,
    /// Before Linux 4.8 a tracer could change a call after the filter had seen it.
    pub ptrace_is_filtered: bool,
}

impl Circumstances {
    /// The usual ones: ucr's default capabilities.
    pub const USUAL: Self = Self {
        capabilities: SYS_CHROOT,
        ptrace_is_filtered: true,
    };
    /// The second most usual ones: all capabilities dropped.
    pub const BARE: Self = Self {
        capabilities: 0,
        ptrace_is_filtered: true,
    };

    /// What matters of a container's bounding set and the kernel's version.
    pub fn new(capabilities: u64, kernel: (u32, u32)) -> Self {
        Self {
            capabilities: capabilities & RELEVANT,
            ptrace_is_filtered: kernel >= (4, 8),
        }
    }

    fn has_any(self, capabilities: u64) -> bool {
        self.capabilities & capabilities != 0
    }
}

/// The tables of a machine's architectures, its own first.
pub fn tables(family: [Architecture; 2], circumstances: Circumstances) -> Vec<Table> {
    let of = |architecture| table(architecture, circumstances);
    family.into_iter().map(of).collect()
}

fn table(architecture: Architecture, circumstances: Circumstances) -> Table {
    let known = SYSCALLS.iter().filter_map(|(name, grant, numbers)| {
        let number = numbers[architecture.column()];
        (number != NO).then(|| (number, rule(name, *grant, circumstances)))
    });
    Table {
        architecture,
        rules: known.collect(),
        // That includes the numbers of the x32 ABI, which have bit 30 set.
        rest: vec![(0, Action::ENOSYS)],
    }
}

/// What is said of one call.
pub fn rule(name: &str, grant: Grant, circumstances: Circumstances) -> Rule {
    let granted = match grant {
        Grant::Always => true,
        Grant::Never => false,
        Grant::Later => return Rule::always(Action::ENOSYS),
        Grant::Any(capabilities) => circumstances.has_any(capabilities),
        Grant::Special => return special(name, circumstances),
    };
    Rule::always(if granted {
        Action::ALLOW
    } else {
        Action::EPERM
    })
}

fn special(name: &str, circumstances: Circumstances) -> Rule {
    let administrator = circumstances.has_any(SYS_ADMIN);
    match name {
        "clone" | "clone3" if administrator => Rule::always(Action::ALLOW),
        "clone" => clone(),
        // Its flags are in memory, out of a filter's sight; C libraries fall back to clone.
        "clone3" => Rule::always(Action::ENOSYS),
        "ioctl" => ioctl(),
        "personality" => personality(),
        "socket" => socket(circumstances.has_any(AUDIT_WRITE)),
        "ptrace" | "process_vm_readv" | "process_vm_writev"
            if circumstances.ptrace_is_filtered || circumstances.has_any(SYS_PTRACE) =>
        {
            Rule::always(Action::ALLOW)
        }
        _ => Rule::always(Action::EPERM),
    }
}

/// All but new namespaces: mount, cgroup, UTS, IPC, user, PID, network. (The one for time, 0x80,
/// lies within the bits of the exit signal, where clone cannot see it.)
fn clone() -> Rule {
    const NAMESPACES: u64 = 0x7e02_0000;
    Rule {
        cases: vec![Case::when(0, Compare::Masked(NAMESPACES), 0, Action::ALLOW)],
        otherwise: Action::EPERM,
    }
}

/// All but TIOCSTI and TIOCLINUX, which type into a terminal for somebody else (CVE-2017-5226).
/// The kernel looks at 32 bits only, so the others must not hide a request from us
/// (CVE-2019-10063).
fn ioctl() -> Rule {
    const REQUEST: u64 = 0xffff_ffff;
    let refuse = |request| Case::when(1, Compare::Masked(REQUEST), request, Action::EPERM);
    Rule {
        cases: vec![refuse(0x5412), refuse(0x541c)],
        otherwise: Action::ALLOW,
    }
}

/// PER_LINUX and PER_LINUX32, each also with UNAME26, and the question which one it is.
fn personality() -> Rule {
    let allow = |persona| Case::when(0, Compare::Equal, persona, Action::ALLOW);
    Rule {
        cases: [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(allow).into(),
        otherwise: Action::EPERM,
    }
}

/// Families in use, without AF_ALG (38: a broad way into the kernel's crypto code) and AF_VSOCK
/// (40: it reaches the hypervisor past every network namespace), and without those that the kernel
/// has dropped. socketcall of i386 keeps the family in memory; as in moby, it is allowed.
///
/// Who may not write to the audit log gets no socket for it, as in podman, and is told that there
/// is no such thing: then login and sshd do without, where they fail if sending is refused.
fn socket(may_audit: bool) -> Rule {
    const FAMILIES: [(u64, u64); 8] = [
        (0, 11),
        (13, 18),
        (21, 22),
        (24, 24),
        (26, 33),
        (35, 36),
        (39, 39),
        (41, 45),
    ];
    // In this order the first that holds decides: below the end of a range, unless below its start.
    let families = FAMILIES.iter().flat_map(|&(first, last)| {
        [
            Case::when(0, Compare::Less, first, Action::EPERM),
            Case::when(0, Compare::LessOrEqual, last, Action::ALLOW),
        ]
    });
    let audit = (!may_audit).then(refuse_audit);
    Rule {
        cases: audit.into_iter().chain(families).collect(),
        otherwise: Action::EPERM,
    }
}

/// NETLINK_AUDIT; the kernel looks at 32 bits of it only.
fn refuse_audit() -> Case {
    const NETLINK: u64 = 16;
    const AUDIT: u64 = 9;
    let condition = |argument, compare, value| Condition {
        argument,
        compare,
        value,
    };
    Case {
        conditions: vec![
            condition(0, Compare::Equal, NETLINK),
            condition(2, Compare::Masked(0xffff_ffff), AUDIT),
        ],
        action: Action::EINVAL,
    }
}
