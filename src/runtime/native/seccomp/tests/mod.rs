//! The filter as a whole, judged by an interpreter of our own and by libseccomp. The tests of profiles
//! are about x86_64 and i386; the built-in filter is tested for all architectures on each.

mod built_in;
mod engine;
mod interpreter;
mod jumps;
#[cfg(target_arch = "x86_64")]
mod oracle;
#[cfg(target_arch = "x86_64")]
mod profile;
#[cfg(target_arch = "x86_64")]
mod random;

use interpreter::{Call, run};

use super::Instruction;
use super::rule::{Action, Architecture};
use super::syscalls::{NO, SYSCALLS, find};

/// The number of a call that must be in the table.
fn number(architecture: Architecture, name: &str) -> u32 {
    let (.., numbers) = find(name).unwrap_or_else(|| panic!("{name} is not in the table"));
    let number = numbers[architecture.column()];
    assert_ne!(number, NO, "{architecture:?} has no {name}");
    number
}

/// What a program says of a call.
fn judge(
    program: &[Instruction],
    architecture: Architecture,
    number: u32,
    arguments: &[u64],
) -> Action {
    let mut call = Call {
        number,
        architecture: architecture.audit(),
        ..Call::default()
    };
    call.arguments[..arguments.len()].copy_from_slice(arguments);
    run(program, &call).0
}

/// The numbers of all calls that have a name.
fn rule_numbers(architecture: Architecture) -> Vec<u32> {
    let numbers = SYSCALLS
        .iter()
        .map(|(.., numbers)| numbers[architecture.column()]);
    numbers.filter(|number| *number != NO).collect()
}
