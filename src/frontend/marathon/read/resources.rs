//! `cpus`, `mem`, `disk`, `gpus` and `resourceLimits`.

use super::reader::{Item, Object};
use crate::frontend::marathon::app::{App, Limit, ResourceLimits};

/// Far more than any machine has; what is computed from them stays in range.
const MAX_CPUS: f64 = 1_000_000.0;
/// MiB whose bytes are below 2^53.
const MAX_MIB: f64 = 8_589_934_591.0;
const MAX_GPUS: i64 = 65_536;

/// All of them.
pub fn read(top: &Object, app: &mut App) {
    let numbers: [(&str, &mut f64, f64, f64); 3] = [
        ("cpus", &mut app.cpus, 0.001, MAX_CPUS),
        ("mem", &mut app.mem, 0.0, MAX_MIB),
        ("disk", &mut app.disk, 0.0, MAX_MIB),
    ];
    for (key, field, least, most) in numbers {
        let Some(item) = top.get(key) else { continue };
        app.written.insert(key.to_owned());
        if let Some(number) = item.number(least..=most) {
            *field = number;
        }
    }
    if let Some(item) = top.get("gpus") {
        app.written.insert("gpus".to_owned());
        let number = item.whole(0..=MAX_GPUS);
        app.gpus = number.and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
    }
    let limits = top.get("resourceLimits");
    if let Some(limits) = limits.and_then(|item| item.object(&["cpus", "mem"])) {
        app.resource_limits = ResourceLimits {
            cpus: limits.get("cpus").and_then(|item| limit(&item, MAX_CPUS)),
            mem: limits.get("mem").and_then(|item| limit(&item, MAX_MIB)),
        };
    }
}

fn limit(item: &Item, most: f64) -> Option<Limit> {
    if let Some(number) = item.value().as_f64() {
        // Whether it is too small depends on the request.
        let is_small = number <= most;
        if !is_small {
            item.refuse("E:range", format!("is more than {most}"));
        }
        return is_small.then_some(Limit::At(number + 0.0));
    }
    let text = item.value().as_str().unwrap_or_default();
    if text.eq_ignore_ascii_case("unlimited") {
        return Some(Limit::Unlimited);
    }
    item.refuse("E:limit-value", "has to be a number or \"unlimited\"");
    None
}
