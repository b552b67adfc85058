//! ucr-app(5) has every field that the reader of app definitions knows and every identifier of a
//! finding, and no other; its examples are definitions.

use ucr::frontend::marathon::{Settings, read};

use crate::pages::{
    Words, assert_explained, examples, findings, identifiers, known, page, sources,
};

const PAGE: &str = "ucr-app.5";

#[test]
fn every_field_is_explained_and_no_other() {
    let known = known("src/frontend/marathon/read");
    assert!(known.len() > 30, "{}", known.len());
    assert_explained(&page(PAGE), known);
}

#[test]
fn every_finding_is_explained_and_no_other() {
    // Those of tasks are in ucr-executor(7).
    let code = sources("src", &["src/frontend/mesos", "src/executor"]);
    let used: Words = code.iter().flat_map(|text| identifiers(text)).collect();
    assert!(used.len() > 100, "{used:?}");
    assert_eq!(findings(&page(PAGE)), used);
}

#[test]
fn options_that_it_names_exist() {
    let page = page(PAGE).replace("\\-", "-");
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
    let examples = examples(&page(PAGE));
    for text in &examples {
        let (_, findings) = read(text.as_bytes(), &Settings::default())
            .unwrap_or_else(|findings| panic!("{findings:?}\n{text}"));
        assert!(findings.0.is_empty(), "{findings:?}\n{text}");
    }
    assert_eq!(examples.len(), 2);
}
