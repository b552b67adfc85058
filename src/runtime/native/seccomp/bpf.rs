//! Classic BPF, written from its end to its start.
//!
//! Jumps go forwards only and conditional ones at most 255 instructions far, so a target is always
//! known before the jump, and one that is out of reach gets a stepping stone. Also part of the build
//! script.

use super::Instruction;
use super::rule::Action;

const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;

/// The reach of a conditional jump.
const REACH: usize = 255;

/// A comparison of the accumulator with a constant.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    Equal = 0x15,
    Greater = 0x25,
    GreaterOrEqual = 0x35,
}

/// Where execution goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It ends with this action.
    Return(Action),
    /// At this instruction, counted from the end.
    At(usize),
}

/// A program that grows towards its start.
#[derive(Debug, Default)]
pub struct Assembler {
    reversed: Vec<Instruction>,
    returns: Vec<(Action, usize)>,
}

impl Assembler {
    /// Loads a 32-bit word of `seccomp_data` into the accumulator and goes on there.
    pub fn load(&mut self, offset: u32, then: Target) -> Target {
        self.straight(LOAD_WORD, offset, then)
    }

    /// Clears all other bits of the accumulator and goes on there.
    pub fn and(&mut self, bits: u32, then: Target) -> Target {
        self.straight(AND, bits, then)
    }

    /// Compares the accumulator and goes on at one of two places.
    pub fn branch(&mut self, test: Test, value: u32, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        // The stone of the second may move the first out of reach by one.
        let yes = self.reach(yes, REACH - 1);
        let no = self.reach(no, REACH);
        // Within reach, so each fits.
        let jump = |to: usize| u8::try_from(self.reversed.len() - 1 - to).unwrap_or(u8::MAX);
        let (jt, jf) = (jump(yes), jump(no));
        self.push(test as u16, jt, jf, value)
    }

    /// The finished program, which starts there.
    pub fn finish(mut self, start: Target) -> Vec<Instruction> {
        self.reach(start, 0);
        self.reversed.reverse();
        self.reversed
    }

    fn straight(&mut self, code: u16, k: u32, then: Target) -> Target {
        self.reach(then, 0);
        self.push(code, 0, 0, k)
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Target {
        self.reversed.push(Instruction { code, jt, jf, k });
        Target::At(self.reversed.len() - 1)
    }

    /// An instruction that leads to the target, at most that far from the next one to be written.
    fn reach(&mut self, target: Target, distance: usize) -> usize {
        let next = self.reversed.len();
        match target {
            Target::At(at) if next - 1 - at <= distance => at,
            Target::At(at) => {
                let k = u32::try_from(next - 1 - at).unwrap_or(u32::MAX);
                self.push(JUMP, 0, 0, k);
                next
            }
            Target::Return(action) => {
                let known = self.returns.iter().rev().find(|(of, _)| *of == action);
                match known {
                    Some(&(_, at)) if next - 1 - at <= distance => at,
                    _ => {
                        self.push(RETURN, 0, 0, action.0);
                        self.returns.push((action, next));
                        next
                    }
                }
            }
        }
    }
}
