//! `tests/data/escapes.md` names tests that exist, and nothing in it is without a test or an
//! argument.

use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "tests/data/escapes.md";

/// The last cell of each row, and the row for messages.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| {
        let shown = row.trim_end_matches(" |").rsplit(" | ").next()?;
        (shown != "shown by").then_some((row, shown))
    })
}

/// The file that a test is in, and its name.
fn place_of(test: &str) -> (PathBuf, &str) {
    let (module, name) = test.rsplit_once("::").unwrap_or(("", test));
    let below = match module.strip_prefix("src::") {
        Some(module) => Path::new("src").join(module.replace("::", "/")),
        None => Path::new("tests/privileged").join(module.replace("::", "/")),
    };
    let file = below.with_extension("rs");
    let place = if file.exists() {
        file
    } else {
        below.join("mod.rs")
    };
    (place, name)
}

/// Whether there is such a test.
pub fn is_test(test: &str) -> bool {
    let (place, name) = place_of(test);
    let source = fs::read_to_string(place).unwrap_or_default();
    let Some((before, _)) = source.split_once(&format!("fn {name}()")) else {
        return false;
    };
    before
        .trim_end()
        .lines()
        .rev()
        .take(3)
        .any(|line| line.trim() == "#[test]")
}

#[test]
fn every_row_is_shown() {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let table = fs::read_to_string(TABLE).unwrap();
    let mut items = Vec::new();
    let mut wrong = Vec::new();
    for (row, shown) in rows(&table) {
        let words: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let tests: Vec<&&str> = words.iter().filter(|word| word.contains("::")).collect();
        wrong.extend(
            tests
                .iter()
                .filter(|test| !is_test(test))
                .map(|test| (**test).to_owned()),
        );
        if tests.is_empty() && !shown.contains("argument") {
            wrong.push(row.to_owned());
        }
        let item = row.trim_start_matches("| ").split(' ').next().unwrap();
        items.extend(item.parse::<u32>());
    }
    assert!(
        wrong.is_empty(),
        "no such test, or nothing shown: {wrong:#?}"
    );
    assert_eq!(items, (1..=88).collect::<Vec<_>>());
}
