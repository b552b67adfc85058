//! `tests/data/seed.md` quotes the seed, has a row for each requirement, and names tests that exist:
//! all of this directory's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::place::{data, printed};
use crate::escapes::table::is_test;

const TABLE: &str = "tests/data/seed.md";
const TESTS: &str = "tests/privileged/marathon/seed";

fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| line.starts_with("| R"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// With single blanks, and quotation marks of one kind.
fn plain(text: &str) -> String {
    let text = text
        .replace(['“', '”'], "\"")
        .replace('’', "'")
        .replace('`', "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The tests in the files of this directory.
fn tests() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(TESTS).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&path).unwrap();
        for part in source.split("\n#[test]\n").skip(1) {
            let (_, name) = part.split_once("fn ").unwrap();
            let (name, _) = name.split_once('(').unwrap();
            all.insert(format!("marathon::seed::{module}::{name}"));
        }
    }
    all
}

#[test]
fn every_sentence_is_shown() {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let table = fs::read_to_string(TABLE).unwrap();
    let seed = plain(&printed("provisioning-containers.txt"));
    let (mut requirements, mut named, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for row in rows(&table) {
        let [requirement, sentence, command, seen, shown] = row.as_slice() else {
            panic!("five cells: {row:?}");
        };
        requirements.extend(requirement[1..].parse::<u32>());
        for quote in sentence.split(" … ") {
            if !seed.contains(&plain(quote)) {
                wrong.push(format!("{requirement}: not in the seed: {quote}"));
            }
        }
        if command.is_empty() || seen.is_empty() {
            wrong.push(format!("{requirement}: nothing was seen"));
        }
        let tests = shown.split('`').skip(1).step_by(2);
        let tests: Vec<String> = tests
            .map(|test| format!("marathon::seed::{test}"))
            .collect();
        if tests.is_empty() {
            wrong.push(format!("{requirement}: no test"));
        }
        wrong.extend(tests.iter().filter(|test| !is_test(test)).cloned());
        named.extend(tests);
    }
    let here = format!("{}::every_sentence_is_shown", "marathon::seed::table");
    let forgotten = tests().into_iter().filter(|it| !named.contains(it));
    wrong.extend(forgotten.filter(|it| *it != here && !it.contains("::table::")));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(requirements, (1..=49).collect());
}

/// The files are what is printed.
#[test]
fn snippets_are_the_seeds() {
    let seed = printed("provisioning-containers.txt");
    let files = fs::read_dir(data("")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names
        .filter(|it| Path::new(it).extension().is_none_or(|it| it != "txt"))
        .collect();
    assert_eq!(names.len(), 9, "with the note on their origin");
    for name in names.iter().filter(|name| *name != "README.md") {
        assert!(seed.contains(&printed(name)), "{name}");
    }
}
