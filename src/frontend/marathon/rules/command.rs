//! What is run, how often, and what is left to a scheduler.

use serde_json::Value;

use crate::frontend::marathon::app::{App, VolumeKind};
use crate::frontend::marathon::read::{Moved, Sink};

/// The label that says that there must never be two of an app.
const SINGLE: &str = "MARATHON_SINGLE_INSTANCE_APP";

/// All rules.
pub fn check(moved: &Moved, sink: &Sink) {
    command(moved, sink);
    instances(&moved.app, sink);
    upgrade(&moved.app, sink);
    let strategy = moved.app.scheduler.get("unreachableStrategy");
    if moved.app.scheduler.contains_key("residency") && strategy.is_some_and(Value::is_object) {
        let text = "has to be \"disabled\" for an app with 'residency'";
        sink.add("/unreachableStrategy", "E:unreachable-strategy", text);
    }
    if !moved.without_effect.is_empty() {
        let names = moved.without_effect.join(", ");
        sink.add(
            "",
            "W:no-effect",
            format!("without effect on one machine: {names}"),
        );
    }
}

fn command(moved: &Moved, sink: &Sink) {
    let app = &moved.app;
    if sink.is_broken("/cmd") || sink.is_broken("/args") {
        return;
    }
    let (has_cmd, has_args) = (app.cmd.is_some(), !app.args.is_empty());
    if has_cmd && has_args {
        let text = "there is 'cmd' and 'args', of which there may be one";
        let hint = "keep 'cmd' for a shell, or 'args' to keep the image's entry point";
        sink.advise("", "E:cmd-and-args", text, hint);
    }
    let is_unclear = sink.is_broken("/container") || sink.is_broken("/container/docker");
    if !has_cmd && !has_args && app.docker().is_none() && !is_unclear {
        let text = "there is no 'cmd', no 'args' and no image";
        sink.add("", "E:nothing-to-run", text);
    }
}

fn is_single(app: &App) -> bool {
    app.labels.get(SINGLE).is_some_and(|value| value == "true")
}

fn instances(app: &App, sink: &Sink) {
    if app.instances < 2 {
        return;
    }
    if is_single(app) {
        let text = format!("the label {SINGLE} allows one");
        sink.add("/instances", "E:single-instance", text);
        return;
    }
    let text = format!("one is started instead of {}", app.instances);
    sink.add("/instances", "W:one-instance", text);
}

/// What a scheduler may do on an upgrade has no effect here, but two that contradict each other
/// are a mistake.
fn upgrade(app: &App, sink: &Sink) {
    const PATH: &str = "/upgradeStrategy";
    let is_kept =
        |kind: &VolumeKind| matches!(kind, VolumeKind::Persistent(_) | VolumeKind::External(_));
    let keeps = app.volumes().iter().any(|volume| is_kept(&volume.kind));
    let strategy = app.scheduler.get("upgradeStrategy");
    let more_than_zero = |key: &str| {
        let number = strategy.and_then(|it| it.get(key)).and_then(Value::as_f64);
        number.is_some_and(|it| it > 0.0)
    };
    if !sink.is_sound(PATH) {
        return;
    }
    let (over, least) = ("maximumOverCapacity", "minimumHealthCapacity");
    if is_single(app) && (more_than_zero(over) || more_than_zero(least)) {
        let text = format!("both have to be 0 with the label {SINGLE}");
        sink.add(PATH, "E:range", text);
    } else if keeps && more_than_zero(over) {
        let text = format!("{over} has to be 0 for an app with volumes of its own");
        sink.add(PATH, "E:range", text);
    }
}
