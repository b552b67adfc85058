//! A BPF machine with what seccomp's verifier allows, and the checks that it makes before loading.

use super::super::Instruction;
use super::super::rule::Action;

/// What a filter sees of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    pub number: u32,
    pub architecture: u32,
    pub arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        let half = |value: u64| if offset.is_multiple_of(8) { value } else { value >> 32 } as u32;
        match offset {
            0 => self.number,
            4 => self.architecture,
            16..64 if offset.is_multiple_of(4) => half(self.arguments[(offset as usize - 16) / 8]),
            _ => panic!("no such word in seccomp_data: {offset}"),
        }
    }
}

/// Refuses what the kernel would refuse to load.
pub fn verify(program: &[Instruction]) {
    assert!(
        (1..=4096).contains(&program.len()),
        "{} instructions",
        program.len()
    );
    for (at, instruction) in program.iter().enumerate() {
        let Instruction { code, jt, jf, k } = *instruction;
        let furthest = match code {
            0x20 | 0x54 | 0x06 => 0,
            0x05 => k as usize,
            0x15 | 0x25 | 0x35 | 0x45 => usize::from(jt.max(jf)),
            _ => panic!("{at}: unknown code {code:#x}"),
        };
        let last = at + 1 == program.len();
        assert_eq!(code == 0x06, code == 0x06 || last, "{at}: runs off the end");
        assert!(last || at + 1 + furthest < program.len(), "{at}: jumps out");
    }
}

/// Runs a program; also says how many instructions that took.
pub fn run(program: &[Instruction], call: &Call) -> (Action, usize) {
    let (action, steps, _) = trace(program, call);
    (action, steps)
}

/// The offset of every word that a program looks at.
pub fn loads(program: &[Instruction], call: &Call) -> Vec<u32> {
    trace(program, call).2
}

fn trace(program: &[Instruction], call: &Call) -> (Action, usize, Vec<u32>) {
    let (mut at, mut accumulator, mut loads) = (0, 0_u32, Vec::new());
    for steps in 1..=4096 {
        let Instruction { code, jt, jf, k } = program[at];
        let skip = |holds: bool| usize::from(if holds { jt } else { jf });
        at += 1;
        match code {
            0x20 => {
                accumulator = call.word(k);
                loads.push(k);
            }
            0x54 => accumulator &= k,
            0x06 => return (Action(k), steps, loads),
            0x05 => at += k as usize,
            0x15 => at += skip(accumulator == k),
            0x25 => at += skip(accumulator > k),
            0x35 => at += skip(accumulator >= k),
            0x45 => at += skip(accumulator & k != 0),
            _ => panic!("unknown code {code:#x}"),
        }
    }
    panic!("it does not end");
}
