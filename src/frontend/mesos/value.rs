//! Values as protobuf's JSON has them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::frontend::marathon::{Item, Object};

/// Longest time in seconds that a check or a kill policy may say: ten years.
const MAX_SECONDS: f64 = 315_360_000.0;

/// `bytes`.
pub(super) fn bytes(item: &Item) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(item.text()?).ok();
    if bytes.is_none() {
        item.refuse("E:type", "is not base64");
    }
    bytes
}

/// `DurationInfo`.
pub(super) fn span(item: &Item) -> Option<Duration> {
    let span = item.object(&["nanoseconds"])?;
    let nanos = span.required("nanoseconds", "E:required")?;
    let number = match nanos.value().as_str() {
        None => nanos.whole(0..=i64::MAX)?,
        Some(text) => text.parse::<i64>().unwrap_or(-1),
    };
    let number = u64::try_from(number);
    if number.is_err() {
        nanos.refuse("E:range", "is no length of time");
    }
    number.ok().map(Duration::from_nanos)
}

/// Seconds with a fraction.
pub(super) fn seconds(object: &Object, key: &str, default: u32) -> Duration {
    let number = object
        .get(key)
        .and_then(|item| item.number(0.0..=MAX_SECONDS));
    number.map_or_else(
        || Duration::from_secs(default.into()),
        Duration::from_secs_f64,
    )
}

/// Text that is not empty.
pub(super) fn filled(object: &Object, key: &str) -> Option<String> {
    object.get(key)?.filled().map(str::to_owned)
}

/// A port from 1.
pub(super) fn port(object: &Object, key: &str) -> Option<u16> {
    let number = object.required(key, "E:required")?.whole(1..=65_535)?;
    u16::try_from(number).ok()
}

/// `Labels`, and `Parameters`, which are the same under another name: keys and values in order.
pub(super) fn pairs(item: &Item, list: &str) -> Vec<(String, String)> {
    let Some(object) = item.object(&[list]) else {
        return Vec::new();
    };
    let items = object.get(list).and_then(|item| item.objects());
    let pair = |item: Item| {
        let pair = item.object(&["key", "value"])?;
        let key = pair.required("key", "E:required")?.filled()?.to_owned();
        Some((key, pair.text("value").unwrap_or_default()))
    };
    items
        .unwrap_or_default()
        .into_iter()
        .filter_map(pair)
        .collect()
}

/// Refuses keys that say something ucr cannot do.
pub(super) fn refuse_all(object: &Object, keys: &[(&str, &str)]) {
    for (key, why) in keys {
        if object.has(key) {
            object.refuse_at(key, "E:unsupported", *why);
        }
    }
}
