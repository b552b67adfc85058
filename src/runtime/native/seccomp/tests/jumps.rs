//! Conditional jumps at, just within and just out of their reach.

use super::super::bpf::{Assembler, Target, Test};
use super::super::rule::Action;
use super::interpreter::{Call, run, verify};

const FAR: Action = Action::errno(1);
const FARTHER: Action = Action::errno(2);

/// A program that branches to two places, the second so many instructions before the first.
fn program(distance: usize, between: usize, swapped: bool) -> [Action; 2] {
    let mut assembler = Assembler::default();
    let fill = |assembler: &mut Assembler, count: usize| {
        let mut target = Target::Return(Action::ALLOW);
        for _ in 0..count {
            target = assembler.load(0, target);
        }
    };
    let farther = assembler.load(0, Target::Return(FARTHER));
    fill(&mut assembler, between);
    let far = assembler.load(0, Target::Return(FAR));
    fill(&mut assembler, distance);
    let (yes, no) = if swapped {
        (farther, far)
    } else {
        (far, farther)
    };
    let start = assembler.branch(Test::Equal, 7, yes, no);
    let start = assembler.load(0, start);
    let program = assembler.finish(start);
    verify(&program);
    [7, 8].map(|number| {
        let call = Call {
            number,
            ..Call::default()
        };
        run(&program, &call).0
    })
}

#[test]
fn both_places_are_reached_from_everywhere() {
    for distance in 240..265 {
        for between in (0..10).chain(240..265) {
            let said = program(distance, between, false);
            assert_eq!(said, [FAR, FARTHER], "{distance} {between}");
            let said = program(distance, between, true);
            assert_eq!(said, [FARTHER, FAR], "{distance} {between} swapped");
        }
    }
}

/// A far return is written again rather than jumped to.
#[test]
fn returns_are_shared_within_reach() {
    for (count, returns) in [(10, 2), (250, 2), (300, 3)] {
        let mut assembler = Assembler::default();
        let mut target = assembler.load(0, Target::Return(FAR));
        for _ in 0..count {
            target = assembler.load(0, target);
        }
        let start = assembler.branch(Test::Equal, 7, Target::Return(FAR), Target::Return(FARTHER));
        let program = assembler.finish(start);
        let found = program.iter().filter(|instruction| instruction.code == 6);
        assert_eq!(found.count(), returns, "{count}");
    }
}
