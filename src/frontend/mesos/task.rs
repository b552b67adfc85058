//! TaskInfo.

use serde_json::Value;

use super::definition::{Containerizer, Place, TaskDefinition};
use super::{checks, command, container, resources, source, value};
use crate::frontend::marathon::{Findings, Item, Object, Sink};
use crate::spec::{Health, HealthTest};

const KEYS: &[&str] = &[
    "name",
    "task_id",
    "agent_id",
    "resources",
    "executor",
    "data",
    "command",
    "health_check",
    "container",
    "labels",
    "discovery",
    "kill_policy",
    "check",
    "max_completion_time",
    "limits",
];

const EXECUTOR_KEYS: &[&str] = &[
    "type",
    "executor_id",
    "framework_id",
    "command",
    "container",
    "resources",
    "name",
    "source",
    "data",
    "discovery",
    "shutdown_grace_period",
    "labels",
];

/// Understands a task, as the agent sent it, and what is noteworthy; or, if anything is wrong, all
/// that is.
pub fn read(info: &Value, place: &Place) -> Result<(TaskDefinition, Findings), Findings> {
    let sink = Sink::new(Findings::default(), false);
    let mut found = TaskDefinition::default();
    let mut inner = Findings::default();
    if let Some(task) = Item::top(info, &sink).object(KEYS) {
        fill(&mut found, &task, place, &mut inner);
    }
    let mut findings = sink.into_findings();
    findings.0.append(&mut inner.0);
    match findings.refuse() {
        true => Err(findings),
        false => Ok((found, findings)),
    }
}

fn fill(found: &mut TaskDefinition, task: &Object, place: &Place, inner: &mut Findings) {
    let labels = task.get("labels").map(|item| value::pairs(&item, "labels"));
    let labels = labels.unwrap_or_default();
    let id = task.required("task_id", "E:required");
    let id = id.and_then(|item| item.object(&["value"])?.text("value"));
    found.spec.labels = labels.iter().cloned().collect();
    let id = id.map(|id| ("MESOS_TASK_ID".to_owned(), id));
    found.spec.labels.extend(id);
    found.spec.sandbox = Some(place.sandbox.to_owned());
    // Mesos knows nothing of the image's check.
    found.spec.health = Some(Health {
        test: Some(HealthTest::None),
        ..Health::default()
    });
    // What everybody's environment is: before the task's own.
    executor(found, task);
    resources::read(found, task, place);
    source::image(found, &labels, inner);
    if let Some(container) = task.get("container") {
        container::read(found, &container, place);
    }
    source::read(found, task, &labels, place, inner);
    // As under Mesos's launcher: the command is not process 1, on which signals without a handler
    // have no effect.
    found.spec.init = found.containerizer == Containerizer::Mesos;
    if let Some(policy) = task.get("kill_policy") {
        let policy = policy.object(&["grace_period"]);
        found.grace = policy.and_then(|it| value::span(&it.get("grace_period")?));
        // Whole seconds, so that nobody gets less.
        let seconds = found
            .grace
            .map(|it| it.as_secs() + u64::from(it.subsec_nanos() > 0));
        found.spec.stop_timeout = seconds.and_then(|it| u32::try_from(it).ok());
    }
    let limit = task.get("max_completion_time");
    found.max_completion = limit.and_then(|item| value::span(&item));
    found.health = task.get("health_check").and_then(|it| checks::health(&it));
    found.check = task.get("check").and_then(|it| checks::generic(&it));
}

/// Its command is what started us; of it a task has the environment, which with Marathon is the
/// app's.
fn executor(found: &mut TaskDefinition, task: &Object) {
    let executor = task.get("executor").and_then(|it| it.object(EXECUTOR_KEYS));
    let Some(executor) = executor else { return };
    if let Some(container) = executor.get("container") {
        container.advise(
            "E:executor-container",
            "the executor itself would be in the container",
            "say it in TaskInfo.container, or with Marathon leave it out and set the labels \
             ucr.image and ucr.command",
        );
    }
    let command = executor
        .get("command")
        .and_then(|it| it.object(command::KEYS));
    if let Some(environment) = command.and_then(|it| it.get("environment")) {
        command::environment(found, &environment);
    }
}
