//! tests/data/peers.md: all facts of the default container, of the others what is not as there,
//! and the argument for every difference.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::facts::{Facts, is_host_node};
use super::relation::is_weaker;
use super::{CASES, Case};

/// Why a fact may differ from a peer's.
struct Argument {
    /// A fact's name, or how it begins if it ends in `*`.
    fact: &'static str,
    /// `""` is all cases.
    case: &'static str,
    /// `""` is both.
    peer: &'static str,
    /// It is weaker, and still right.
    weaker: bool,
    why: &'static str,
}

const fn differs(fact: &'static str, peer: &'static str, why: &'static str) -> Argument {
    Argument {
        fact,
        case: "",
        peer,
        weaker: false,
        why,
    }
}

const fn weaker(fact: &'static str, peer: &'static str, why: &'static str) -> Argument {
    Argument {
        weaker: true,
        ..differs(fact, peer, why)
    }
}

const fn in_case(case: &'static str, argument: Argument) -> Argument {
    Argument { case, ..argument }
}

/// The first that fits is taken.
const ARGUMENTS: &[Argument] = &[];

/// A row's columns: ours, docker's, podman's; `None` is a fact that is not there.
pub type Row = [Option<String>; 3];

pub const PEERS: [&str; 2] = ["docker", "podman"];
const ABSENT: &str = "–";
const SAME: &str = "=";

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn argument(case: &str, name: &str, peer: &str, is_weaker: bool) -> Option<&'static Argument> {
    ARGUMENTS.iter().find(|argument| {
        fits(argument.fact, name)
            && (argument.case.is_empty() || argument.case == case)
            && (argument.peer.is_empty() || argument.peer == peer)
            && (argument.weaker || !is_weaker)
    })
}

/// The text of a value in the document: what is inherited has the machine's number.
fn plain(value: &str) -> &str {
    match value.strip_prefix("inherited: ") {
        Some(_) => "inherited",
        None => value,
    }
}

/// Facts as the document has them.
pub fn shortened(facts: &Facts) -> Facts {
    let mut short = Facts::new();
    for (name, value) in facts {
        if is_host_node(name) {
            short.insert("nodes of the host".to_owned(), "shown".to_owned());
        } else {
            short.insert(name.clone(), plain(value).to_owned());
        }
    }
    short
}

/// What is wrong with ours beside a peer's: what is weaker without an argument that says so.
pub fn weaknesses(case: &str, peer: &str, ours: &Facts, theirs: &Facts) -> Vec<String> {
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let each = names.into_iter().filter_map(|name| {
        let value = |facts: &Facts| facts.get(name).cloned();
        let (ours, theirs) = (value(ours), value(theirs));
        let bad = is_weaker(name, ours.as_deref(), theirs.as_deref())
            && argument(case, name, peer, true).is_none();
        let shown = |value: Option<String>| value.unwrap_or_else(|| ABSENT.to_owned());
        bad.then(|| {
            format!(
                "{case}: {name}: ucr {}, {peer} {}",
                shown(ours),
                shown(theirs)
            )
        })
    });
    each.collect()
}

/// Writes the document. `seen` has the facts of a case: ours, docker's, podman's.
pub fn write(heading: &str, seen: &dyn Fn(&Case) -> [Facts; 3]) -> String {
    let mut text = heading.to_owned();
    let default = seen(&CASES[0]).map(|facts| shortened(&facts));
    for case in CASES {
        let facts = seen(case).map(|facts| shortened(&facts));
        let names: BTreeSet<_> = facts.iter().chain(&default).flat_map(Facts::keys).collect();
        let shown = |words: &[&str]| match words {
            [] => "no options".to_owned(),
            words => format!("`{}`", words.join(" ")),
        };
        let (ours, theirs) = (shown(case.ours), shown(case.theirs));
        let _ = write!(
            text,
            "\n## {}\n\nucr: {ours}; docker and podman: {theirs}\n",
            case.name
        );
        text.push_str("\n| fact | ucr | docker | podman | why |\n|---|---|---|---|---|\n");
        for name in names {
            let row: Row = [0, 1, 2].map(|column| facts[column].get(name).cloned());
            let before: Row = [0, 1, 2].map(|column| default[column].get(name).cloned());
            if case.name == "default" || row != before {
                text.push_str(&line(case.name, name, &row));
            }
        }
    }
    text
}

/// One line of the document, which must be as this gives it.
pub fn line(case: &str, name: &str, row: &Row) -> String {
    let own = row[0].as_deref();
    let mut columns = vec![name.to_owned(), own.unwrap_or(ABSENT).to_owned()];
    let mut why: Vec<String> = Vec::new();
    for (peer, theirs) in PEERS.iter().zip(&row[1..]) {
        let theirs = theirs.as_deref();
        if theirs == own {
            columns.push(SAME.to_owned());
            continue;
        }
        columns.push(theirs.unwrap_or(ABSENT).to_owned());
        let worse = is_weaker(name, own, theirs);
        let text = match argument(case, name, peer, worse) {
            None if worse => "WEAKER, not argued".to_owned(),
            None => "not argued".to_owned(),
            Some(argument) if worse => format!("weaker than {peer}: {}", argument.why),
            Some(argument) => argument.why.to_owned(),
        };
        if !why.contains(&text) {
            why.push(text);
        }
    }
    format!("| {} | {} |\n", columns.join(" | "), why.join("; "))
}

/// The lines of a case, by the fact's name.
pub fn read<'a>(document: &'a str, case: &str) -> Vec<(&'a str, Row, &'a str)> {
    let heading = format!("\n## {case}\n");
    let start = document.find(&heading).map(|at| at + heading.len());
    let section = &document[start.unwrap_or_else(|| panic!("no section {case}"))..];
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1);
    let parsed = rows.map(|whole| {
        let line = whole.trim_start_matches("| ").trim_end_matches('|');
        let columns: Vec<&str> = line.split(" | ").collect();
        let own = columns[1];
        let value = |text: &str| {
            let text = if text == SAME { own } else { text };
            (text != ABSENT).then(|| text.to_owned())
        };
        let row = [value(own), value(columns[2]), value(columns[3])];
        (columns[0], row, whole)
    });
    parsed.collect()
}

/// Our facts of a case: those of the default one, changed.
pub fn ours(document: &str, case: &str) -> Facts {
    let mut facts = Facts::new();
    for section in ["default", case] {
        for (name, [own, ..], _) in read(document, section) {
            match own {
                Some(value) => facts.insert(name.to_owned(), value),
                None => facts.remove(name),
            };
        }
    }
    facts
}

/// The arguments that nothing in the document needs.
pub fn unused(document: &str) -> Vec<String> {
    let mut used = BTreeSet::new();
    for case in CASES {
        for (name, row, _) in read(document, case.name) {
            for (peer, theirs) in PEERS.iter().zip(&row[1..]) {
                if *theirs != row[0] {
                    let worse = is_weaker(name, row[0].as_deref(), theirs.as_deref());
                    let found = argument(case.name, name, peer, worse);
                    used.extend(found.map(|argument| std::ptr::from_ref(argument).addr()));
                }
            }
        }
    }
    let idle = ARGUMENTS
        .iter()
        .filter(|argument| !used.contains(&std::ptr::from_ref(*argument).addr()));
    idle.map(|it| format!("{} {} {}: {}", it.case, it.fact, it.peer, it.why))
        .collect()
}
