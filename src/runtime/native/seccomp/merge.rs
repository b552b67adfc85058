//! A profile's entries to tables of rules, merged as libseccomp merges them.
//!
//! An entry with the default action says nothing. For one call, the first entry without conditions
//! makes all others void, wherever they are. Of those whose conditions hold the strictest decides;
//! there libseccomp goes by the shape of the conditions, and may take a milder one.

use std::collections::BTreeMap;

use super::profile::Profile;
use super::rule::{Action, Architecture, Case, Compare, Condition, Rule, Table};
use super::syscalls::{self, NO};

/// Numbers of ordinary calls are below; arm has some of its own kind above.
const ORDINARY: u32 = 0x1000;
/// The bit that marks calls of the x32 ABI.
const X32: u32 = 0x4000_0000;

/// One table for each of the profile's architectures.
pub(super) fn tables(profile: &Profile) -> Vec<Table> {
    let of = |&architecture: &Architecture| table(profile, architecture);
    profile.architectures.iter().map(of).collect()
}

fn table(profile: &Profile, architecture: Architecture) -> Table {
    let mut rules: BTreeMap<u32, Rule> = BTreeMap::new();
    let mut newest = None;
    for entry in &profile.entries {
        for name in &entry.names {
            let number = syscalls::find(name).map(|(.., numbers)| numbers[architecture.column()]);
            let number = number.filter(|number| *number != NO);
            newest = newest.max(number.filter(|number| *number < ORDINARY));
            if entry.action == profile.default {
                continue;
            }
            let mut add = |number, alternatives: &[Vec<Condition>]| {
                let new = Rule::always(profile.default);
                merge(
                    rules.entry(number).or_insert(new),
                    alternatives,
                    entry.action,
                );
            };
            if let Some(number) = number {
                add(number, &entry.alternatives);
            }
            if let Some((door, request)) = multiplexed(architecture, name)
                && entry.alternatives.is_empty()
            {
                add(door, &[vec![request]]);
            }
        }
    }
    Table {
        architecture,
        rules,
        rest: rest(profile.default, architecture, newest),
    }
}

/// Adds an entry to what a rule already says.
fn merge(rule: &mut Rule, alternatives: &[Vec<Condition>], action: Action) {
    let is_final = |case: &Case| case.conditions.is_empty();
    if rule.cases.first().is_some_and(is_final) {
        return;
    }
    let case = |conditions: &[Condition]| Case {
        conditions: conditions.to_vec(),
        action,
    };
    if alternatives.is_empty() {
        rule.cases = vec![case(&[])];
    }
    let cases = alternatives.iter().map(|conditions| case(conditions));
    rule.cases.extend(cases);
    rule.cases.sort_by_key(|case| case.action.rank());
}

/// Numbers without a rule. Those beyond the newest call that the profile knows do not exist, as far
/// as it is concerned, and so fail with ENOSYS, which libraries understand (runc issue 2151).
fn rest(default: Action, architecture: Architecture, newest: Option<u32>) -> Vec<(u32, Action)> {
    let mut rest = vec![(0, default)];
    if let Some(newest) = newest.filter(|_| !default.lets_through()) {
        rest.push((newest + 1, Action::ENOSYS));
    }
    if architecture == Architecture::X86_64 {
        rest.push((X32, Action::ENOSYS));
    }
    rest
}

/// i386 has two calls that stand for many, by the first argument: that of socketcall and ipc.
const SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];
const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The call that also stands for this one, and with which first argument. Its other arguments are
/// elsewhere then, so this is for entries without conditions.
fn multiplexed(architecture: Architecture, name: &str) -> Option<(u32, Condition)> {
    if architecture != Architecture::I386 {
        return None;
    }
    let socket = SOCKETCALL.iter().zip(1_u64..).find(|(of, _)| **of == name);
    let (door, value) = match socket {
        Some((_, request)) => ("socketcall", request),
        None => ("ipc", IPC.iter().find(|(of, _)| *of == name)?.1),
    };
    let (.., numbers) = syscalls::find(door)?;
    let request = Condition {
        argument: 0,
        compare: Compare::Equal,
        value,
    };
    Some((numbers[architecture.column()], request))
}
