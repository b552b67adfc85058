//! What is for a scheduler with many machines: checked, kept as it was written, without effect.

use serde_json::Value;

use super::draft::Draft;
use super::id;
use super::reader::{Item, MAX_WHOLE, Object};

/// A field, how it is checked, and whether it says something else than nothing at all.
type Field = (&'static str, fn(&Item), fn(&Value) -> bool);

const FIELDS: [Field; 10] = [
    ("acceptedResourceRoles", roles, |it| {
        *it != Value::from(["*"].as_slice())
    }),
    ("constraints", constraints, is_filled),
    ("dependencies", dependencies, is_filled),
    ("executor", executor, |_| false),
    ("executorResources", executor_resources, |_| true),
    ("killSelection", kill_selection, |it| {
        is_not(it, "YOUNGEST_FIRST")
    }),
    ("residency", residency, |_| true),
    ("role", role, |it| is_not(it, "*")),
    ("unreachableStrategy", unreachable_strategy, |it| {
        !is_default_unreachable(it)
    }),
    ("upgradeStrategy", upgrade_strategy, |it| {
        !is_default_upgrade(it)
    }),
];

/// All of them.
pub fn read(top: &Object, draft: &mut Draft) {
    for (key, check, says_more) in FIELDS {
        let Some(item) = top.get(key) else { continue };
        check(&item);
        if says_more(item.value()) {
            draft.without_effect.push(key.to_owned());
        }
        let value = item.value().clone();
        draft.app.scheduler.insert(key.to_owned(), value);
    }
}

fn is_filled(value: &Value) -> bool {
    value.as_array().is_none_or(|list| !list.is_empty())
}

fn is_not(value: &Value, default: &str) -> bool {
    !value
        .as_str()
        .is_some_and(|text| text.eq_ignore_ascii_case(default))
}

fn is_number(value: &Value, key: &str, wanted: f64) -> bool {
    let number = value.get(key).filter(|it| !it.is_null());
    number.is_none_or(|it| it.as_f64() == Some(wanted))
}

fn is_default_unreachable(value: &Value) -> bool {
    value.is_string()
        || (is_number(value, "inactiveAfterSeconds", 0.0)
            && is_number(value, "expungeAfterSeconds", 0.0))
}

fn is_default_upgrade(value: &Value) -> bool {
    is_number(value, "minimumHealthCapacity", 1.0) && is_number(value, "maximumOverCapacity", 1.0)
}

fn roles(item: &Item) {
    let Some(roles) = item.texts() else { return };
    let unique: std::collections::BTreeSet<&String> = roles.iter().collect();
    if roles.is_empty() {
        item.refuse("E:range", "is empty");
    } else if unique.len() < roles.len() {
        item.refuse("E:range", "names a role twice");
    } else if roles.iter().any(String::is_empty) {
        item.refuse("E:range", "has a role without a name");
    }
}

fn role(item: &Item) {
    item.filled();
}

fn constraints(item: &Item) {
    for item in item.objects().unwrap_or_default() {
        let Some(words) = item.texts() else { continue };
        if let Err(why) = constraint(&words) {
            item.refuse("E:constraint", why);
        }
    }
}

fn constraint(words: &[String]) -> Result<(), &'static str> {
    let (operator, value) = match words {
        [_, operator] => (operator, None),
        [_, operator, value] => (operator, Some(value.as_str())),
        _ => return Err("has to be [field, operator] or [field, operator, value]"),
    };
    let is_integer = |value: &str| value.parse::<i32>().is_ok();
    match (operator.to_ascii_uppercase().as_str(), value) {
        ("UNIQUE", Some(_)) => Err("UNIQUE takes no value"),
        ("MAX_PER", value) if !value.is_some_and(is_integer) => Err("MAX_PER needs a whole number"),
        ("LIKE" | "UNLIKE", None | Some("")) => Err("LIKE and UNLIKE need a pattern"),
        ("GROUP_BY", Some(value)) if !value.is_empty() && !is_integer(value) => {
            Err("GROUP_BY takes a whole number")
        }
        ("UNIQUE" | "CLUSTER" | "GROUP_BY" | "LIKE" | "UNLIKE" | "MAX_PER" | "IS", _) => Ok(()),
        _ => Err("the operator is none of UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER, IS"),
    }
}

fn dependencies(item: &Item) {
    for item in item.objects().unwrap_or_default() {
        if let Some(Err(why)) = item.text().map(id::absolute) {
            item.refuse("E:id", why);
        }
    }
}

fn executor(item: &Item) {
    let Some(text) = item.text() else { return };
    if matches!(text, "" | "//cmd") {
        return;
    }
    let path = text.strip_prefix('/').unwrap_or(text);
    if path.split('/').any(str::is_empty) {
        item.refuse("E:executor", "is neither empty, '//cmd' nor a path");
    } else {
        let text = "own executors are not supported";
        item.advise("E:executor-unsupported", text, "leave it out");
    }
}

fn executor_resources(item: &Item) {
    let Some(resources) = item.object(&["cpus", "mem", "disk"]) else {
        return;
    };
    for (key, least) in [("cpus", 0.1), ("mem", 32.0), ("disk", 10.0)] {
        if let Some(item) = resources.get(key) {
            item.number(least..=f64::MAX);
        }
    }
}

fn kill_selection(item: &Item) {
    item.choice("E:type", &[("YOUNGEST_FIRST", ()), ("OLDEST_FIRST", ())]);
}

fn residency(item: &Item) {
    const KEYS: &[&str] = &["relaunchEscalationTimeoutSeconds", "taskLostBehavior"];
    if let Some(residency) = item.object(KEYS) {
        residency.count("relaunchEscalationTimeoutSeconds", 0);
        residency.text("taskLostBehavior");
    }
}

fn unreachable_strategy(item: &Item) {
    if item.is_text() {
        item.choice("E:type", &[("disabled", ())]);
        return;
    }
    if !item.value().is_object() {
        item.mistyped("an object or \"disabled\"");
        return;
    }
    let keys = ["inactiveAfterSeconds", "expungeAfterSeconds"];
    let Some(strategy) = item.object(&keys) else {
        return;
    };
    let seconds = |key| {
        strategy
            .get(key)
            .map_or(Some(0), |it: Item| it.whole(0..=MAX_WHOLE))
    };
    if let [Some(inactive), Some(expunge)] = keys.map(seconds)
        && inactive > expunge
    {
        let text = "inactiveAfterSeconds is more than expungeAfterSeconds";
        item.refuse("E:range", text);
    }
}

fn upgrade_strategy(item: &Item) {
    let keys = ["minimumHealthCapacity", "maximumOverCapacity"];
    let Some(strategy) = item.object(&keys) else {
        return;
    };
    for item in keys.into_iter().filter_map(|key| strategy.get(key)) {
        item.number(0.0..=1.0);
    }
}
