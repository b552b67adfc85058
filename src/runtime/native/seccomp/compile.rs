//! The compiler: tables of rules to a BPF program.
//!
//! The program looks at the architecture, then finds the range of numbers that the call is in by
//! halving, so that no call costs more than about nine comparisons; only calls with cases look at
//! arguments. The kernel runs it once for every number when it is loaded, to learn which calls are
//! always allowed, which is what a long chain makes slow. Also part of the build script.

use super::Instruction;
use super::bpf::{Assembler, Target, Test};
use super::rule::{Action, Architecture, Case, Compare, Condition, Rule, Table};

/// Offsets in `seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Compiles a filter; any other architecture ends the process.
pub fn compile(tables: &[Table]) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let mut start = Target::Return(Action::KILL_PROCESS);
    // Backwards, so that the machine's own table is nearest to the start.
    for table in tables.iter().rev() {
        let runs = runs(&mut assembler, table);
        let tree = tree(&mut assembler, &runs);
        let numbers = assembler.load(NUMBER, tree);
        start = assembler.branch(Test::Equal, table.architecture.audit(), numbers, start);
    }
    let start = assembler.load(ARCHITECTURE, start);
    assembler.finish(start)
}

/// Each run: its first number, and where calls from there to the next run go.
type Runs = Vec<(u32, Target)>;

fn runs(assembler: &mut Assembler, table: &Table) -> Runs {
    let rest = |number: u32| {
        let before = table.rest.iter().rev().find(|(first, _)| *first <= number);
        Target::Return(before.map_or(Action::KILL_PROCESS, |(_, action)| *action))
    };
    let mut starts: Runs = table
        .rest
        .iter()
        .map(|&(first, _)| (first, rest(first)))
        .collect();
    for (&number, rule) in &table.rules {
        starts.push((number, of_rule(assembler, table.architecture, rule)));
        let next = number.saturating_add(1);
        if !table.rules.contains_key(&next) {
            starts.push((next, rest(next)));
        }
    }
    // Stable: where a rule starts at the same number as the rest, it comes later and wins.
    starts.sort_by_key(|(first, _)| *first);
    collapsed(starts)
}

/// Without runs that nothing is in or that go where the one before goes.
fn collapsed(runs: Runs) -> Runs {
    let mut kept: Runs = Vec::with_capacity(runs.len());
    for (first, target) in runs {
        if kept.last().is_some_and(|(at, _)| *at == first) {
            kept.pop();
        }
        if kept.last().is_none_or(|(_, before)| *before != target) {
            kept.push((first, target));
        }
    }
    kept
}

/// Finds the run that the accumulator is in.
fn tree(assembler: &mut Assembler, runs: &[(u32, Target)]) -> Target {
    subtree(assembler, runs, u32::MAX)
}

/// The same among runs of which the last ends there.
fn subtree(assembler: &mut Assembler, runs: &[(u32, Target)], end: u32) -> Target {
    match *runs {
        [] => Target::Return(Action::KILL_PROCESS),
        [(_, target)] => target,
        // A single number between two of the same.
        [(_, outside), (number, inside), (next, beyond)]
            if outside == beyond && next - number == 1 =>
        {
            assembler.branch(Test::Equal, number, inside, outside)
        }
        _ => {
            let (low, high) = runs.split_at(middle(runs, end));
            let border = high[0].0;
            let high = subtree(assembler, high, end);
            let low = subtree(assembler, low, border);
            assembler.branch(Test::GreaterOrEqual, border, high, low)
        }
    }
}

/// Where to halve: as many numbers on each side, of those that the kernel tries when it loads the
/// program, and not as many runs. That puts long runs near the root.
fn middle(runs: &[(u32, Target)], end: u32) -> usize {
    const TRIED: u32 = 512;
    let (first, last) = (runs[0].0.min(TRIED), end.min(TRIED));
    if first == last {
        return runs.len() / 2;
    }
    let half = u32::midpoint(first, last);
    let above = runs.partition_point(|(start, _)| *start <= half);
    let distance = |at: usize| {
        runs.get(at)
            .map_or(u32::MAX, |(start, _)| start.abs_diff(half))
    };
    let nearest = if distance(above - 1) <= distance(above) {
        above - 1
    } else {
        above
    };
    nearest.clamp(1, runs.len() - 1)
}

fn of_rule(assembler: &mut Assembler, architecture: Architecture, rule: &Rule) -> Target {
    // As many of the last cases as possible are ranges; those before them are asked one by one.
    let ranged = |from: usize| Some((from, sole_argument(&rule.cases[from..])?));
    let found = (0..rule.cases.len()).find_map(ranged);
    let (chain, mut next) = match found {
        Some((from, argument)) => {
            let rest = Rule {
                cases: rule.cases[from..].to_vec(),
                otherwise: rule.otherwise,
            };
            let next = pieces(assembler, architecture, argument, &rest);
            (&rule.cases[..from], next)
        }
        None => (rule.cases.as_slice(), Target::Return(rule.otherwise)),
    };
    for case in chain.iter().rev() {
        let mut holds = Target::Return(case.action);
        for condition in case.conditions.iter().rev() {
            let fork = Fork {
                yes: holds,
                no: next,
            };
            holds = compare(assembler, architecture, condition, fork);
        }
        next = holds;
    }
    next
}

/// The argument that all cases compare once, and not by mask: its values fall into ranges.
fn sole_argument(cases: &[Case]) -> Option<u8> {
    let argument = cases.first()?.conditions.first()?.argument;
    let suits = |case: &Case| match case.conditions[..] {
        [condition] => {
            condition.argument == argument && !matches!(condition.compare, Compare::Masked(_))
        }
        _ => false,
    };
    cases.iter().all(suits).then_some(argument)
}

/// Finds the range that the argument's value is in.
fn pieces(
    assembler: &mut Assembler,
    architecture: Architecture,
    argument: u8,
    rule: &Rule,
) -> Target {
    let width = if architecture.is_wide() {
        u64::MAX
    } else {
        u64::from(u32::MAX)
    };
    let mut borders = vec![0];
    let conditions = rule.cases.iter().flat_map(|case| &case.conditions);
    for value in conditions.map(|condition| condition.value & width) {
        borders.push(value);
        borders.extend(value.checked_add(1).filter(|next| *next <= width));
    }
    borders.sort_unstable();
    borders.dedup();
    let pieces: Vec<(u64, Action)> = borders
        .into_iter()
        .map(|value| (value, decide(rule, width, value)))
        .collect();
    let offset = ARGUMENTS + 8 * u32::from(argument);
    if !architecture.is_wide() {
        return low_half(assembler, offset, &pieces, 0);
    }
    let mut highs: Vec<u32> = pieces.iter().map(|(value, _)| high(*value)).collect();
    let after: Vec<u32> = highs
        .iter()
        .filter_map(|high| high.checked_add(1))
        .collect();
    highs.extend(after);
    highs.sort_unstable();
    highs.dedup();
    let runs = highs
        .into_iter()
        .map(|high| (high, low_half(assembler, offset, &pieces, high)))
        .collect();
    let tree = tree(assembler, &collapsed(runs));
    match tree {
        Target::Return(_) => tree,
        Target::At(_) => assembler.load(offset + 4, tree),
    }
}

/// Finds the range among the values with this upper half.
fn low_half(
    assembler: &mut Assembler,
    offset: u32,
    pieces: &[(u64, Action)],
    upper: u32,
) -> Target {
    let first = u64::from(upper) << 32;
    let before = pieces.iter().rev().find(|(value, _)| *value <= first);
    let mut runs: Runs = before
        .map(|(_, action)| (0, Target::Return(*action)))
        .into_iter()
        .collect();
    let within = pieces
        .iter()
        .filter(|(value, _)| *value > first && high(*value) == upper);
    runs.extend(within.map(|(value, action)| (low(*value), Target::Return(*action))));
    match tree(assembler, &collapsed(runs)) {
        constant @ Target::Return(_) => constant,
        tree => assembler.load(offset, tree),
    }
}

/// What a rule whose cases have one condition each says of a value.
fn decide(rule: &Rule, width: u64, value: u64) -> Action {
    let holds = |case: &&Case| {
        case.conditions.iter().all(|condition| {
            let wanted = condition.value & width;
            match condition.compare {
                Compare::Equal => value == wanted,
                Compare::NotEqual => value != wanted,
                Compare::Less => value < wanted,
                Compare::LessOrEqual => value <= wanted,
                Compare::Greater => value > wanted,
                Compare::GreaterOrEqual => value >= wanted,
                Compare::Masked(mask) => value & mask == wanted,
            }
        })
    };
    let case = rule.cases.iter().find(holds);
    case.map_or(rule.otherwise, |case| case.action)
}

/// Where a comparison leads.
#[derive(Clone, Copy)]
struct Fork {
    yes: Target,
    no: Target,
}

impl Fork {
    fn swapped(self) -> Self {
        Self {
            yes: self.no,
            no: self.yes,
        }
    }
}

/// One condition in a chain.
fn compare(
    assembler: &mut Assembler,
    architecture: Architecture,
    condition: &Condition,
    fork: Fork,
) -> Target {
    let mut place = Place {
        assembler,
        offset: ARGUMENTS + 8 * u32::from(condition.argument),
        wide: architecture.is_wide(),
    };
    let value = condition.value;
    match condition.compare {
        Compare::Equal => place.masked(u64::MAX, value, fork),
        Compare::NotEqual => place.masked(u64::MAX, value, fork.swapped()),
        Compare::Masked(mask) => place.masked(mask, value, fork),
        Compare::Greater => place.ordered(Test::Greater, value, fork),
        Compare::GreaterOrEqual => place.ordered(Test::GreaterOrEqual, value, fork),
        Compare::Less => place.ordered(Test::GreaterOrEqual, value, fork.swapped()),
        Compare::LessOrEqual => place.ordered(Test::Greater, value, fork.swapped()),
    }
}

/// An argument; its low half comes first in memory on all of these machines.
struct Place<'a> {
    assembler: &'a mut Assembler,
    offset: u32,
    wide: bool,
}

impl Place<'_> {
    fn masked(&mut self, mask: u64, value: u64, fork: Fork) -> Target {
        let lower = self.half(self.offset, [low(mask), low(value)], fork);
        if !self.wide {
            return lower;
        }
        let yes = lower;
        let fork = Fork { yes, ..fork };
        self.half(self.offset + 4, [high(mask), high(value)], fork)
    }

    fn half(&mut self, offset: u32, [mask, value]: [u32; 2], fork: Fork) -> Target {
        if mask == 0 {
            return if value == 0 { fork.yes } else { fork.no };
        }
        let test = self.assembler.branch(Test::Equal, value, fork.yes, fork.no);
        let start = if mask == u32::MAX {
            test
        } else {
            self.assembler.and(mask, test)
        };
        self.assembler.load(offset, start)
    }

    fn ordered(&mut self, test: Test, value: u64, Fork { yes, no }: Fork) -> Target {
        let lower = self.assembler.branch(test, low(value), yes, no);
        let lower = self.assembler.load(self.offset, lower);
        if !self.wide {
            return lower;
        }
        let same = self.assembler.branch(Test::Equal, high(value), lower, no);
        let upper = self.assembler.branch(Test::Greater, high(value), yes, same);
        self.assembler.load(self.offset + 4, upper)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is wanted"
)]
fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    low(value >> 32)
}
