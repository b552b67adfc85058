//! ucr-spec(5) has every key of a description and no other, and its examples are descriptions.
//!
//! What keys there are, the readers themselves say: each lists what it knows when it meets what it
//! does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use ucr::spec::{
    AppPort, AppRecord, CgroupMode, CgroupPolicy, ContainerSpec, Endpoint, Health, HealthTest,
    HostDevice, IdRange, Log, Mount, Naming, Resources, Seccomp, Secret, SecretSource,
    SecretTarget, Security, Sharing, Ulimit, UlimitName, Userns, UtsMode,
};

type Words = BTreeSet<String>;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a reader knows, from what it says to a key or word that it cannot know.
fn known<T: DeserializeOwned>(text: &str) -> Words {
    let error = match serde_json::from_str::<T>(text) {
        Ok(_) => panic!("{text} is understood"),
        Err(error) => error.to_string(),
    };
    let (_, known) = error
        .split_once(", expected ")
        .unwrap_or_else(|| panic!("{error}"));
    let words = known.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

fn keys<T: DeserializeOwned>() -> Words {
    known::<T>(r#"{"?": 0}"#)
}

fn values<T: DeserializeOwned>() -> Words {
    known::<T>(r#""?""#)
}

/// The lines of a section.
#[track_caller]
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let begin = format!(".SH {heading}\n");
    let rest = page.split(&begin).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no section {heading}"));
    rest.split(".SH ").next().unwrap_or_default()
}

/// The keys that a section explains: the bold words of the line after each `.TP`.
fn explained(section: &str) -> Words {
    let titles = section.split(".TP\n").skip(1);
    let titles = titles.filter_map(|item| item.lines().next());
    titles
        .flat_map(|title| {
            let title = title.strip_prefix(".BR ").expect("a name and its type");
            // Every second word is between quotes: the text between the names.
            let names = title.split('"').step_by(2);
            names.map(|name| name.trim().to_owned())
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn every_key_is_explained_and_no_other() {
    let page = page("ucr-spec.5");
    let sections = [
        ("THE CONTAINER", keys::<ContainerSpec>()),
        ("LOG", keys::<Log>()),
        ("HEALTH", keys::<Health>()),
        ("NAMES", keys::<Naming>()),
        ("NAMESPACES", keys::<Sharing>()),
        ("MOUNTS", keys::<Mount>()),
        ("DEVICES", keys::<HostDevice>()),
        ("SECRETS", keys::<Secret>()),
        ("ENDPOINT", keys::<Endpoint>()),
        ("RESOURCES", keys::<Resources>()),
        ("ULIMITS", keys::<Ulimit>()),
        ("SECURITY", keys::<Security>()),
        ("USERS", keys::<IdRange>()),
        ("APP", keys::<AppRecord>()),
        ("APP PORTS", keys::<AppPort>()),
    ];
    for (heading, known) in sections {
        assert!(known.len() >= 2, "{heading}: {known:?}");
        assert_eq!(explained(section(&page, heading)), known, "{heading}");
    }
}

#[test]
fn every_word_is_named() {
    let page = page("ucr-spec.5");
    let mount = |key: &str| {
        known::<Mount>(&format!(
            r#"{{"type": "bind", "source": "/s", "target": "/t", "{key}": "?"}}"#
        ))
    };
    let lists = [
        ("HEALTH", values::<HealthTest>()),
        ("NAMESPACES", values::<UtsMode>()),
        ("NAMESPACES", values::<CgroupMode>()),
        ("MOUNTS", known::<Mount>(r#"{"type": "?"}"#)),
        ("MOUNTS", mount("recursive")),
        ("MOUNTS", mount("propagation")),
        ("SECRETS", values::<SecretSource>()),
        ("SECRETS", values::<SecretTarget>()),
        ("RESOURCES", values::<CgroupPolicy>()),
        ("ULIMITS", values::<UlimitName>()),
        ("SECURITY", values::<Seccomp>()),
        ("SECURITY", values::<Userns>()),
    ];
    for (heading, known) in lists {
        assert!(known.len() >= 2, "{heading}: {known:?}");
        let text = section(&page, heading).replace("\\(dq", " ");
        let text = text.replace("\\-", "-");
        let words: Words = text.split_whitespace().map(str::to_owned).collect();
        let missing: Vec<_> = known.difference(&words).collect();
        assert!(missing.is_empty(), "{heading}: {missing:?}");
    }
}

#[test]
fn options_that_it_names_exist() {
    let page = page("ucr-spec.5").replace("\\-", "-");
    let mut command = ucr::cli::command();
    command.build();
    let run = command.find_subcommand("run").expect("it is there");
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    let named = page.split("--").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('-')).filter(|name| !name.is_empty())
    });
    // Part of an example's document.
    let named: Words = named
        .filter(|name| *name != "port")
        .map(str::to_owned)
        .collect();
    assert!(named.len() > 30, "{named:?}");
    for name in &named {
        let known = run.get_arguments().any(|arg| arg.get_long() == Some(name));
        assert!(known, "--{name} is no option of ucr run");
    }
}

#[test]
fn examples_are_descriptions() {
    let page = page("ucr-spec.5");
    let examples = page.split(".EX\n").skip(1);
    let examples = examples.filter_map(|text| text.split(".EE").next());
    let mut count = 0;
    for text in examples.filter(|text| text.starts_with('{')) {
        let text = text.replace("\\(dq", "\"").replace("\\-", "-");
        let spec = ContainerSpec::parse(text.as_bytes());
        let spec = spec.unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        spec.check()
            .unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        let again = serde_json::to_vec(&spec).expect("JSON");
        assert_eq!(ContainerSpec::parse(&again).expect("its own"), spec);
        count += 1;
    }
    assert_eq!(count, 2);
}
