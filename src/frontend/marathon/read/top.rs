//! The top level: which document this is, and the fields that have no module of their own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::Draft;
use super::reader::{Item, MAX_WHOLE, Object};
use super::{Settings, check};
use super::{container, env, fetch, health, id, networks, ports, readiness, resources, scheduler};
use crate::frontend::marathon::app::Type;

/// Every key, the old ones and those that only Marathon writes too.
const KEYS: &[&str] = &[
    "acceptedResourceRoles",
    "args",
    "backoffFactor",
    "backoffSeconds",
    "check",
    "cmd",
    "constraints",
    "container",
    "cpus",
    "dependencies",
    "disk",
    "env",
    "executor",
    "executorResources",
    "fetch",
    "gpus",
    "healthChecks",
    "id",
    "instances",
    "ipAddress",
    "killSelection",
    "labels",
    "maxLaunchDelaySeconds",
    "mem",
    "networks",
    "portDefinitions",
    "ports",
    "readinessChecks",
    "requirePorts",
    "residency",
    "resourceLimits",
    "role",
    "secrets",
    "storeUrls",
    "taskKillGracePeriodSeconds",
    "tty",
    "unreachableStrategy",
    "upgradeStrategy",
    "uris",
    "user",
    // What `GET /v2/apps/…` adds.
    "version",
    "versionInfo",
    "tasks",
    "tasksStaged",
    "tasksRunning",
    "tasksHealthy",
    "tasksUnhealthy",
    "tasksStats",
    "deployments",
    "lastTaskFailure",
    "readinessCheckResults",
];

/// The app in the document: the document itself, or what Marathon's interface wraps it in.
pub fn app<'a>(top: &Item<'a>) -> Option<Item<'a>> {
    let Value::Object(map) = top.value() else {
        top.refuse("E:not-an-app", "this is not an object");
        return None;
    };
    let is_list = |key: &str| map.get(key).is_some_and(Value::is_array);
    let other = if is_list("containers") {
        Some("a pod: several containers in one definition are not supported")
    } else if is_list("apps") || is_list("groups") {
        Some("a group: give one of its apps")
    } else {
        None
    };
    if let Some(other) = other {
        top.refuse("E:not-an-app", format!("this looks like {other}"));
        return None;
    }
    match map.get("app") {
        Some(app @ Value::Object(_)) if !map.contains_key("id") => Some(top.inner(app)),
        _ => Some(top.clone()),
    }
}

/// All fields.
pub fn read(item: &Item, settings: &Settings) -> Draft {
    let mut draft = Draft::new();
    let Some(top) = item.object(KEYS) else {
        return draft;
    };
    identity(&top, &mut draft);
    command(&top, &mut draft);
    draft.app.secrets = env::secrets(&top);
    draft.app.env = env::variables(&top);
    draft.app.labels = labels(&top);
    resources::read(&top, &mut draft.app);
    draft.kind = kind(&top, settings);
    draft.container = container::read(&top, draft.kind, settings);
    draft.networks = networks::read(&top);
    draft.ip_address = networks::ip_address(&top);
    draft.port_definitions = ports::definitions(&top);
    draft.ports = ports::numbers(&top);
    draft.app.require_ports = top.flag("requirePorts", false);
    draft.app.fetch = fetch::read(&top);
    draft.uris = fetch::uris(&top);
    draft.app.health_checks = health::read(&top);
    draft.app.check = check::read(&top, draft.kind);
    draft.app.readiness_checks = readiness::read(&top);
    life(&top, &mut draft);
    scheduler::read(&top, &mut draft);
    draft
}

fn identity(top: &Object, draft: &mut Draft) {
    draft.app.version = top.text("version");
    let Some(item) = top.required("id", "E:id") else {
        return;
    };
    match item.text().map(id::absolute) {
        Some(Ok(path)) => draft.app.id = path,
        Some(Err(why)) => match item.text().and_then(id::corrected) {
            Some(name) => item.advise("E:id", why, format!("say '{name}'")),
            None => item.refuse("E:id", why),
        },
        None => {}
    }
    let last = draft.app.id.rsplit(['/', '.']).next().unwrap_or_default();
    if last.len() > id::MAX_LAST_LABEL {
        let text = format!(
            "its last part is longer than {} letters, too long for a host name",
            id::MAX_LAST_LABEL
        );
        item.refuse("W:long-id", text);
    }
}

fn command(top: &Object, draft: &mut Draft) {
    if let Some(item) = top.get("cmd")
        && let Some(cmd) = item.text()
    {
        if cmd.is_empty() {
            item.advise("E:cmd-empty", "is empty", "leave 'cmd' out");
        }
        draft.app.cmd = Some(cmd.to_owned());
    }
    draft.app.args = top
        .get("args")
        .and_then(|args| args.texts())
        .unwrap_or_default();
    draft.app.user = top
        .get("user")
        .and_then(|user| user.filled())
        .map(str::to_owned);
    draft.app.tty = top.get("tty").and_then(|tty| tty.flag());
}

/// The container's type. One that is not said is DOCKER; without a container there is no
/// runtime but Mesos's own.
fn kind(top: &Object, settings: &Settings) -> Type {
    const TYPES: [(&str, Type); 2] = [("MESOS", Type::Mesos), ("DOCKER", Type::Docker)];
    let Some(container) = top.get("container") else {
        return settings.container_type.unwrap_or(Type::Mesos);
    };
    let written = container
        .value()
        .as_object()
        .and_then(|_| container.map()?.get("type"));
    let written = written.map(|item| match item.value().as_str() {
        // What people call it.
        Some(text) if text.eq_ignore_ascii_case("UCR") => {
            let text = "'UCR' is none of MESOS, DOCKER";
            item.advise("E:container-type", text, "it is called MESOS here");
            None
        }
        _ => item.choice("E:container-type", &TYPES),
    });
    let written = match written {
        None => Type::Docker,
        // Most rules are those of either type: with an unknown one, take the more lenient.
        Some(written) => written.unwrap_or(Type::Mesos),
    };
    settings.container_type.unwrap_or(written)
}

/// `labels` of anything.
pub fn labels(object: &Object) -> BTreeMap<String, String> {
    let Some(labels) = object.get("labels").and_then(|item| item.map()) else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for (key, item) in labels.entries() {
        if key.contains('\0') {
            item.refuse("E:nul", "its name has a NUL character");
        } else if let Some(value) = item.text() {
            all.insert(key.to_owned(), value.to_owned());
        }
    }
    all
}

fn life(top: &Object, draft: &mut Draft) {
    let app = &mut draft.app;
    app.instances = top.count("instances", 1);
    app.backoff_seconds = top.count("backoffSeconds", app.backoff_seconds);
    app.max_launch_delay_seconds = top.count("maxLaunchDelaySeconds", app.max_launch_delay_seconds);
    let factor = top.get("backoffFactor");
    if let Some(factor) = factor.and_then(|item| item.number(1.0..=f64::from(u32::MAX))) {
        app.backoff_factor = factor;
    }
    let grace = top.get("taskKillGracePeriodSeconds");
    app.task_kill_grace_period_seconds = grace
        .and_then(|item| item.whole(0..=MAX_WHOLE))
        .and_then(|seconds| u32::try_from(seconds).ok());
    if let Some(item) = top.get("storeUrls")
        && item.list().is_some_and(|list| !list.is_empty())
    {
        item.advise("E:type", "was removed in Marathon 1.5", "use 'fetch'");
    }
}
