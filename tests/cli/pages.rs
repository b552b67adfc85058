//! Man pages of documents as tests read them: what they explain, and what the code knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub type Words = BTreeSet<String>;

/// A path of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn page(name: &str) -> String {
    fs::read_to_string(repository("man").join(name)).expect("the page")
}

/// Rust files of a path or below it, but for tests and what is below `others`.
pub fn sources(path: &str, others: &[&str]) -> Vec<String> {
    let others: Vec<PathBuf> = others.iter().map(|path| repository(path)).collect();
    let mut paths = vec![repository(path)];
    let mut all = Vec::new();
    while let Some(path) = paths.pop() {
        if others.contains(&path) || is_of_tests(&path) {
            continue;
        }
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            paths.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|it| it == "rs") {
            all.push(fs::read_to_string(&path).expect("a source"));
        }
    }
    all
}

fn is_of_tests(path: &Path) -> bool {
    path.ends_with("tests") || path.ends_with("tests.rs")
}

/// The sections, each as its heading and text.
pub fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let all = page.split("\n.SH ").skip(1);
    all.filter_map(|section| section.split_once('\n'))
}

/// The text of one.
#[track_caller]
pub fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let mut found = sections(page).filter(|(name, _)| *name == heading);
    found.next().expect("the section").1
}

/// The keys that a section explains: the bold words of the line after each `.TP`.
pub fn explained(section: &str) -> Words {
    let titles = section.split(".TP\n").skip(1);
    let titles = titles.filter_map(|item| item.lines().next()?.strip_prefix(".BR "));
    let names = titles.flat_map(|title| title.split('"').step_by(2));
    let names = names.map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// The words in quotes of each list between `begin` and `end`.
fn lists(text: &str, begin: &str, end: &str) -> Vec<Words> {
    let lists = text.split(begin).skip(1);
    let lists = lists.filter_map(|rest| rest.split(end).next());
    lists
        .map(|list| {
            let words = list.split('"').skip(1).step_by(2);
            words.map(str::to_owned).collect()
        })
        .collect()
}

/// What each object of a document may have, as its reader lists it.
pub fn known(directory: &str) -> Vec<Words> {
    let mut all = Vec::new();
    for text in sources(directory, &[]) {
        let text = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
        all.extend(lists(text, "KEYS: &[&str] = &[", "];"));
        all.extend(lists(text, ".object(&[", "])"));
        all.extend(lists(text, "let keys = [", "];"));
    }
    all
}

/// What may be written together is explained together, and nothing else is.
#[track_caller]
pub fn assert_explained(page: &str, known: Vec<Words>) {
    let sections: Vec<(&str, Words)> = sections(page)
        .map(|(heading, text)| (heading, explained(text)))
        .collect();
    for list in &known {
        let is_there = sections.iter().any(|(_, words)| list.is_subset(words));
        assert!(is_there, "no section has all of {list:?}");
    }
    let known: Words = known.into_iter().flatten().collect();
    for (heading, words) in &sections {
        let other: Vec<_> = words.difference(&known).collect();
        assert!(other.is_empty(), "{heading}: {other:?}");
    }
}

/// `E:…` and `W:…` of a text.
pub fn identifiers(text: &str) -> Words {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut all = Words::new();
    for (at, _) in text.match_indices(':') {
        let (before, rest) = (&text[..at], &text[at + 1..]);
        let mut before = before.chars().rev();
        let kind = before.next().filter(|c| matches!(c, 'E' | 'W'));
        let begins = before.next().is_none_or(|c| !c.is_alphanumeric());
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if let (Some(kind), true, 1..) = (kind, begins, end) {
            all.insert(format!("{kind}:{}", &rest[..end]));
        }
    }
    all
}

/// The identifiers that the section FINDINGS explains, each in a sentence.
#[track_caller]
pub fn findings(page: &str) -> Words {
    let page = page.replace("\\-", "-");
    let items = section(&page, "FINDINGS").split(".TP\n.B ").skip(1);
    let mut explained = Words::new();
    for item in items {
        let (name, sentence) = item.split_once('\n').expect("a name and a sentence");
        assert!(sentence.trim_end().ends_with(['.', '?']), "{name}");
        assert!(explained.insert(name.to_owned()), "{name} is there twice");
    }
    explained
}

/// The examples that are JSON objects, as somebody reads them.
pub fn examples(page: &str) -> Vec<String> {
    let examples = page.split(".EX\n").skip(1);
    let examples = examples.filter_map(|text| text.split(".EE").next());
    let examples = examples.filter(|text| text.starts_with('{'));
    examples.map(plain).collect()
}

fn plain(text: &str) -> String {
    [
        ("\\(dq", "\""),
        ("\\(aq", "'"),
        ("\\(rs", "\\"),
        ("\\-", "-"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (roff, sign)| {
        text.replace(roff, sign)
    })
}
