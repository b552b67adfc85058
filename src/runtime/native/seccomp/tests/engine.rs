//! The profile for Docker Engine decides as the built-in filter does.

use caps::{Capability, CapsHashSet};
use serde_json::Value;

use super::super::syscalls::SYSCALLS;
use super::super::{FAMILY, Filter};
use super::judge;
use super::rule_numbers;
use crate::spec::defaults::CAPABILITIES;
use crate::spec::seccomp::{Errors, profile};

const KERNELS: [(u32, u32); 2] = [(4, 7), (6, 18)];

/// First arguments that some rule asks about, and their neighbours.
const VALUES: [u64; 40] = [
    0,
    1,
    2,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    15,
    16,
    17,
    18,
    19,
    23,
    24,
    34,
    38,
    39,
    40,
    45,
    46,
    63,
    64,
    0x5401,
    0x5411,
    0x5412,
    0x5413,
    0x541c,
    0x2_0000,
    0x2_0008,
    0x2_0009,
    0x3d_0f00,
    0x1000_0011,
    0x7e02_0000,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
];

fn sets() -> [CapsHashSet; 4] {
    let mut audited = CapsHashSet::from(CAPABILITIES);
    audited.insert(Capability::CAP_AUDIT_WRITE);
    [
        CapsHashSet::new(),
        CapsHashSet::from(CAPABILITIES),
        audited,
        caps::all(),
    ]
}

/// Up to three arguments; those above 32 bits only where there are such.
fn arguments(is_wide: bool) -> Vec<[u64; 3]> {
    let more = [
        0x1_0000_0002,
        0x1_0000_5412,
        0x8000_0000_0000_0009,
        u64::MAX,
    ];
    let all = VALUES.iter().chain(&more).copied();
    let all: Vec<u64> = all.filter(|it| is_wide || *it >> 32 == 0).collect();
    let first = all.iter().map(|it| [*it, 0, 0]);
    let second = all.iter().map(|it| [0, *it, 0]);
    let netlink = all.iter().map(|it| [16, 3, *it]);
    first.chain(second).chain(netlink).collect()
}

/// Everything that differs: architecture, number, arguments.
fn differences(errors: Errors, bounding: &CapsHashSet, kernel: (u32, u32)) -> Vec<String> {
    let json = profile(bounding, errors).to_string();
    let (made, warnings) = Filter::from_profile(json.as_bytes(), bounding, kernel).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let built_in = Filter::built_in(bounding, kernel);
    let mut found = Vec::new();
    for architecture in FAMILY {
        let beyond = [0xf_0001, 0x3fff_ffff, 0x4000_0000, 0x4000_0001];
        for number in (0..700).chain(beyond) {
            for arguments in arguments(architecture.is_wide()) {
                let [ours, theirs] = [&built_in, &made]
                    .map(|it| judge(it.program(), architecture, number, &arguments));
                if ours != theirs {
                    found.push(format!(
                        "{architecture:?} {number} {arguments:x?}: {ours:x?}, the Engine's {theirs:x?}"
                    ));
                }
            }
        }
    }
    found
}

#[test]
fn it_decides_as_the_built_in_filter() {
    for bounding in sets() {
        for kernel in KERNELS {
            let found = differences(Errors::All, &bounding, kernel);
            assert!(
                found.is_empty(),
                "{kernel:?} {}: {:#?}",
                bounding.len(),
                &found[..found.len().min(9)]
            );
        }
    }
}

/// Numbers without a name, between those that have one, fail with EPERM on older Engines.
#[test]
fn older_engines_differ_in_the_error_only() {
    let known = |architecture: super::super::rule::Architecture| rule_numbers(architecture);
    for bounding in sets() {
        let found = differences(Errors::OfRules, &bounding, (6, 18));
        for line in &found {
            let is_unknown = FAMILY.iter().any(|architecture| {
                let of = format!("{architecture:?} ");
                let number = line
                    .strip_prefix(&of)
                    .and_then(|rest| rest.split(' ').next());
                number
                    .is_some_and(|number| !known(*architecture).contains(&number.parse().unwrap()))
            });
            assert!(is_unknown, "{line}");
        }
        let found = differences(Errors::None, &bounding, (6, 18));
        let is_refusal = |line: &&String| !line.contains("ALLOW") && !line.contains("7fff0000");
        assert_eq!(
            found.iter().filter(|line| !is_refusal(line)).count(),
            0,
            "{found:#?}"
        );
    }
}

/// What libseccomp cannot say is not asked for: two comparisons of one argument, or a mask of the
/// upper half alone, which asks nothing on 32-bit architectures.
#[test]
fn it_has_nothing_that_libseccomp_bends() {
    for errors in [Errors::None, Errors::OfRules, Errors::All] {
        let profile = profile(&CapsHashSet::from(CAPABILITIES), errors);
        let entries = profile["syscalls"].as_array().unwrap();
        assert!(entries.len() > 10);
        let mut unconditional = 0;
        for entry in entries {
            let none = Vec::new();
            let args = entry["args"].as_array().unwrap_or(&none);
            let mut indices: Vec<_> = args.iter().map(|it| it["index"].as_u64()).collect();
            indices.dedup();
            assert_eq!(indices.len(), args.len(), "{entry}");
            for arg in args.iter().filter(|it| it["op"] == "SCMP_CMP_MASKED_EQ") {
                assert_ne!(arg["value"].as_u64().unwrap() & 0xffff_ffff, 0, "{entry}");
            }
            unconditional += usize::from(args.is_empty()) * names(entry).len();
            let is_default = entry["action"] == "SCMP_ACT_ERRNO"
                && match errors {
                    Errors::All => entry["errnoRet"] == 38,
                    Errors::OfRules => entry["errnoRet"] == 1,
                    Errors::None => true,
                };
            assert!(!is_default, "{entry}");
        }
        assert!(unconditional > 300 && unconditional < SYSCALLS.len());
    }
}

fn names(entry: &Value) -> Vec<&str> {
    let names = entry["names"].as_array().unwrap();
    names.iter().filter_map(Value::as_str).collect()
}
