//! What a filter says of a system call: an action, perhaps one that depends on the arguments.
//!
//! Pure data, shared by the built-in policy, profiles, and the compiler; also part of the build
//! script, so nothing here names the rest of the crate.

use std::collections::BTreeMap;

/// What the kernel does with a call: a `SECCOMP_RET_*` value with its data in the low 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(pub u32);

impl Action {
    pub const KILL_PROCESS: Self = Self(0x8000_0000);
    pub const KILL_THREAD: Self = Self(0);
    pub const TRAP: Self = Self(0x0003_0000);
    pub const LOG: Self = Self(0x7ffc_0000);
    pub const ALLOW: Self = Self(0x7fff_0000);
    pub const EPERM: Self = Self::errno(1);
    pub const EINVAL: Self = Self::errno(22);
    pub const ENOSYS: Self = Self::errno(38);

    /// The call fails with this error and does nothing.
    pub const fn errno(number: u16) -> Self {
        Self(0x0005_0000 | number as u32)
    }

    /// A tracer is asked; without one the call fails with ENOSYS.
    pub const fn trace(message: u16) -> Self {
        Self(0x7ff0_0000 | message as u32)
    }

    /// What goes with it: the error's number.
    pub const fn data(self) -> u32 {
        self.0 & 0xffff
    }

    /// The kernel's own order of actions, the strictest first.
    pub const fn rank(self) -> i32 {
        (self.0 & 0xffff_0000).cast_signed()
    }

    /// Whether a call that nobody has judged is let through, if only to a tracer.
    pub const fn lets_through(self) -> bool {
        matches!(
            self.0 & 0xffff_0000,
            0x7fff_0000 | 0x7ffc_0000 | 0x7ff0_0000
        )
    }
}

/// How an argument is compared; unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Equal in these bits.
    Masked(u64),
}

/// One argument compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// 0 to 5.
    pub argument: u8,
    pub compare: Compare,
    pub value: u64,
}

/// An action that is taken if all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub conditions: Vec<Condition>,
    pub action: Action,
}

impl Case {
    /// A case with one condition.
    pub fn when(argument: u8, compare: Compare, value: u64, action: Action) -> Self {
        let condition = Condition {
            argument,
            compare,
            value,
        };
        Self {
            conditions: vec![condition],
            action,
        }
    }
}

/// What happens to one system call: the first case that holds decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub cases: Vec<Case>,
    pub otherwise: Action,
}

impl Rule {
    /// The same for all arguments.
    pub fn always(action: Action) -> Self {
        Self {
            cases: Vec::new(),
            otherwise: action,
        }
    }
}

/// An instruction set as the kernel reports it to filters (`AUDIT_ARCH_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    I386,
    Aarch64,
    Arm,
}

impl Architecture {
    /// The value in `seccomp_data.arch`.
    pub fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// The column of the table of system calls.
    pub fn column(self) -> usize {
        self as usize
    }

    /// Whether arguments have 64 bits; the upper half of others is always zero.
    pub fn is_wide(self) -> bool {
        matches!(self, Self::X86_64 | Self::Aarch64)
    }
}

/// All system calls of one architecture.
#[derive(Clone, Debug)]
pub struct Table {
    pub architecture: Architecture,
    /// By number.
    pub rules: BTreeMap<u32, Rule>,
    /// For numbers without a rule: from which number on, what; ascending from 0.
    pub rest: Vec<(u32, Action)>,
}
