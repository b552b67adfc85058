//! The list of devices as an eBPF program, for version 2, which has no file for it. Pure.
//!
//! The kernel asks it whenever a process of the cgroup opens or makes a device node, with a
//! structure of three words: what is wanted and the type of the node, its major and its minor
//! number (`struct bpf_cgroup_dev_ctx`, Linux 4.15). It answers 1 for yes; in doubt it is no.

use super::DeviceRule;
use crate::sys::bpf::Instruction;

// What the first word holds (include/uapi/linux/bpf.h).
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MAKE: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;

// Registers: 0 is the answer, 1 the address of the structure.
const ANSWER: u8 = 0;
const ASKED: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Operations on 32 bits (kernel documentation, bpf/standardization/instruction-set.rst; jumps on
// 32 bits since Linux 5.1).
const LOAD: u8 = 0x61;
const MOVE: u8 = 0xbc;
const SET: u8 = 0xb4;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const SKIP_IF_NOT: u8 = 0x56;
const SKIP_IF_ANY_OF: u8 = 0x46;
const EXIT: u8 = 0x95;

/// A program that allows what one of the rules allows, and nothing else.
pub(super) fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let load = |register, place| Instruction::new(LOAD, register, ASKED, place, 0);
    let mut program = vec![
        load(KIND, 0),
        Instruction::new(MOVE, ACCESS, KIND, 0, 0),
        Instruction::new(AND, KIND, 0, 0, 0xffff),
        Instruction::new(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for rule in merged(rules) {
        program.extend(block(&rule));
    }
    program.extend(answer(0));
    program
}

/// Rules for the same devices allow together what each does, as in version 1.
fn merged(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let devices = |rule: &DeviceRule| (rule.block, rule.major, rule.minor);
    let mut all: Vec<DeviceRule> = Vec::with_capacity(rules.len());
    for rule in rules {
        match all.iter_mut().find(|known| devices(known) == devices(rule)) {
            Some(known) => {
                known.read |= rule.read;
                known.write |= rule.write;
                known.make |= rule.make;
            }
            None => all.push(*rule),
        }
    }
    all
}

/// Answers yes, or goes on behind it.
fn block(rule: &DeviceRule) -> Vec<Instruction> {
    let kind = if rule.block { BLOCK } else { CHARACTER };
    let allowed = [(rule.make, MAKE), (rule.read, READ), (rule.write, WRITE)];
    let allowed = allowed.iter().filter(|(is, _)| *is);
    let allowed = allowed.fold(0, |all, (_, bit)| all | bit);
    let mut tests = vec![
        (SKIP_IF_NOT, KIND, kind),
        (SKIP_IF_ANY_OF, ACCESS, !allowed),
    ];
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        tests.extend(number.map(|number| (SKIP_IF_NOT, register, number.cast_signed())));
    }
    let yes = answer(1);
    // From behind each test to the next rule.
    let distances = (yes.len()..).take(tests.len()).collect::<Vec<_>>();
    let tests = tests.into_iter().zip(distances.into_iter().rev());
    let tests = tests.map(|((code, register, constant), distance)| {
        // At most five.
        let distance = i16::try_from(distance).unwrap_or(0);
        Instruction::new(code, register, 0, distance, constant)
    });
    tests.chain(yes).collect()
}

fn answer(yes: i32) -> [Instruction; 2] {
    [
        Instruction::new(SET, ANSWER, 0, 0, yes),
        Instruction::new(EXIT, 0, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's interpreter would do with the operations used here.
    fn run(program: &[Instruction], words: [u32; 3]) -> u32 {
        let mut registers = [0_u32; 6];
        let mut at = 0;
        loop {
            let it = program[at];
            let target = usize::from(it.target());
            let constant = it.constant.cast_unsigned();
            let mut skips = false;
            match it.code {
                LOAD => registers[target] = words[usize::try_from(it.offset / 4).unwrap()],
                MOVE => registers[target] = registers[usize::from(KIND)],
                SET => registers[target] = constant,
                AND => registers[target] &= constant,
                SHIFT_RIGHT => registers[target] >>= constant,
                SKIP_IF_NOT => skips = registers[target] != constant,
                SKIP_IF_ANY_OF => skips = registers[target] & constant != 0,
                EXIT => return registers[usize::from(ANSWER)],
                code => panic!("{code:#x}"),
            }
            at += 1 + if skips {
                usize::try_from(it.offset).unwrap()
            } else {
                0
            };
        }
    }

    /// Whether rules allow `TYPE MAJOR:MINOR ACCESS`.
    fn allows(rules: &[&str], asked: &str) -> bool {
        let rules: Vec<DeviceRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let asked: DeviceRule = asked.parse().unwrap();
        let bits = [(asked.make, 1), (asked.read, 2), (asked.write, 4)];
        let access: u32 = bits.iter().filter(|(is, _)| *is).map(|(_, bit)| bit).sum();
        let kind = if asked.block { 1 } else { 2 };
        let numbers = (asked.major.unwrap(), asked.minor.unwrap());
        match run(
            &program(&rules),
            [access << 16 | kind, numbers.0, numbers.1],
        ) {
            0 => false,
            1 => true,
            answer => panic!("{answer}"),
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        let rows: &[(&[&str], &str, bool)] = &[
            (&[], "c 1:3 r", false),
            (&["c 1:3 rwm"], "c 1:3 rwm", true),
            (&["c 1:3 rwm"], "c 1:3 w", true),
            (&["c 1:3 rwm"], "b 1:3 r", false),
            (&["b 1:3 rwm"], "c 1:3 r", false),
            (&["c 1:3 rwm"], "c 1:5 r", false),
            (&["c 1:3 rwm"], "c 2:3 r", false),
            (&["c 1:3 r"], "c 1:3 r", true),
            (&["c 1:3 r"], "c 1:3 w", false),
            (&["c 1:3 r"], "c 1:3 rw", false),
            (&["c 1:3 r"], "c 1:3 m", false),
            (&["c 1:3 m"], "c 1:3 m", true),
            (&["c 1:3 wm"], "c 1:3 r", false),
            (&["c 1:3 r", "c 1:5 w"], "c 1:5 w", true),
            (&["c 1:3 r", "c 1:5 w"], "c 1:5 r", false),
            // Together, though neither alone.
            (&["c 1:3 r", "b 1:3 m", "c 1:3 w"], "c 1:3 rw", true),
            (&["c 136:* rwm"], "c 136:77 rw", true),
            (&["c 136:* rwm"], "c 137:77 rw", false),
            (&["c *:7 r"], "c 9:7 r", true),
            (&["c *:7 r"], "c 9:8 r", false),
            (&["c *:* m"], "c 9:8 m", true),
            (&["c *:* m"], "b 9:8 m", false),
            (
                &["b 4294967295:4294967295 r"],
                "b 4294967295:4294967295 r",
                true,
            ),
            (&["b 4294967295:4294967295 r"], "b 4294967295:0 r", false),
        ];
        for (rules, asked, expected) in rows {
            assert_eq!(allows(rules, asked), *expected, "{rules:?} {asked}");
        }
    }

    #[test]
    fn accesses_and_types_that_are_not_known_are_refused() {
        let all = program(&["c *:* rwm".parse().unwrap(), "b *:* rwm".parse().unwrap()]);
        for (word, expected) in [(0x7_0002, 1), (0xf_0002, 0), (0x2_0003, 0), (0x2_0000, 0)] {
            assert_eq!(run(&all, [word, 1, 1]), expected, "{word:#x}");
        }
    }
}
