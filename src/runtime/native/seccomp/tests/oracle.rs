//! libseccomp as a judge: what it makes of a profile decides as our program does, for every number
//! and for arguments around all values that the profile names. Needs Debian's python3-seccomp.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use caps::CapsHashSet;
use serde_json::{Value, json};

use super::super::compile::compile;
use super::super::policy::{Circumstances, Grant, tables};
use super::super::rule::{Action, Architecture};
use super::super::syscalls::{NO, SYSCALLS};
use super::super::{FAMILY, Filter, Instruction, bits};
use super::interpreter::{Call, loads, run, verify};
use super::random::{Random, VALUES, newest, random_profile};
use crate::spec::defaults::CAPABILITIES;
use crate::spec::seccomp::{Errors, profile};

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/seccomp/oracle.py");
pub(super) const MOBY: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/seccomp/moby.json"
));
/// The newest call that moby's profile names: removexattrat.
const NEWEST: u32 = 466;

/// What libseccomp says of some profiles.
struct Oracle {
    programs: Vec<Result<Vec<Instruction>, String>>,
    /// Architecture and number of calls that this libseccomp is too old for.
    unknown: HashSet<(u32, u32)>,
}

fn request(profile: &Value, capabilities: &CapsHashSet) -> Value {
    let names: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
    json!({
        "profile": profile,
        "capabilities": names,
        "architectures": ["X86"],
        "kernel": [6, 1],
    })
}

fn ask(requests: &[Value]) -> Oracle {
    let names: Vec<&str> = SYSCALLS.iter().map(|(name, ..)| *name).collect();
    let mut oracle = Command::new("/usr/bin/python3")
        .args([ORACLE, &names.join(",")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 and python3-seccomp are needed");
    let mut stdin = oracle.stdin.take().unwrap();
    let lines: String = requests
        .iter()
        .map(|request| format!("{request}\n"))
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = oracle.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the oracle failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let (unknown, answers) = text.split_once('\n').unwrap();
    let numbers: HashMap<&str, [u32; 4]> = SYSCALLS
        .iter()
        .map(|(name, _, numbers)| (*name, *numbers))
        .collect();
    let unknown = unknown.split(',').map(|entry| {
        let (architecture, name) = entry.split_once(':').unwrap();
        let found = FAMILY
            .into_iter()
            .find(|a| format!("{a:?}") == architecture);
        let architecture = found.unwrap();
        (architecture.audit(), numbers[name][architecture.column()])
    });
    Oracle {
        unknown: unknown.filter(|(_, number)| *number != NO).collect(),
        programs: answers.lines().map(decode).collect(),
    }
}

fn decode(line: &str) -> Result<Vec<Instruction>, String> {
    if let Some(error) = line.strip_prefix('!') {
        return Err(error.to_owned());
    }
    let bytes: Vec<u8> = (0..line.len() / 2)
        .map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let instruction = |raw: &[u8]| Instruction {
        code: u16::from_ne_bytes([raw[0], raw[1]]),
        jt: raw[2],
        jf: raw[3],
        k: u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]),
    };
    let program: Vec<Instruction> = bytes.chunks_exact(8).map(instruction).collect();
    verify(&program);
    Ok(program)
}

/// Values at which a comparison with these may change its mind.
pub(super) fn around(values: &[u64]) -> Vec<u64> {
    let near = values.iter().flat_map(|&value| {
        let turned = value.rotate_right(32);
        [
            value,
            value.wrapping_add(1),
            value.wrapping_sub(1),
            value ^ 1 << 32,
            turned,
            turned.wrapping_sub(1),
            !value,
            value & 0xffff_ffff,
            value | 0xffff_ffff,
        ]
    });
    let sorted: BTreeSet<u64> = near.chain([0, u64::MAX]).collect();
    sorted.into_iter().collect()
}

/// Calls `judge` with what both programs say, for each number and some arguments.
pub(super) fn compare(
    ours: &[Instruction],
    theirs: &[Instruction],
    values: &[u64],
    mut judge: impl FnMut(&Call, Architecture, Action, Action),
) {
    for architecture in FAMILY {
        let mask = if architecture.is_wide() {
            u64::MAX
        } else {
            0xffff_ffff
        };
        for number in 0..600 {
            let mut call = Call {
                number,
                architecture: architecture.audit(),
                ..Call::default()
            };
            for at in 0..values.len() {
                // Each argument gets each value, together with others.
                for argument in 0..6 {
                    let other = values[(at + argument * 7) % values.len()];
                    call.arguments[argument] = other & mask;
                }
                judge(
                    &call,
                    architecture,
                    run(ours, &call).0,
                    run(theirs, &call).0,
                );
                if !looks_at_arguments(ours, &call) && !looks_at_arguments(theirs, &call) {
                    break;
                }
            }
        }
    }
}

/// Whether the decision depends on more than the number.
fn looks_at_arguments(program: &[Instruction], call: &Call) -> bool {
    loads(program, call).iter().any(|offset| *offset >= 16)
}

fn defaults() -> CapsHashSet {
    CapsHashSet::from(CAPABILITIES)
}

/// moby's own profile, with no, the default and all capabilities.
#[test]
fn mobys_profile_means_what_libseccomp_makes_of_it() {
    let profile: Value = serde_json::from_slice(MOBY).unwrap();
    let sets = [CapsHashSet::new(), defaults(), caps::all()];
    let requests: Vec<Value> = sets.iter().map(|set| request(&profile, set)).collect();
    let oracle = ask(&requests);
    let values = around(&[38, 40, 45, 8, 0x2_0008, 0xffff_ffff, 0x7e02_0000, 0x5412]);
    for (set, theirs) in sets.iter().zip(&oracle.programs) {
        let (filter, warnings) = Filter::from_profile(MOBY, set, (6, 1)).unwrap();
        assert_eq!(warnings, [""; 0]);
        verify(filter.program());
        let theirs = theirs.as_ref().unwrap();
        let mut compared = 0;
        compare(
            filter.program(),
            theirs,
            &values,
            |call, _, ours, theirs| {
                // What libseccomp is too old for, and what runc adds to its program.
                if oracle.unknown.contains(&(call.architecture, call.number)) {
                    return;
                }
                let theirs = if call.number > NEWEST {
                    Action::ENOSYS
                } else {
                    theirs
                };
                assert_eq!(ours, theirs, "{call:x?} with {set:?}");
                compared += 1;
            },
        );
        assert!(compared > 1200, "{compared}");
    }
}

/// The built-in filter is moby's but for what is listed here.
#[test]
fn the_built_in_filter_differs_as_intended() {
    let profile: Value = serde_json::from_slice(MOBY).unwrap();
    let sets = [CapsHashSet::new(), defaults(), caps::all()];
    let requests: Vec<Value> = sets.iter().map(|set| request(&profile, set)).collect();
    let oracle = ask(&requests);
    let values = around(&[
        38,
        40,
        45,
        8,
        0x2_0008,
        0xffff_ffff,
        0x7e02_0000,
        0x5412,
        0x541c,
    ]);
    for (set, theirs) in sets.iter().zip(&oracle.programs) {
        let ours = compile(&tables(FAMILY, Circumstances::new(bits(set), (6, 1))));
        let theirs = theirs.as_ref().unwrap();
        compare(
            &ours,
            theirs,
            &values,
            |call, architecture, ours, theirs| {
                if oracle.unknown.contains(&(call.architecture, call.number)) {
                    return;
                }
                let entry = SYSCALLS
                    .iter()
                    .find(|(.., numbers)| numbers[architecture.column()] == call.number);
                let wanted = match entry {
                    // Numbers without a call, and calls newer than moby's list, do not exist: EPERM
                    // would keep a C library from falling back (runc issue 2151).
                    None | Some((_, Grant::Later, _)) => Action::ENOSYS,
                    // Nobody types into a terminal; moby leaves that to the kernel's own switch.
                    Some(("ioctl", ..)) if matches!(call.arguments[1] as u32, 0x5412 | 0x541c) => {
                        Action::EPERM
                    }
                    _ => theirs,
                };
                assert_eq!(ours, wanted, "{call:x?} with {set:?}");
            },
        );
    }
}

/// What Docker Engine is given for the built-in filter decides as that does, in libseccomp's hands.
#[test]
fn the_engines_profile_means_the_same_to_libseccomp() {
    let sets = [CapsHashSet::new(), defaults(), caps::all()];
    for errors in [Errors::OfRules, Errors::All] {
        let of = |set| request(&profile(set, errors), set);
        let requests: Vec<Value> = sets.iter().map(of).collect();
        let oracle = ask(&requests);
        for (set, theirs) in sets.iter().zip(&oracle.programs) {
            let theirs = theirs.as_ref().unwrap();
            compare_with_built_in(set, errors, theirs, &oracle.unknown);
        }
    }
}

fn compare_with_built_in(
    set: &CapsHashSet,
    errors: Errors,
    theirs: &[Instruction],
    too_new: &HashSet<(u32, u32)>,
) {
    let ours = compile(&tables(FAMILY, Circumstances::new(bits(set), (6, 1))));
    let values = around(&[
        9,
        16,
        38,
        40,
        45,
        8,
        0x2_0008,
        0xffff_ffff,
        0x7e02_0000,
        0x5412,
        0x541c,
    ]);
    let mut compared = 0;
    compare(
        &ours,
        theirs,
        &values,
        |call, architecture, ours, theirs| {
            let numbers = SYSCALLS.iter().map(|(.., all)| all[architecture.column()]);
            let has_name = numbers.into_iter().any(|number| number == call.number);
            // Those the Engine cannot tell from others; the newest of them runc adds.
            let is_told = has_name || errors == Errors::All;
            if is_told && !too_new.contains(&(call.architecture, call.number)) {
                assert_eq!(ours, theirs, "{call:#x?} with {set:?} {errors:?}");
                compared += 1;
            }
        },
    );
    assert!(compared > 1000, "{compared}");
}

/// Conditions of all kinds, within what libseccomp 2.5 and 2.6 get right; `random.rs` has a judge of
/// our own for the rest. Each call has one entry and each argument of it one condition: where one
/// argument is looked at twice they sometimes compare the wrong half of it, for they forget which
/// one is loaded. No call is multiplexed on i386: if such a one comes first they forget to load the
/// number.
#[test]
fn random_profiles_mean_what_libseccomp_makes_of_them() {
    let mut random = Random::new();
    let profiles: Vec<Value> = (0..400).map(|_| one_entry_for_each(&mut random)).collect();
    let requests: Vec<Value> = profiles
        .iter()
        .map(|profile| request(profile, &CapsHashSet::new()))
        .collect();
    let oracle = ask(&requests);
    let values = around(&VALUES);
    for (profile, theirs) in profiles.iter().zip(&oracle.programs) {
        let theirs = theirs.as_ref().unwrap();
        let json = profile.to_string();
        let filter = Filter::from_profile(json.as_bytes(), &CapsHashSet::new(), (6, 1));
        let filter = filter.unwrap().0;
        verify(filter.program());
        compare(
            filter.program(),
            theirs,
            &values,
            |call, architecture, ours, theirs| {
                let beyond =
                    newest(profile, architecture).is_some_and(|newest| call.number > newest);
                let default = profile["defaultAction"].as_str();
                let lets_through = matches!(default, Some("SCMP_ACT_ALLOW" | "SCMP_ACT_TRACE"));
                // What runc adds to libseccomp's program.
                let wanted = if beyond && !lets_through {
                    Action::ENOSYS
                } else {
                    theirs
                };
                assert_eq!(ours, wanted, "{call:#x?}\n{profile:#}");
            },
        );
    }
}

fn one_entry_for_each(random: &mut Random) -> Value {
    let mut profile = random_profile(random);
    let entries = profile["syscalls"].as_array_mut().unwrap();
    let mut names = HashSet::new();
    entries.retain(|entry| {
        let name = entry["names"][0].as_str().unwrap();
        !["semop", "socket", "accept4"].contains(&name) && names.insert(name.to_owned())
    });
    for entry in entries {
        let mut indexes = HashSet::new();
        let arguments = entry["args"].as_array_mut().unwrap();
        arguments.retain(|argument| indexes.insert(argument["index"].to_string()));
    }
    profile
}
