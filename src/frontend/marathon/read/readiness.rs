//! `readinessChecks`.

use super::health::rooted;
use super::reader::{Item, Object};
use crate::frontend::marathon::app::{ReadinessCheck, ReadinessProtocol};

const KEYS: &[&str] = &[
    "name",
    "protocol",
    "path",
    "portName",
    "intervalSeconds",
    "timeoutSeconds",
    "httpStatusCodesForReady",
    "preserveLastResponse",
];
/// Longest path, in bytes.
const MAX_PATH: usize = 1024;
const PROTOCOLS: [(&str, ReadinessProtocol); 2] = [
    ("HTTP", ReadinessProtocol::Http),
    ("HTTPS", ReadinessProtocol::Https),
];

/// All of them, of which there may be one.
pub fn read(top: &Object) -> Vec<ReadinessCheck> {
    let Some(item) = top.get("readinessChecks") else {
        return Vec::new();
    };
    let items = item.objects().unwrap_or_default();
    if items.len() > 1 {
        item.refuse("E:readiness-count", "there may be one readiness check");
    }
    items.iter().filter_map(check).collect()
}

fn check(item: &Item) -> Option<ReadinessCheck> {
    let check = item.object(KEYS)?;
    let text = |key, default: &str| {
        let item: Option<Item> = check.get(key);
        let text = item.and_then(|item| item.filled());
        text.unwrap_or(default).to_owned()
    };
    let protocol = check.get("protocol");
    let protocol = protocol.and_then(|item| item.choice("E:type", &PROTOCOLS));
    let (interval_seconds, timeout_seconds) = (
        check.count("intervalSeconds", 30),
        check.count("timeoutSeconds", 10),
    );
    if timeout_seconds < 1 || timeout_seconds >= interval_seconds {
        let text = "timeoutSeconds has to be at least 1 and less than intervalSeconds";
        item.refuse("E:readiness-timeout", text);
    }
    let path = rooted(&text("path", "/"));
    if path.len() > MAX_PATH {
        let text = format!("is longer than {MAX_PATH} characters");
        check.refuse_at("path", "E:range", text);
    }
    Some(ReadinessCheck {
        name: text("name", "readinessCheck"),
        protocol: protocol.unwrap_or(ReadinessProtocol::Http),
        path,
        port_name: text("portName", "http-api"),
        interval_seconds,
        timeout_seconds,
        http_status_codes_for_ready: codes(&check),
        preserve_last_response: check.flag("preserveLastResponse", false),
    })
}

fn codes(check: &Object) -> Vec<u16> {
    let Some(item) = check.get("httpStatusCodesForReady") else {
        return vec![200];
    };
    let items = item.objects();
    if items.as_ref().is_some_and(Vec::is_empty) {
        item.refuse("E:range", "is empty");
    }
    let code = |item: &Item| u16::try_from(item.whole(100..=999)?).ok();
    items.unwrap_or_default().iter().filter_map(code).collect()
}
