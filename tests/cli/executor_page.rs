//! ucr-executor(7) has every key that the reader of TaskInfo knows, every identifier of a finding and
//! every label, and no other; its examples are tasks.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use ucr::frontend::marathon::container::Machine;
use ucr::frontend::mesos::{Containerizer, Place, TaskDefinition, read};
use ucr::spec::Network;

use crate::pages::{
    Words, assert_explained, examples, findings, identifiers, known, page, repository, section,
    sources,
};

const PAGE: &str = "ucr-executor.7";

#[test]
fn every_key_is_explained_and_no_other() {
    let known = known("src/frontend/mesos");
    assert!(known.len() > 40, "{}", known.len());
    assert_explained(&page(PAGE), known);
}

/// Those of the reader of TaskInfo, and of what it reads with.
#[test]
fn every_finding_is_explained_and_no_other() {
    let parts = [
        "src/frontend/mesos",
        "src/frontend/marathon/read/reader.rs",
        "src/frontend/marathon/read/json.rs",
        "src/frontend/marathon/finding.rs",
        "src/spec/artifact.rs",
    ];
    let code = parts.iter().flat_map(|path| sources(path, &[]));
    let used: Words = code.flat_map(|text| identifiers(&text)).collect();
    assert!(used.len() > 20, "{used:?}");
    let page = page(PAGE);
    assert_eq!(findings(&page), used);
    let elsewhere = identifiers(&page.replace("\\-", "-"));
    assert_eq!(elsewhere, used, "also where a key is refused");
}

#[test]
fn every_label_is_explained_and_no_other() {
    let code = sources("src/frontend/mesos/source.rs", &[]).concat();
    let words = code.split('"').skip(1).step_by(2);
    let is_label = |word: &&str| word.starts_with("ucr.") && word.len() > "ucr.".len();
    let used: Words = words.filter(is_label).map(str::to_owned).collect();
    let page = page(PAGE).replace("\\-", "-");
    let items = section(&page, "WHAT RUNS").split(".TP\n.B ").skip(1);
    let explained = items.filter_map(|item| Some(item.lines().next()?.to_owned()));
    assert_eq!(explained.collect::<Words>(), used);
    assert_eq!(used.len(), 5);
}

/// Those of ucr's that the page names, and those of others that it explains or sends to.
#[test]
fn options_that_it_names_exist() {
    let page = page(PAGE).replace("\\-", "-");
    let (text, _) = page.split_once(".SH EXAMPLES").expect("the section");
    let agents = section(&page, "INSTALLATION");
    let agents: Words = agents
        .lines()
        .filter(|line| line.starts_with(".B --"))
        .flat_map(options)
        .collect();
    let others = ["switch_user", "volume-driver"];
    let mut command = ucr::cli::command();
    command.build();
    let executor = command.find_subcommand("executor").expect("it is there");
    let run = command.find_subcommand("run").expect("it is there");
    for name in options(text) {
        let mut known = executor.get_arguments().chain(run.get_arguments());
        let is_known = known.any(|arg| arg.get_long() == Some(&name));
        let is_anothers = agents.contains(&name) || others.contains(&name.as_str());
        assert!(is_known || is_anothers, "--{name} is no option");
    }
}

fn options(text: &str) -> Words {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-' || c == '_';
    let names = text.split("--").skip(1);
    let names = names.map(|rest| &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// A task of it, which has to be as it should be in every respect.
#[track_caller]
fn understood(task: &Value, words: &[&str]) -> TaskDefinition {
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    let place = Place {
        sandbox: Path::new("/sandbox"),
        seccomp: Path::new("/etc/ucr/seccomp"),
        network: &|name| Ok(Network::Named(name.to_owned())),
        machine: Machine::default(),
        words: &words,
    };
    let (found, findings) =
        read(task, &place).unwrap_or_else(|findings| panic!("{findings:?}\n{task}"));
    assert!(findings.0.is_empty(), "{findings:?}\n{task}");
    found
        .spec
        .check()
        .unwrap_or_else(|fault| panic!("{fault}\n{task}"));
    found
}

/// A task with nothing else.
fn bare(id: &str) -> Value {
    json!({"name": id, "task_id": {"value": id}, "agent_id": {"value": "a"}})
}

/// What Marathon makes of an app with an executor of its own (reference/mesos-ucr.md, section 5.9).
fn as_marathon_sends(app: &Value) -> Value {
    let mut task = bare("web.1");
    let executor = app["executor"].as_str().expect("a path");
    let cmd = app["cmd"].as_str().expect("a command");
    let pairs = |object: &Value, key: &str| {
        let all = object.as_object().into_iter().flatten();
        all.map(|(name, value)| json!({key: name, "value": value}))
            .collect::<Vec<_>>()
    };
    task["labels"] = json!({ "labels": pairs(&app["labels"], "key") });
    task["executor"] = json!({"executor_id": {"value": "marathon-web.1"}, "command": {
        "value": format!("chmod ug+rx '{executor}' && exec '{executor}' {cmd}"),
        "user": app["user"],
        "environment": {"variables": pairs(&app["env"], "name")}}});
    task["resources"] = json!([{"name": "mem", "type": "SCALAR", "scalar": {"value": app["mem"]}}]);
    if let Some(grace) = app["taskKillGracePeriodSeconds"].as_u64() {
        task["kill_policy"] = json!({"grace_period": {"nanoseconds": grace * 1_000_000_000}});
    }
    task
}

#[test]
fn examples_are_understood_without_a_finding() {
    let examples = examples(&page(PAGE));
    let mut kinds = Vec::new();
    let mut in_data = Vec::new();
    for text in &examples {
        let value: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        if value.get("task_id").is_some() {
            let found = understood(&value, &[]);
            assert!(value["executor"]["command"]["value"].is_string());
            let bytes = STANDARD.decode(value["data"].as_str().unwrap_or_default());
            let bytes = bytes.expect("base64");
            in_data.extend(
                String::from_utf8(bytes)
                    .ok()
                    .filter(|text| !text.is_empty()),
            );
            kinds.push(match (found.containerizer, value.get("container")) {
                (Containerizer::Docker, _) => "docker",
                (Containerizer::Mesos, Some(_)) => "mesos",
                (Containerizer::Mesos, None) => "labels",
            });
        } else if let Some(tasks) = value.get("tasks") {
            for task in tasks.as_array().expect("a list") {
                let found = understood(task, &[]);
                assert!(!found.spec.args.is_empty() && !found.spec.image.is_empty());
            }
            kinds.push("group");
        } else if value.get("ucr").is_some() {
            let mut task = bare("t");
            task["container"] = json!({"type": "MESOS"});
            task["data"] = STANDARD.encode(text).into();
            understood(&task, &[]);
            kinds.push("data");
        } else if value.get("executor").is_some() {
            let found = understood(&as_marathon_sends(&value), &["httpd", "-f"]);
            assert_eq!(found.spec.image, "docker.io/library/busybox:1.38");
            assert_eq!(found.spec.args, ["httpd", "-f"]);
            kinds.push("marathon");
        } else {
            let mut task = bare("t");
            task["container"] = json!({"type": "MESOS"});
            task["executor"] = value;
            understood(&task, &["true"]);
            kinds.push("executor");
        }
    }
    let expected = [
        "executor", "mesos", "data", "data", "docker", "labels", "group", "marathon",
    ];
    assert_eq!(kinds, expected);
    // What is base64 there is what stands below in plain.
    assert_eq!(in_data.len(), 1);
    assert_eq!(in_data[0], examples[2].trim_end());
}

/// The app of README.md, too.
#[test]
fn the_app_for_beginners() {
    let text = fs::read_to_string(repository("README.md")).expect("it is there");
    let (_, rest) = text.split_once("```json\n").expect("an example");
    let (app, _) = rest.split_once("```").expect("its end");
    let app: Value = serde_json::from_str(app).expect("JSON");
    let found = understood(&as_marathon_sends(&app), &["httpd"]);
    assert_eq!(found.spec.image, "docker.io/library/busybox:1.38");
}

/// The program is told of the page, and the page of the program.
#[test]
fn the_pages_know_each_other() {
    for (name, other) in [
        ("ucr-executor.1", "ucr-executor (7)"),
        ("ucr-executor.7", "ucr-executor (1)"),
        ("ucr.1", "ucr-executor (1)"),
        ("ucr-app.5", "ucr-executor (7)"),
    ] {
        let page = page(name);
        let (_, last) = page.split_once(".SH SEE ALSO\n").expect("the section");
        assert!(last.contains(other), "{name}: no {other}");
    }
}
