//! Profiles: every form and member, every complaint with its place, and hostile ones.

use std::time::{Duration, Instant};

use caps::{Capability, CapsHashSet};
use serde_json::{Value, json};

use super::super::Filter;
use super::super::rule::{Action, Architecture};
use super::interpreter::verify;
use super::oracle::MOBY;
use super::{judge, number};
use crate::error::{self, Kind};

const X86_64: Architecture = Architecture::X86_64;
const I386: Architecture = Architecture::I386;

fn load_with(profile: &Value, capabilities: &[Capability]) -> (Filter, Vec<String>) {
    let set: CapsHashSet = capabilities.iter().copied().collect();
    let (filter, warnings) =
        Filter::from_profile(profile.to_string().as_bytes(), &set, (6, 1)).unwrap();
    verify(filter.program());
    (filter, warnings)
}

fn load(profile: &Value) -> Filter {
    let (filter, warnings) = load_with(profile, &[]);
    assert_eq!(warnings, [""; 0]);
    filter
}

#[track_caller]
fn refused(json: &[u8]) -> (Kind, String) {
    let error = Filter::from_profile(json, &CapsHashSet::new(), (6, 1)).unwrap_err();
    (error::kind(&error), error::render(&error))
}

/// A profile with one entry for mount.
fn entry(members: &Value) -> Value {
    let mut entry = json!({"names": ["mount"], "action": "SCMP_ACT_ALLOW"});
    let members = members.as_object().unwrap().clone();
    entry.as_object_mut().unwrap().extend(members);
    json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [entry]})
}

fn mount(filter: &Filter, arguments: &[u64]) -> Action {
    judge(filter.program(), X86_64, number(X86_64, "mount"), arguments)
}

#[test]
fn actions() {
    for (name, errno, wanted) in [
        ("SCMP_ACT_ALLOW", json!(null), Action::ALLOW),
        ("SCMP_ACT_ERRNO", json!(null), Action::EPERM),
        ("SCMP_ACT_ERRNO", json!(38), Action::ENOSYS),
        ("SCMP_ACT_ERRNO", json!(0), Action::errno(0)),
        ("SCMP_ACT_KILL", json!(null), Action::KILL_THREAD),
        ("SCMP_ACT_KILL_THREAD", json!(0), Action::KILL_THREAD),
        ("SCMP_ACT_KILL_PROCESS", json!(null), Action::KILL_PROCESS),
        ("SCMP_ACT_TRAP", json!(null), Action::TRAP),
        ("SCMP_ACT_TRACE", json!(null), Action::trace(1)),
        ("SCMP_ACT_TRACE", json!(65535), Action::trace(65535)),
        ("SCMP_ACT_LOG", json!(null), Action::LOG),
    ] {
        let mut profile = entry(&json!({"action": name, "errnoRet": errno}));
        profile["defaultErrnoRet"] = json!(7);
        let filter = load(&profile);
        assert_eq!(mount(&filter, &[]), wanted, "{name} {errno}");
        assert_eq!(judge(filter.program(), X86_64, 0, &[]), Action::errno(7));
        let default = json!({"defaultAction": name, "defaultErrnoRet": errno});
        let filter = load(&default);
        assert_eq!(mount(&filter, &[]), wanted, "{name} {errno} as the default");
    }
}

/// What the author of a profile did not know fails with ENOSYS, unless all is let through.
#[test]
fn calls_newer_than_the_profile() {
    for (default, beyond) in [
        ("SCMP_ACT_ERRNO", Action::ENOSYS),
        ("SCMP_ACT_KILL_PROCESS", Action::ENOSYS),
        ("SCMP_ACT_TRAP", Action::ENOSYS),
        ("SCMP_ACT_LOG", Action::LOG),
        ("SCMP_ACT_TRACE", Action::trace(1)),
    ] {
        let mut profile = entry(&json!({}));
        profile["defaultAction"] = json!(default);
        let filter = load(&profile);
        let newest = number(X86_64, "mount");
        assert_eq!(mount(&filter, &[]), Action::ALLOW);
        for number in [newest + 1, 470, 100_000] {
            let said = judge(filter.program(), X86_64, number, &[]);
            assert_eq!(said, beyond, "{default} {number}");
        }
        let before = judge(filter.program(), X86_64, newest - 1, &[]);
        assert!(before != Action::ENOSYS, "{default}");
        // x32 does not exist.
        let x32 = judge(filter.program(), X86_64, 0x4000_0000, &[]);
        assert_eq!(x32, Action::ENOSYS, "{default}");
    }
}

#[test]
fn includes_and_excludes() {
    let admin = Capability::CAP_SYS_ADMIN;
    for (members, without, with) in [
        (
            json!({"includes": {"caps": ["CAP_SYS_ADMIN"]}}),
            false,
            true,
        ),
        (
            json!({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}),
            true,
            false,
        ),
        (
            json!({"includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}}),
            false,
            false,
        ),
        (
            json!({"excludes": {"caps": ["CAP_BPF", "CAP_SYS_ADMIN"]}}),
            true,
            false,
        ),
        (
            json!({"includes": {"arches": ["amd64", "s390"]}}),
            true,
            true,
        ),
        (json!({"includes": {"arches": ["arm64"]}}), false, false),
        (json!({"excludes": {"arches": ["amd64"]}}), false, false),
        (json!({"excludes": {"arches": ["s390x"]}}), true, true),
        (json!({"includes": {"minKernel": "4.8"}}), true, true),
        (json!({"includes": {"minKernel": "6.1"}}), true, true),
        (json!({"includes": {"minKernel": "6.2"}}), false, false),
        (json!({"includes": {"minKernel": "7.0"}}), false, false),
        (json!({"excludes": {"minKernel": "4.8"}}), false, false),
        (json!({"excludes": {"minKernel": "6.10"}}), true, true),
        (
            json!({"includes": {"minKernel": "4.8", "caps": ["CAP_SYS_ADMIN"]}}),
            false,
            true,
        ),
        (
            json!({"includes": {"arches": ["amd64"]}, "excludes": {"caps": ["CAP_SYS_ADMIN"]}}),
            true,
            false,
        ),
        (
            json!({"includes": {}, "excludes": null, "comment": "x"}),
            true,
            true,
        ),
    ] {
        for (set, applies) in [(&[][..], without), (&[admin][..], with)] {
            let (filter, warnings) = load_with(&entry(&members), set);
            assert_eq!(warnings, [""; 0], "{members}");
            let wanted = if applies {
                Action::ALLOW
            } else {
                Action::EPERM
            };
            assert_eq!(mount(&filter, &[]), wanted, "{members} with {set:?}");
        }
    }
}

#[test]
fn architectures_and_flags() {
    let of = |members: Value| {
        let mut profile = entry(&json!({}));
        let members = members.as_object().unwrap().clone();
        profile.as_object_mut().unwrap().extend(members);
        load(&profile)
    };
    let native = of(json!({}));
    let both = of(json!({"architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]}));
    let mapped = of(json!({"archMap": [
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
    ]}));
    let foreign = of(json!({"archMap": [
        {"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null},
    ]}));
    for (filter, i386) in [
        (native, Action::KILL_PROCESS),
        (both, Action::ALLOW),
        (mapped, Action::ALLOW),
        (foreign, Action::KILL_PROCESS),
    ] {
        assert_eq!(mount(&filter, &[]), Action::ALLOW);
        let said = judge(filter.program(), I386, number(I386, "mount"), &[]);
        assert_eq!(said, i386);
        assert_eq!(filter.flags(), 0);
    }
    let flags = |names: &[&str]| of(json!({"flags": names})).flags();
    assert_eq!(flags(&["SECCOMP_FILTER_FLAG_LOG"]), 2);
    assert_eq!(
        flags(&[
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_TSYNC"
        ]),
        4
    );
    assert_eq!(flags(&["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]), 0);
}

/// On i386 socketcall and ipc stand for calls of their own, but not for one with conditions: what
/// these are about is elsewhere then.
#[test]
fn doors_of_i386() {
    let of = |name: &str, args: Value| {
        load(&json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86"],
            "syscalls": [{"names": [name], "action": "SCMP_ACT_ALLOW", "args": args}],
        }))
    };
    for (name, door, request) in [
        ("socket", "socketcall", 1),
        ("accept", "socketcall", 5),
        ("sendmmsg", "socketcall", 20),
        ("semop", "ipc", 1),
        ("shmctl", "ipc", 24),
    ] {
        let door = number(I386, door);
        let filter = of(name, json!([]));
        for value in 0..30 {
            let allowed = judge(filter.program(), I386, door, &[value]) == Action::ALLOW;
            assert_eq!(allowed, value == request, "{name} {value}");
        }
        let filter = of(name, json!([{"index": 1, "op": "SCMP_CMP_EQ", "value": 0}]));
        let said = judge(filter.program(), I386, door, &[request]);
        assert_ne!(said, Action::ALLOW, "{name}");
    }
}

#[test]
fn several_entries_for_one_call() {
    let equal = |value: u64| json!([{"index": 0, "op": "SCMP_CMP_EQ", "value": value}]);
    let of = |entries: &[(&str, Value)]| {
        let entries = entries.iter().map(|(action, args)| {
            json!({"name": "mount", "action": format!("SCMP_ACT_{action}"), "args": args})
        });
        let entries: Vec<Value> = entries.collect();
        load(&json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries}))
    };
    let first = of(&[("ALLOW", json!([])), ("KILL", json!([])), ("LOG", equal(1))]);
    assert_eq!(mount(&first, &[1]), Action::ALLOW);
    let plain_last = of(&[("ALLOW", equal(1)), ("KILL", json!(null))]);
    assert_eq!(mount(&plain_last, &[1]), Action::KILL_THREAD);
    let like_the_default = of(&[("ERRNO", equal(1)), ("ALLOW", json!([]))]);
    assert_eq!(mount(&like_the_default, &[1]), Action::ALLOW);
    let either = of(&[("ALLOW", equal(1)), ("ALLOW", equal(5))]);
    for (value, wanted) in [(1, Action::ALLOW), (5, Action::ALLOW), (3, Action::EPERM)] {
        assert_eq!(mount(&either, &[value]), wanted, "{value}");
    }
    let strictest = of(&[("ALLOW", equal(1)), ("KILL", equal(1)), ("LOG", equal(1))]);
    assert_eq!(mount(&strictest, &[1]), Action::KILL_THREAD);
}

#[test]
fn what_is_odd_is_told() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrno": "EPERM",
        "defaultErrnoRet": 1,
        "listenerPath": "/x",
        "syscalls": [
            {"names": ["mount", "no_such_call", "nor_this"], "action": "SCMP_ACT_ALLOW", "extra": 1},
            {
                "names": ["socket"], "action": "SCMP_ACT_ALLOW",
                "args": [
                    {"index": 0, "op": "SCMP_CMP_GT", "value": 4},
                    {"index": 0, "op": "SCMP_CMP_LT", "value": 2},
                ],
            },
            {"names": ["kill"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_X"], "x": 0}},
            // Of other architectures: not odd.
            {"names": ["s390_runtime_instr", "riscv_hwprobe"], "action": "SCMP_ACT_ALLOW"},
        ],
    });
    let (filter, warnings) = load_with(&profile, &[]);
    assert_eq!(
        warnings,
        [
            "seccomp profile: syscalls[0].extra: unknown, ignored",
            "seccomp profile: syscalls[0]: no system call is named 'no_such_call' and 1 more",
            "seccomp profile: syscalls[1].args: conditions on one argument are alternatives, each is enough",
            "seccomp profile: syscalls[2].includes.caps: unknown capability 'CAP_X'",
            "seccomp profile: syscalls[2].includes.x: unknown, ignored",
            "seccomp profile: listenerPath: unknown, ignored",
        ]
    );
    let socket = number(X86_64, "socket");
    for (family, wanted) in [(1, Action::ALLOW), (3, Action::EPERM), (5, Action::ALLOW)] {
        assert_eq!(judge(filter.program(), X86_64, socket, &[family]), wanted);
    }
    let many: Vec<Value> = (0..1000)
        .map(|at| json!({"names": [format!("call{at}")], "action": "SCMP_ACT_ALLOW"}))
        .collect();
    let many = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": many});
    assert_eq!(load_with(&many, &[]).1.len(), 16);
}

#[track_caller]
fn complains(profile: &Value, complaint: &str) {
    let (kind, message) = refused(profile.to_string().as_bytes());
    assert_eq!(kind, Kind::Spec, "{profile}");
    assert_eq!(
        message,
        format!("seccomp profile: {complaint}"),
        "{profile}"
    );
}

#[test]
fn complaints_about_the_whole() {
    let default = |name: &str| json!({"defaultAction": name});
    for (profile, complaint) in [
        (json!([]), "should be an object"),
        (json!({}), "defaultAction is missing"),
        (default("ALLOW"), "defaultAction: unknown action 'ALLOW'"),
        (
            json!({"defaultAction": 1}),
            "defaultAction: should be a string",
        ),
    ] {
        complains(&profile, complaint);
    }
    for (member, value, complaint) in [
        ("defaultErrnoRet", json!(4096), ": should be at most 4095"),
        (
            "defaultErrnoRet",
            json!(-1),
            ": should be a number from 0 to 2^64 - 1",
        ),
        (
            "defaultErrno",
            json!("EPERM"),
            ": give its number as defaultErrnoRet",
        ),
        ("flags", json!(["X"]), "[0]: unknown flag 'X'"),
        ("flags", json!("X"), ": should be an array"),
        (
            "architectures",
            json!(["X86"]),
            "[0]: unknown architecture 'X86'",
        ),
        ("archMap", json!([{}]), "[0]: architecture is missing"),
        ("syscalls", json!({}), ": should be an array"),
        ("syscalls", json!([1]), "[0]: should be an object"),
        ("syscalls", json!([{}]), "[0]: names no system call"),
        ("syscalls", json!([{"name": "a"}]), "[0]: action is missing"),
    ] {
        let mut profile = default("SCMP_ACT_ERRNO");
        profile[member] = value;
        complains(&profile, &format!("{member}{complaint}"));
    }
    let mut both = default("SCMP_ACT_ERRNO");
    both["architectures"] = json!(["SCMP_ARCH_X86"]);
    both["archMap"] = json!([{"architecture": "SCMP_ARCH_X86"}]);
    complains(&both, "has both 'architectures' and 'archMap'");
    let notify = default("SCMP_ACT_NOTIFY");
    let (kind, message) = refused(notify.to_string().as_bytes());
    assert_eq!(kind, Kind::Unsupported);
    assert!(
        message.starts_with("seccomp profile: defaultAction: SCMP_ACT_NOTIFY"),
        "{message}"
    );
}

#[test]
fn complaints_about_an_entry() {
    for (members, complaint) in [
        (json!({"names": []}), ": names no system call"),
        (json!({"names": ["a", 2]}), ".names[1]: should be a string"),
        (json!({"name": "a"}), ": has both 'name' and 'names'"),
        (
            json!({"action": "SCMP_ACT_X"}),
            ".action: unknown action 'SCMP_ACT_X'",
        ),
        (
            json!({"errnoRet": 1}),
            ".errnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one",
        ),
        (
            json!({"action": "SCMP_ACT_TRACE", "errnoRet": 65536}),
            ".errnoRet: should be at most 65535",
        ),
        (
            json!({"includes": {"minKernel": "5"}}),
            ".includes.minKernel: should be like 4.8",
        ),
        (
            json!({"excludes": {"caps": "CAP_BPF"}}),
            ".excludes.caps: should be an array",
        ),
        // Also where the entry does not apply.
        (
            json!({"action": "X", "includes": {"arches": ["s390"]}}),
            ".action: unknown action 'X'",
        ),
    ] {
        complains(&entry(&members), &format!("syscalls[0]{complaint}"));
    }
}

#[test]
fn complaints_about_an_argument() {
    for (members, complaint) in [
        (json!({"op": "SCMP_CMP_EQ"}), ": index is missing"),
        (json!({"index": 0}), ": op is missing"),
        (
            json!({"index": 6, "op": "SCMP_CMP_EQ"}),
            ".index: should be from 0 to 5",
        ),
        (
            json!({"index": 256, "op": "SCMP_CMP_EQ"}),
            ".index: should be from 0 to 5",
        ),
        (
            json!({"index": 0, "op": "EQ"}),
            ".op: unknown operator 'EQ'",
        ),
        (
            json!({"index": 0, "op": "SCMP_CMP_EQ", "value": -1}),
            ".value: should be a number from 0 to 2^64 - 1",
        ),
        (
            json!({"index": 0, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": 1.5}),
            ".valueTwo: should be a number from 0 to 2^64 - 1",
        ),
    ] {
        let profile = entry(&json!({"args": [members]}));
        complains(&profile, &format!("syscalls[0].args[0]{complaint}"));
    }
}

#[test]
fn hostile_profiles_end_soon() {
    let begin = Instant::now();
    let deep = "[".repeat(500_000);
    let deeper = format!("{{\"defaultAction\": {}", "{\"a\":".repeat(100_000));
    for json in ["", "{", "nul", "\u{feff}{}", &deep, &deeper] {
        let (kind, message) = refused(json.as_bytes());
        assert_eq!(kind, Kind::Spec);
        assert!(
            message.starts_with("seccomp profile: not valid JSON: "),
            "{message}"
        );
    }
    assert_eq!(refused(&[b' '; (1 << 20) + 1]).0, Kind::Limit);
    assert_eq!(refused(b"\xff\xfe{}").0, Kind::Spec);

    // Conditions that no range can hold together, until the program is too long for the kernel.
    let masks = |count: u64| {
        let entries: Vec<Value> = (0..count)
            .map(|value| {
                json!({
                    "name": "mount", "action": "SCMP_ACT_ALLOW",
                    "args": [{
                        "index": 0, "op": "SCMP_CMP_MASKED_EQ",
                        "value": value << 33 | 3 , "valueTwo": 1,
                    }],
                })
            })
            .collect();
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries})
    };
    load(&masks(600));
    let (kind, message) = refused(masks(2000).to_string().as_bytes());
    assert_eq!(kind, Kind::Limit);
    assert!(
        message.ends_with("instructions, the kernel takes 4096"),
        "{message}"
    );
    let (kind, message) = refused(masks(5000).to_string().as_bytes());
    assert_eq!(
        (kind, message.as_str()),
        (Kind::Limit, "seccomp profile: more than 4096 conditions")
    );

    // One entry that names a call very often.
    let names = vec!["mount"; 50_000];
    let args = json!([{"index": 0, "op": "SCMP_CMP_EQ", "value": 0}]);
    assert_eq!(
        refused(
            entry(&json!({"names": names, "args": args}))
                .to_string()
                .as_bytes()
        )
        .0,
        Kind::Limit
    );
    load(&entry(&json!({"names": names})));
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
}

/// Ranges of one argument cost what they are, not what was written.
#[test]
fn values_are_gathered_into_ranges() {
    let entries: Vec<Value> = (0..1000)
        .map(|value| {
            json!({
                "name": "mount", "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": value}],
            })
        })
        .collect();
    let filter = load(&json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries}));
    assert!(filter.instructions() < 20, "{}", filter.instructions());
    for (value, wanted) in [
        (0, Action::ALLOW),
        (999, Action::ALLOW),
        (1000, Action::EPERM),
    ] {
        assert_eq!(mount(&filter, &[value]), wanted, "{value}");
    }
    assert_eq!(mount(&filter, &[1 << 32]), Action::EPERM);
}

/// Jumps over more than 255 instructions, which are what a long profile is made of.
#[test]
fn long_programs_keep_their_meaning() {
    let names = [
        "mount", "read", "ioctl", "clone", "prctl", "kill", "futex", "tee",
    ];
    let condition = |at: u64| {
        json!({
            "index": at % 6, "op": "SCMP_CMP_MASKED_EQ",
            "value": 0xff_0000_00ff_u64, "valueTwo": at << 32 | at,
        })
    };
    let entries: Vec<Value> = (0..50)
        .map(|at| json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": [condition(at)]}))
        .collect();
    let filter = load(&json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries}));
    assert!(filter.instructions() > 1500, "{}", filter.instructions());
    for name in names {
        for at in 0..50_u64 {
            let mut arguments = [0xee_0000_00ee; 6];
            let number = number(X86_64, name);
            let refused = judge(filter.program(), X86_64, number, &arguments);
            assert_eq!(refused, Action::EPERM, "{name} {at}");
            arguments[at as usize % 6] = at << 32 | at;
            let allowed = judge(filter.program(), X86_64, number, &arguments);
            assert_eq!(allowed, Action::ALLOW, "{name} {at}");
        }
    }
}

/// podman's, which Debian's package has brought to the machine that builds it.
#[test]
fn podmans_profile_loads() {
    let path = "/usr/share/containers/seccomp.json";
    let json = std::fs::read(path).expect("golang-github-containers-common is needed");
    let (filter, warnings) = Filter::from_profile(&json, &CapsHashSet::new(), (6, 1)).unwrap();
    verify(filter.program());
    assert_eq!(warnings, [""; 0]);
    let of = |name| judge(filter.program(), X86_64, number(X86_64, name), &[0]);
    assert_eq!(of("read"), Action::ALLOW);
    assert_eq!(of("kexec_load"), Action::EPERM);
    assert_eq!(of("cachestat"), Action::ENOSYS);
}

#[test]
fn mobys_profile_is_short() {
    let (filter, _) = Filter::from_profile(MOBY, &CapsHashSet::new(), (6, 1)).unwrap();
    assert!(filter.instructions() < 300, "{}", filter.instructions());
}
