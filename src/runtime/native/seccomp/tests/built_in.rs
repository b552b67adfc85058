//! The built-in filter: its decisions by name, its size and its depth.

use std::collections::HashSet;

use caps::{Capability, CapsHashSet};

use super::super::compile::compile;
use super::super::policy::{Circumstances, tables};
use super::super::rule::{Action, Architecture};
use super::super::syscalls::{NO, SYSCALLS};
use super::super::{Filter, Instruction, bits};
use super::interpreter::{Call, run, verify};
use super::{judge, number};
use crate::spec::defaults::CAPABILITIES;
use crate::spec::seccomp::capability::{self, RELEVANT};

const MODERN: (u32, u32) = (6, 1);
const X86: [Architecture; 2] = [Architecture::X86_64, Architecture::I386];
const ARM: [Architecture; 2] = [Architecture::Aarch64, Architecture::Arm];

fn program(family: [Architecture; 2], capabilities: u64) -> Vec<Instruction> {
    let program = compile(&tables(family, Circumstances::new(capabilities, MODERN)));
    verify(&program);
    program
}

/// Name, arguments, what is said with the usual capabilities, what with all.
const DECISIONS: &[(&str, &[u64], Action, Action)] = {
    use Action as A;
    &[
        ("read", &[], A::ALLOW, A::ALLOW),
        ("openat2", &[], A::ALLOW, A::ALLOW),
        ("chroot", &[], A::ALLOW, A::ALLOW),
        ("ptrace", &[], A::ALLOW, A::ALLOW),
        ("process_vm_readv", &[], A::ALLOW, A::ALLOW),
        ("mount", &[], A::EPERM, A::ALLOW),
        ("umount2", &[], A::EPERM, A::ALLOW),
        ("unshare", &[0x1000_0000], A::EPERM, A::ALLOW),
        ("setns", &[], A::EPERM, A::ALLOW),
        ("bpf", &[], A::EPERM, A::ALLOW),
        ("perf_event_open", &[], A::EPERM, A::ALLOW),
        ("syslog", &[], A::EPERM, A::ALLOW),
        ("open_by_handle_at", &[], A::EPERM, A::ALLOW),
        ("kcmp", &[], A::EPERM, A::ALLOW),
        ("reboot", &[], A::EPERM, A::ALLOW),
        ("finit_module", &[], A::EPERM, A::ALLOW),
        ("settimeofday", &[], A::EPERM, A::ALLOW),
        ("mbind", &[], A::EPERM, A::ALLOW),
        ("pivot_root", &[], A::EPERM, A::EPERM),
        ("keyctl", &[], A::EPERM, A::EPERM),
        ("add_key", &[], A::EPERM, A::EPERM),
        ("request_key", &[], A::EPERM, A::EPERM),
        ("io_uring_setup", &[], A::EPERM, A::EPERM),
        ("io_uring_enter", &[], A::EPERM, A::EPERM),
        ("userfaultfd", &[], A::EPERM, A::EPERM),
        ("kexec_load", &[], A::EPERM, A::EPERM),
        ("swapon", &[], A::EPERM, A::EPERM),
        ("listns", &[], A::ENOSYS, A::ENOSYS),
        ("file_getattr", &[], A::ENOSYS, A::ENOSYS),
        ("clone3", &[], A::ENOSYS, A::ALLOW),
        // A thread, a fork with a handle and CLONE_CLEAR_SIGHAND, which is beyond 32 bits.
        ("clone", &[0x003d_0f00], A::ALLOW, A::ALLOW),
        ("clone", &[0x1_0000_1011], A::ALLOW, A::ALLOW),
        ("clone", &[0x0002_0011], A::EPERM, A::ALLOW),
        ("clone", &[0x0200_0011], A::EPERM, A::ALLOW),
        ("clone", &[0x0400_0000], A::EPERM, A::ALLOW),
        ("clone", &[0x0800_0000], A::EPERM, A::ALLOW),
        ("clone", &[0x1000_0011], A::EPERM, A::ALLOW),
        ("clone", &[0x2000_0011], A::EPERM, A::ALLOW),
        ("clone", &[0x4000_0011], A::EPERM, A::ALLOW),
        ("clone", &[0x7e02_0000], A::EPERM, A::ALLOW),
        ("clone", &[u64::MAX], A::EPERM, A::ALLOW),
        ("ioctl", &[0, 0x5401], A::ALLOW, A::ALLOW),
        ("ioctl", &[0, 0x5412], A::EPERM, A::EPERM),
        ("ioctl", &[0x5412, 0x5413], A::ALLOW, A::ALLOW),
        ("ioctl", &[0, 0x541c], A::EPERM, A::EPERM),
        ("personality", &[0], A::ALLOW, A::ALLOW),
        ("personality", &[8], A::ALLOW, A::ALLOW),
        ("personality", &[0x2_0000], A::ALLOW, A::ALLOW),
        ("personality", &[0x2_0008], A::ALLOW, A::ALLOW),
        ("personality", &[0xffff_ffff], A::ALLOW, A::ALLOW),
        ("personality", &[1], A::EPERM, A::EPERM),
        ("personality", &[7], A::EPERM, A::EPERM),
        ("personality", &[9], A::EPERM, A::EPERM),
        // ADDR_NO_RANDOMIZE
        ("personality", &[0x4_0000], A::EPERM, A::EPERM),
        ("personality", &[0x2_0001], A::EPERM, A::EPERM),
        ("personality", &[0xffff_fffe], A::EPERM, A::EPERM),
        // NETLINK_AUDIT, another protocol, another family.
        ("socket", &[16, 3, 9], A::EINVAL, A::ALLOW),
        ("socket", &[16, 3, 0], A::ALLOW, A::ALLOW),
        ("socket", &[2, 3, 9], A::ALLOW, A::ALLOW),
    ]
};

/// What a 32-bit program cannot say: the upper half of an argument.
const WIDE_DECISIONS: &[(&str, &[u64], Action)] = &[
    ("ioctl", &[0, 0x1_0000_5412], Action::EPERM),
    ("ioctl", &[0, 0xffff_ffff_0000_5412], Action::EPERM),
    ("ioctl", &[0, 0x8000_0000_0000_541c], Action::EPERM),
    ("ioctl", &[0, 0x5412_0000_5401], Action::ALLOW),
    ("personality", &[0x1_0000_0000], Action::EPERM),
    ("personality", &[u64::MAX], Action::EPERM),
    ("personality", &[0x8_0000_0000], Action::EPERM),
    ("socket", &[0x1_0000_0002], Action::EPERM),
    ("socket", &[0x1_0000_0010, 3, 9], Action::EPERM),
    ("socket", &[16, 3, 0x1_0000_0009], Action::EINVAL),
    ("socket", &[u64::MAX], Action::EPERM),
    ("clone", &[0x1_1000_0011], Action::EPERM),
];

#[test]
fn decisions_on_every_architecture() {
    for family in [X86, ARM] {
        let (usual, all) = (
            program(family, bits_of_defaults()),
            program(family, RELEVANT),
        );
        for architecture in family {
            for &(name, arguments, with_usual, with_all) in DECISIONS {
                let number = number(architecture, name);
                let said = judge(&usual, architecture, number, arguments);
                assert_eq!(said, with_usual, "{architecture:?} {name} {arguments:x?}");
                let said = judge(&all, architecture, number, arguments);
                assert_eq!(
                    said, with_all,
                    "{architecture:?} {name} {arguments:x?}, all"
                );
            }
        }
        for &(name, arguments, wanted) in WIDE_DECISIONS {
            let said = judge(&usual, family[0], number(family[0], name), arguments);
            assert_eq!(said, wanted, "{:?} {name} {arguments:x?}", family[0]);
        }
    }
}

fn bits_of_defaults() -> u64 {
    bits(&CapsHashSet::from(CAPABILITIES))
}

#[test]
fn socket_families() {
    // AF_ALG and AF_VSOCK first.
    let refused = [
        38,
        40,
        12,
        19,
        20,
        23,
        25,
        34,
        37,
        46,
        47,
        1000,
        0x8000_0000,
    ];
    for family in [X86, ARM] {
        let program = program(family, RELEVANT);
        for architecture in family {
            let number = number(architecture, "socket");
            for address in (0..=46).chain(refused) {
                let said = judge(&program, architecture, number, &[address]);
                let allowed = !refused.contains(&address);
                let wanted = if allowed {
                    Action::ALLOW
                } else {
                    Action::EPERM
                };
                assert_eq!(said, wanted, "{architecture:?} family {address}");
            }
        }
    }
}

#[test]
fn every_number_and_foreign_programs() {
    for family in [X86, ARM] {
        let program = program(family, 0);
        for architecture in family {
            let known: HashSet<u32> = SYSCALLS
                .iter()
                .map(|(.., numbers)| numbers[architecture.column()])
                .collect();
            let edges = [
                0x3fff_ffff,
                0x4000_0000,
                0x4000_0001,
                0x7fff_ffff,
                u32::MAX - 1,
            ];
            for number in (0..2000).chain(0xf_0000..0xf_0010).chain(edges) {
                let said = judge(&program, architecture, number, &[]);
                // Not an empty answer for known ones: they are ALLOW, EPERM, or ENOSYS with a name.
                let unknown = !known.contains(&number);
                assert!(
                    !unknown || said == Action::ENOSYS,
                    "{architecture:?} {number}: {said:x?}"
                );
            }
            for number in 0x4000_0000..0x4000_0300 {
                let said = judge(&program, architecture, number, &[]);
                assert_eq!(said, Action::ENOSYS, "x32 {number:#x}");
            }
        }
        for architecture in [0, u32::MAX, 0x8000_0015, 0xc000_00f3, family[0].audit() + 1] {
            let call = Call {
                number: 1,
                architecture,
                ..Call::default()
            };
            assert_eq!(
                run(&program, &call).0,
                Action::KILL_PROCESS,
                "{architecture:#x}"
            );
        }
    }
}

/// One grant at a time, against what no capability gives.
#[test]
fn each_capability_opens_its_own_calls() {
    // What one opens of a call that is open otherwise is among the decisions above.
    let opens: [(Capability, &[&str]); 15] = [
        (Capability::CAP_DAC_READ_SEARCH, &["open_by_handle_at"]),
        (
            Capability::CAP_SYS_MODULE,
            &["delete_module", "finit_module", "init_module"],
        ),
        (Capability::CAP_SYS_RAWIO, &["ioperm", "iopl"]),
        (Capability::CAP_SYS_CHROOT, &["chroot"]),
        (
            Capability::CAP_SYS_PTRACE,
            &["kcmp", "pidfd_getfd", "process_madvise"],
        ),
        (Capability::CAP_SYS_PACCT, &["acct"]),
        (
            Capability::CAP_SYS_ADMIN,
            &[
                "bpf",
                "clone3",
                "fanotify_init",
                "fsconfig",
                "fsmount",
                "fsopen",
                "fspick",
                "lookup_dcookie",
                "lsm_get_self_attr",
                "lsm_list_modules",
                "lsm_set_self_attr",
                "mount",
                "mount_setattr",
                "move_mount",
                "open_tree",
                "perf_event_open",
                "quotactl",
                "quotactl_fd",
                "setdomainname",
                "sethostname",
                "setns",
                "syslog",
                "umount2",
                "unshare",
            ],
        ),
        (Capability::CAP_SYS_BOOT, &["reboot"]),
        (
            Capability::CAP_SYS_NICE,
            &[
                "get_mempolicy",
                "mbind",
                "set_mempolicy",
                "set_mempolicy_home_node",
            ],
        ),
        (Capability::CAP_SYS_TIME, &["clock_settime", "settimeofday"]),
        (Capability::CAP_SYS_TTY_CONFIG, &["vhangup"]),
        (Capability::CAP_AUDIT_WRITE, &[]),
        (Capability::CAP_SYSLOG, &["syslog"]),
        (Capability::CAP_PERFMON, &["perf_event_open"]),
        (Capability::CAP_BPF, &["bpf"]),
    ];
    let all: u64 = opens
        .iter()
        .map(|(capability, _)| capability.bitmask())
        .sum();
    assert_eq!(all, RELEVANT, "a capability without a row here");
    let nothing = program(X86, 0);
    for (capability, names) in opens {
        let with = program(X86, capability.bitmask());
        let changed = SYSCALLS.iter().filter(|(.., numbers)| {
            let number = numbers[0];
            let say = |program| judge(program, Architecture::X86_64, number, &[0]);
            number != NO && say(&nothing) != say(&with)
        });
        let changed: Vec<&str> = changed.map(|(name, ..)| *name).collect();
        assert_eq!(changed, names, "{capability}");
    }
}

#[test]
fn ptrace_before_the_kernel_filtered_it() {
    let of = |capabilities, kernel| {
        let program = compile(&tables(X86, Circumstances::new(capabilities, kernel)));
        judge(&program, X86[0], number(X86[0], "ptrace"), &[])
    };
    assert_eq!(of(0, (4, 7)), Action::EPERM);
    assert_eq!(of(0, (4, 8)), Action::ALLOW);
    assert_eq!(of(0, (4, 19)), Action::ALLOW);
    assert_eq!(of(capability::SYS_PTRACE, (4, 7)), Action::ALLOW);
}

/// What the build script compiled is what is compiled here, and is used for the default.
#[test]
fn the_usual_filters_are_constants() {
    let defaults = CapsHashSet::from(CAPABILITIES);
    for (capabilities, is_constant) in [
        (defaults.clone(), true),
        (CapsHashSet::new(), true),
        (caps::all(), false),
    ] {
        let filter = Filter::built_in(&capabilities, MODERN);
        let constant = matches!(filter.program, std::borrow::Cow::Borrowed(_));
        assert_eq!(constant, is_constant, "{capabilities:?}");
        verify(filter.program());
        let circumstances = Circumstances::new(bits(&capabilities), MODERN);
        assert_eq!(
            filter.program(),
            compile(&tables(super::super::FAMILY, circumstances))
        );
    }
}

/// The kernel evaluates the filter for each number at load, so both matter.
#[test]
fn short_and_shallow() {
    for family in [X86, ARM] {
        for capabilities in [0, bits_of_defaults(), RELEVANT] {
            let program = program(family, capabilities);
            let (mut deepest, mut all) = ((0, 0), 0);
            for architecture in family {
                for number in 0..600 {
                    let call = Call {
                        number,
                        architecture: architecture.audit(),
                        arguments: [u64::MAX; 6],
                    };
                    let steps = run(&program, &call).1;
                    deepest = deepest.max((steps, number));
                    all += steps;
                }
            }
            assert!(program.len() < 310, "{} instructions", program.len());
            let mean = all / 1200;
            assert!(mean < 12, "{mean} instructions for the average number");
            assert!(deepest.0 < 25, "{deepest:?}");
        }
    }
}

#[test]
fn the_table_is_in_order_and_without_doubles() {
    assert!(SYSCALLS.is_sorted_by(|a, b| a.0 < b.0));
    for column in 0..4 {
        let mut seen = HashSet::new();
        let numbers = SYSCALLS
            .iter()
            .map(|(name, _, numbers)| (name, numbers[column]));
        for (name, number) in numbers.filter(|(_, number)| *number != NO) {
            let alias = *name == "sync_file_range2" && column == 3;
            assert!(
                seen.insert(number) || alias,
                "{name} has the number of another"
            );
        }
    }
}

#[test]
fn capabilities_have_the_kernels_numbers() {
    for (ours, theirs) in [
        (capability::DAC_READ_SEARCH, Capability::CAP_DAC_READ_SEARCH),
        (capability::SYS_MODULE, Capability::CAP_SYS_MODULE),
        (capability::SYS_RAWIO, Capability::CAP_SYS_RAWIO),
        (capability::SYS_CHROOT, Capability::CAP_SYS_CHROOT),
        (capability::SYS_PTRACE, Capability::CAP_SYS_PTRACE),
        (capability::SYS_PACCT, Capability::CAP_SYS_PACCT),
        (capability::SYS_ADMIN, Capability::CAP_SYS_ADMIN),
        (capability::SYS_BOOT, Capability::CAP_SYS_BOOT),
        (capability::SYS_NICE, Capability::CAP_SYS_NICE),
        (capability::SYS_TIME, Capability::CAP_SYS_TIME),
        (capability::SYS_TTY_CONFIG, Capability::CAP_SYS_TTY_CONFIG),
        (capability::SYSLOG, Capability::CAP_SYSLOG),
        (capability::PERFMON, Capability::CAP_PERFMON),
        (capability::BPF, Capability::CAP_BPF),
    ] {
        assert_eq!(ours, theirs.bitmask(), "{theirs}");
    }
}
