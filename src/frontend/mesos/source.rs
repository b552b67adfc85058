//! Where the command of a task comes from: the first of `command` (which only members of a group
//! have), `data`, labels, the words after `ucr executor`; else it is the image's.

use serde_json::Value;

use super::definition::{Place, TaskDefinition};
use super::{command, value};
use crate::error::escape;
use crate::frontend::marathon::{Findings, Item, Object, Sink, parse, step};
use crate::image::Reference;
use crate::spec::SANDBOX;

/// Of the JSON in `data`.
const VERSION: i64 = 1;
const IMAGE: &str = "ucr.image";
const COMMAND: &str = "ucr.command";
const ARGS: &str = "ucr.args";
const PULL_SECRET: &str = "ucr.pull-secret";
const APP: &str = "ucr.app";
const LABELS: [&str; 5] = [IMAGE, COMMAND, ARGS, PULL_SECRET, APP];

/// Finds it. What is wrong inside of `data` or a label goes into `inner`.
pub(super) fn read(
    found: &mut TaskDefinition,
    task: &Object,
    labels: &[(String, String)],
    place: &Place,
    inner: &mut Findings,
) {
    let label = |name: &str| label(labels, name);
    for (key, _) in labels {
        if key.starts_with("ucr.") && !LABELS.contains(&key.as_str()) {
            inner.add(
                format!("/labels/{}", step(key)),
                "E:unknown-key",
                "the label is not known",
            );
        }
    }
    found.pull_secret_file = label(PULL_SECRET).map(str::to_owned);
    if let Some(command) = task.get("command") {
        command::read(found, &command);
    } else if let Some(data) = task.get("data").filter(|it| it.value() != "") {
        if let Some(bytes) = value::bytes(&data) {
            of_data(found, &bytes, inner);
        }
    } else if LABELS
        .iter()
        .any(|it| *it != IMAGE && *it != PULL_SECRET && label(it).is_some())
    {
        of_labels(found, &label, inner);
    } else {
        found.spec.args = place.words.to_vec();
        // The host's own filesystem has none.
        if place.words.is_empty() && found.spec.rootfs.is_some() {
            task.advise(
                "E:command",
                "there is no command, and no image that has one",
                "say it in data, or in the label ucr.command",
            );
        }
    }
    let has_container = task.has("container") || !found.spec.image.is_empty();
    match (has_container, &found.app) {
        (true, Some(_)) => task.refuse_at(
            "container",
            "E:app",
            "a Marathon app has its own container: leave it, and ucr.image, out",
        ),
        (false, None) => task.advise_at(
            "container",
            "E:no-container",
            "is required",
            "say TaskInfo.container, or the label ucr.image",
        ),
        _ => (),
    }
    if found.app.is_some() {
        beside_app(task, found.pull_secret_file.is_some(), inner);
    }
}

/// An app says these things itself, and what is said here would be lost.
fn beside_app(task: &Object, has_pull_secret: bool, inner: &mut Findings) {
    if has_pull_secret {
        let path = format!("/labels/{PULL_SECRET}");
        inner.add(path, "E:app", "a Marathon app has its own pullConfig");
    }
    if task.has("limits") {
        task.refuse_at("limits", "W:no-effect", "the app's resourceLimits count");
    }
}

/// The image that a label names. Before the container is read, whose paths depend on whether it has
/// an image.
pub(super) fn image(found: &mut TaskDefinition, labels: &[(String, String)], inner: &mut Findings) {
    let Some(name) = label(labels, IMAGE) else {
        return;
    };
    match name.parse::<Reference>() {
        Ok(reference) => {
            found.spec.image = reference.to_string();
            found.spec.fallback_working_dir = Some(SANDBOX.to_owned());
        }
        Err(fault) => inner.add(
            format!("/labels/{IMAGE}"),
            "E:image",
            escape(&fault.to_string()),
        ),
    }
}

/// The last of a name counts.
fn label<'a>(labels: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = labels.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

fn of_labels<'a>(
    found: &mut TaskDefinition,
    label: &dyn Fn(&str) -> Option<&'a str>,
    inner: &mut Findings,
) {
    let many = [COMMAND, ARGS, APP];
    if many.iter().filter(|it| label(it).is_some()).count() > 1 {
        let text = format!("only one of {} can be", many.join(", "));
        inner.add("/labels", "E:command", text);
    }
    if let Some(text) = label(COMMAND) {
        found.spec.entrypoint = Some(vec![command::SHELL.to_owned()]);
        found.spec.args = vec!["-c".to_owned(), text.to_owned()];
    }
    if let Some(text) = label(ARGS) {
        let path = format!("/labels/{ARGS}");
        match serde_json::from_str::<Vec<String>>(text) {
            Ok(args) if !args.iter().any(|it| it.contains('\0')) => found.spec.args = args,
            _ => inner.add(path, "E:type", "is not a JSON list of texts"),
        }
    }
    if let Some(text) = label(APP) {
        within(inner, &format!("/labels/{APP}"), text.as_bytes(), |item| {
            found.app = item.map().map(|_| item.value().clone());
        });
    }
}

fn of_data(found: &mut TaskDefinition, bytes: &[u8], inner: &mut Findings) {
    within(inner, "/data", bytes, |item| {
        let Some(data) = item.object(&["ucr", "command", "app"]) else {
            return;
        };
        match data.required("ucr", "E:required") {
            Some(version) => drop(version.whole(VERSION..=VERSION)),
            None => return,
        }
        match (data.get("command"), data.get("app")) {
            (Some(command), None) => command::read(found, &command),
            (None, Some(app)) => found.app = app.map().map(|_| app.value().clone()),
            _ => data.refuse("E:command", "needs a 'command' or an 'app', and not both"),
        }
    });
}

/// Reads a document within the document; unknown keys are refused.
fn within(outer: &mut Findings, path: &str, bytes: &[u8], read: impl FnOnce(&Item)) {
    let mut findings = Findings::default();
    let tree: Option<Value> = parse(bytes, &mut findings);
    let sink = Sink::new(findings, true);
    if let Some(tree) = &tree {
        read(&Item::top(tree, &sink));
    }
    for mut finding in sink.into_findings().0 {
        finding.path = format!("{path}{}", finding.path);
        outer.0.push(finding);
    }
}
