//! `resources` and `limits` (reference/mesos-ucr.md, sections 4.1 to 4.5).

use std::collections::BTreeMap;

use super::definition::{Place, TaskDefinition};
use crate::frontend::marathon::{Item, Object, bytes, score, whole};
use crate::spec::{Cpus, gpus};

/// Far more than any machine has.
const MAX: f64 = 8_589_934_591.0;
const MAX_CPUS: f64 = 1_000_000.0;
/// Least processor time that Mesos gives.
const LEAST_CPUS: f64 = 0.01;

const KEYS: &[&str] = &[
    "name",
    "type",
    "scalar",
    "ranges",
    "set",
    "role",
    "disk",
    "reservation",
    "revocable",
    "shared",
    "allocation_info",
    "provider_id",
    "reservations",
];

/// All of them.
pub(super) fn read(found: &mut TaskDefinition, task: &Object, place: &Place) {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let items = task.get("resources").and_then(|item| item.objects());
    for item in items.unwrap_or_default() {
        let Some(resource) = item.object(KEYS) else {
            continue;
        };
        let name = resource.required("name", "E:required");
        let Some(name) = name.and_then(|it| it.filled()) else {
            continue;
        };
        if let Some(disk) = resource.get("disk").filter(is_volume) {
            disk.refuse(
                "E:unsupported",
                "persistent volumes are the agent's own to mount",
            );
        }
        if name == "ports" {
            ranges(found, &resource);
        } else if let Some(scalar) = resource.get("scalar") {
            let value = scalar.object(&["value"]);
            let value = value.and_then(|it| it.required("value", "E:required")?.number(0.0..=MAX));
            *sums.entry(name.to_owned()).or_default() += value.unwrap_or_default();
        }
    }
    let limits = task
        .get("limits")
        .and_then(|item| item.object(&["cpus", "mem"]));
    let limit = |key: &str| limits.as_ref().and_then(|it| limit(&it.get(key)?));
    processors(found, sums.get("cpus").copied(), limit("cpus"), place);
    memory(found, sums.get("mem").copied(), limit("mem"), place);
    let count = sums.get("gpus").copied().unwrap_or_default();
    if count > 0.0 {
        match gpus(&count.to_string()) {
            Ok(devices) if count.fract() == 0.0 => found.spec.devices.extend(devices),
            _ => task.refuse_at("resources", "E:range", "gpus are whole, and at most 64"),
        }
    }
    found.spec.resources.cgroups = place.machine.cgroups;
}

fn is_volume(disk: &Item) -> bool {
    let disk = disk.value();
    disk.get("volume").is_some() || disk.get("persistence").is_some()
}

/// A share; a quota only where there is a limit or where the operator wants one.
fn processors(found: &mut TaskDefinition, request: Option<f64>, limit: Option<f64>, place: &Place) {
    let resources = &mut found.spec.resources;
    resources.cpu_shares = request.map(|cpus| whole((cpus * 1024.0).max(2.0)).min(262_144));
    let quota = limit.or(request.filter(|_| place.machine.limit_cpus));
    let quota = quota.filter(|cpus| cpus.is_finite());
    let quota = quota.map(|cpus| cpus.clamp(LEAST_CPUS, MAX_CPUS));
    resources.cpus = quota.map(|cpus| Cpus::from_nanos(whole(cpus * 1e9)));
}

fn memory(found: &mut TaskDefinition, request: Option<f64>, limit: Option<f64>, place: &Place) {
    let resources = &mut found.spec.resources;
    let request = request.map(bytes);
    let Some(limit) = limit else {
        resources.memory = request;
        return;
    };
    resources.memory_reservation = request;
    resources.memory = limit.is_finite().then(|| bytes(limit));
    if let Some(request) = request.filter(|it| resources.memory != Some(*it)) {
        resources.oom_score_adj = Some(score(request, place.machine.memory));
    }
}

/// `Value.Scalar` that may be infinite.
fn limit(item: &Item) -> Option<f64> {
    let value = item.object(&["value"])?.required("value", "E:required")?;
    match value.value().as_str() {
        Some("Infinity" | "inf") => Some(f64::INFINITY),
        _ => value.number(0.0..=MAX),
    }
}

fn ranges(found: &mut TaskDefinition, resource: &Object) {
    let ranges = resource.get("ranges").and_then(|it| it.object(&["range"]));
    let ranges = ranges.and_then(|it| it.get("range")?.objects());
    for item in ranges.unwrap_or_default() {
        let Some(range) = item.object(&["begin", "end"]) else {
            continue;
        };
        let end = |key| {
            let item = range.required(key, "E:required")?;
            let number = item.whole(0..=65_535)?;
            u16::try_from(number).ok()
        };
        if let (Some(begin), Some(end)) = (end("begin"), end("end")) {
            found.ports.push((begin, end));
        }
    }
}
