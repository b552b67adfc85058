//! CommandInfo: what is executed (reference/mesos-ucr.md, section 3.1), its variables and its URIs.

use super::definition::{ProbeCommand, TaskDefinition};
use super::value::{self, filled};
use crate::frontend::marathon::{Item, Object};
use crate::spec::artifact::{self, Artifact};
use crate::spec::{Secret, SecretSource, SecretTarget};

/// Executes a command that is text.
pub(super) const SHELL: &str = "/bin/sh";

pub(super) const KEYS: &[&str] = &["uris", "environment", "value", "user", "shell", "arguments"];

/// All of it: the program, and what belongs to it.
pub(super) fn read(found: &mut TaskDefinition, item: &Item) {
    let Some(command) = item.object(KEYS) else {
        return;
    };
    if let Some(environment) = command.get("environment") {
        self::environment(found, &environment);
    }
    let uris = command.get("uris").and_then(|item| item.objects());
    let uris = uris.unwrap_or_default();
    found.artifacts.extend(uris.iter().filter_map(uri));
    if let Some(user) = filled(&command, "user") {
        found.spec.user = Some(user);
    }
    program(found, item, &command);
}

/// Mesos's table.
fn program(found: &mut TaskDefinition, item: &Item, command: &Object) {
    let is_shell = command.flag("shell", true);
    let value = command.text("value");
    let arguments = command.get("arguments").and_then(|it| it.texts());
    let arguments = arguments.unwrap_or_default();
    let spec = &mut found.spec;
    match (is_shell, value) {
        (true, None) => item.advise(
            "E:command",
            "is for a shell, but has no value",
            "say \"shell\": false for the image's own command, with or without arguments",
        ),
        (true, Some(text)) => {
            if !arguments.is_empty() {
                command.refuse_at("arguments", "W:no-effect", "a shell's command has none");
            }
            spec.entrypoint = Some(vec![SHELL.to_owned()]);
            spec.args = vec!["-c".to_owned(), text];
        }
        (false, None) => {
            spec.keep_first_cmd = !arguments.is_empty();
            spec.args = arguments;
        }
        (false, Some(program)) => {
            check_name(command, &program, arguments.first());
            spec.entrypoint = Some(vec![program]);
            spec.args = arguments.into_iter().skip(1).collect();
        }
    }
}

/// The first argument is the name that a program has for itself; another one than its own, which
/// usually is a forgotten name, would be lost.
fn check_name(command: &Object, program: &str, first: Option<&String>) {
    if program.is_empty() {
        command.refuse_at("value", "E:command", "is empty");
    }
    let base = program.rsplit('/').next().unwrap_or(program);
    if first.is_some_and(|first| first != program && first != base) {
        command.advise_at(
            "arguments",
            "E:command-name",
            "the first is not the program's name, and would be lost",
            "Mesos takes the first argument as the program's own name: begin with that",
        );
    }
}

/// Variables, the last of a name counts.
pub(super) fn environment(found: &mut TaskDefinition, item: &Item) {
    let variables = item.object(&["variables"]);
    let variables = variables.and_then(|it| it.get("variables")?.objects());
    for item in variables.unwrap_or_default() {
        variable(found, &item);
    }
}

fn variable(found: &mut TaskDefinition, item: &Item) {
    let Some(variable) = item.object(&["name", "type", "value", "secret"]) else {
        return;
    };
    let Some(name) = variable.required("name", "E:required") else {
        return;
    };
    let Some(text) = name.filled() else { return };
    if text.contains('=') {
        name.refuse("E:range", "has a '='");
        return;
    }
    let kinds = [("VALUE", false), ("SECRET", true), ("UNKNOWN", false)];
    let is_secret = variable
        .get("type")
        .and_then(|it| it.choice("E:type", &kinds));
    let target = SecretTarget::Environment(text.to_owned());
    found.spec.secrets.retain(|secret| secret.target != target);
    if is_secret != Some(true) {
        let value = variable.text("value").unwrap_or_default();
        found.spec.env.push(format!("{text}={value}"));
        return;
    }
    let Some(secret) = variable.required("secret", "E:required") else {
        return;
    };
    let given = format!("variable {text}");
    if let Some(value) = secret_value(&secret) {
        if value.contains(&0) {
            secret.refuse("E:nul", "has a NUL character");
        }
        found.secrets.insert(given.clone(), &value);
        let source = SecretSource::Given(given);
        found.spec.secrets.push(Secret { source, target });
    }
}

/// The value of a `Secret`.
pub(super) fn secret_value(item: &Item) -> Option<Vec<u8>> {
    let secret = item.object(&["type", "reference", "value"])?;
    if let Some(reference) = secret.get("reference") {
        reference.advise(
            "E:unsupported",
            "the executor has no way to look it up",
            "send the secret's VALUE, or let the agent's secret resolver do that",
        );
        return None;
    }
    let value = secret.required("value", "E:required")?;
    value::bytes(&value.object(&["data"])?.required("data", "E:required")?)
}

fn uri(item: &Item) -> Option<Artifact> {
    let uri = item.object(&["value", "executable", "extract", "cache", "output_file"])?;
    let value = uri.required("value", "E:required")?;
    let found = Artifact {
        uri: value.filled()?.to_owned(),
        extract: uri.flag("extract", true),
        executable: uri.flag("executable", false),
        cache: uri.flag("cache", false),
        dest_path: filled(&uri, "output_file"),
    };
    if let Err((id, text)) = artifact::check(&found.uri, found.dest_path.as_deref()) {
        value.refuse(id, text);
    }
    Some(found)
}

/// The command of a check.
pub(super) fn probe(item: &Item) -> Option<ProbeCommand> {
    let command = item.object(KEYS)?;
    for key in ["user", "uris", "environment"] {
        if command.has(key) {
            command.refuse_at(key, "W:no-effect", "a check has the task's own");
        }
    }
    let value = command.required("value", "E:required")?;
    let value = value.filled()?.to_owned();
    if command.flag("shell", true) {
        return Some(ProbeCommand::Shell(value));
    }
    let arguments = command.get("arguments").and_then(|it| it.texts());
    let arguments = arguments.unwrap_or_default();
    check_name(&command, &value, arguments.first());
    let rest = arguments.into_iter().skip(1);
    Some(ProbeCommand::Argv(
        std::iter::once(value).chain(rest).collect(),
    ))
}
