//! ucr-app(5) has every field that the reader of app definitions knows and every identifier of a
//! finding, and no other; its examples are definitions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ucr::frontend::marathon::{Settings, read};

type Words = BTreeSet<String>;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(repository().join("man/ucr-app.5")).expect("the page")
}

/// Rust files below a directory.
fn sources(directory: &str) -> Vec<String> {
    let mut directories = vec![repository().join(directory)];
    let mut all = Vec::new();
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).expect("a directory");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !is_of_tests(&path) {
                all.push(fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    all
}

fn is_of_tests(path: &Path) -> bool {
    path.iter().any(|part| part == "tests") || path.ends_with("tests.rs")
}

/// The sections, each as its heading and text.
fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let all = page.split("\n.SH ").skip(1);
    all.filter_map(|section| section.split_once('\n'))
}

/// The keys that a section explains: the bold words of the line after each `.TP`.
fn explained(section: &str) -> Words {
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

/// What each object of a definition may have, as the reader lists it.
fn known() -> Vec<Words> {
    let mut all = Vec::new();
    for text in sources("src/frontend/marathon/read") {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        all.extend(lists(text, "KEYS: &[&str] = &[", "];"));
        all.extend(lists(text, ".object(&[", "])"));
        all.extend(lists(text, "let keys = [", "];"));
    }
    all
}

#[test]
fn every_field_is_explained_and_no_other() {
    let page = page();
    let sections: Vec<(&str, Words)> = sections(&page)
        .map(|(heading, text)| (heading, explained(text)))
        .collect();
    let known = known();
    assert!(known.len() > 30, "{}", known.len());
    for list in &known {
        // What may be written together is explained together.
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
fn identifiers(text: &str) -> Words {
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

#[test]
fn every_finding_is_explained_and_no_other() {
    let page = page().replace("\\-", "-");
    let findings = sections(&page).find(|(heading, _)| *heading == "FINDINGS");
    let (_, findings) = findings.expect("the section");
    let items = findings.split(".TP\n.B ").skip(1);
    let mut explained = Words::new();
    for item in items {
        let (name, sentence) = item.split_once('\n').expect("a name and a sentence");
        assert!(sentence.trim_end().ends_with(['.', '?']), "{name}");
        assert!(explained.insert(name.to_owned()), "{name} is there twice");
    }
    let code = sources("src");
    let used: Words = code.iter().flat_map(|text| identifiers(text)).collect();
    assert!(used.len() > 100, "{used:?}");
    assert_eq!(explained, used);
}

#[test]
fn options_that_it_names_exist() {
    let page = page().replace("\\-", "-");
    let (text, _) = page.split_once(".SH EXAMPLES").expect("the section");
    let mut command = ucr::cli::command();
    command.build();
    let run = command.find_subcommand("run").expect("it is there");
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    for rest in text.split("--").skip(1) {
        let name = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        let known = run.get_arguments().any(|arg| arg.get_long() == Some(name));
        assert!(known, "--{name} is no option of ucr run");
    }
}

#[test]
fn examples_are_definitions_without_a_finding() {
    let page = page();
    let examples = page.split(".EX\n").skip(1);
    let examples = examples.filter_map(|text| text.split(".EE").next());
    let mut count = 0;
    for text in examples.filter(|text| text.starts_with('{')) {
        let text = text.replace("\\(dq", "\"").replace("\\-", "-");
        let (_, findings) = read(text.as_bytes(), &Settings::default())
            .unwrap_or_else(|findings| panic!("{findings:?}\n{text}"));
        assert!(findings.0.is_empty(), "{findings:?}\n{text}");
        count += 1;
    }
    assert_eq!(count, 2);
}
