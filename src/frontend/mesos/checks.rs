//! HealthCheck and CheckInfo (reference/mesos-ucr.md, section 5.10).

use super::command;
use super::definition::{Generic, Health, HttpScheme, Question};
use super::value::{port, seconds};
use crate::frontend::marathon::{Item, Object};

const HEALTH_KEYS: &[&str] = &[
    "type",
    "http",
    "tcp",
    "command",
    "delay_seconds",
    "interval_seconds",
    "timeout_seconds",
    "consecutive_failures",
    "grace_period_seconds",
];

const CHECK_KEYS: &[&str] = &[
    "type",
    "http",
    "tcp",
    "command",
    "delay_seconds",
    "interval_seconds",
    "timeout_seconds",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Http,
    Tcp,
}

const KINDS: [(&str, Kind); 3] = [
    ("COMMAND", Kind::Command),
    ("HTTP", Kind::Http),
    ("TCP", Kind::Tcp),
];

/// `health_check`.
pub(super) fn health(item: &Item) -> Option<Health> {
    let check = item.object(HEALTH_KEYS)?;
    let question = match kind(&check)? {
        Kind::Command => Question::Command(command::probe(&check.required("command", ABSENT)?)?),
        Kind::Http => {
            let http = check.required("http", ABSENT)?;
            let http = http.object(&["port", "path", "scheme", "statuses", "protocol"])?;
            if http.has("statuses") {
                http.refuse_at(
                    "statuses",
                    "W:no-effect",
                    "Mesos ignores them: 200 to 399 is well",
                );
            }
            let schemes = [("http", HttpScheme::Http), ("https", HttpScheme::Https)];
            let scheme = http
                .get("scheme")
                .and_then(|it| it.choice("E:type", &schemes));
            Question::Http {
                scheme: scheme.unwrap_or_default(),
                port: port(&http, "port")?,
                path: path(&http)?,
                is_ipv6: is_ipv6(&http),
            }
        }
        Kind::Tcp => {
            let tcp = check.required("tcp", ABSENT)?;
            let tcp = tcp.object(&["port", "protocol"])?;
            Question::Tcp {
                port: port(&tcp, "port")?,
                is_ipv6: is_ipv6(&tcp),
            }
        }
    };
    Some(Health {
        question,
        delay: seconds(&check, "delay_seconds", 15),
        interval: seconds(&check, "interval_seconds", 10),
        timeout: seconds(&check, "timeout_seconds", 20),
        consecutive_failures: check.count("consecutive_failures", 3),
        grace: seconds(&check, "grace_period_seconds", 10),
    })
}

/// `check`.
pub(super) fn generic(item: &Item) -> Option<Generic> {
    let check = item.object(CHECK_KEYS)?;
    let question = match kind(&check)? {
        Kind::Command => {
            let inner = check.required("command", ABSENT)?.object(&["command"])?;
            Question::Command(command::probe(&inner.required("command", ABSENT)?)?)
        }
        Kind::Http => {
            let http = check.required("http", ABSENT)?.object(&["port", "path"])?;
            Question::Http {
                scheme: HttpScheme::Http,
                port: port(&http, "port")?,
                path: path(&http)?,
                is_ipv6: false,
            }
        }
        Kind::Tcp => Question::Tcp {
            port: port(&check.required("tcp", ABSENT)?.object(&["port"])?, "port")?,
            is_ipv6: false,
        },
    };
    Some(Generic {
        question,
        delay: seconds(&check, "delay_seconds", 15),
        interval: seconds(&check, "interval_seconds", 10),
        timeout: seconds(&check, "timeout_seconds", 20),
    })
}

const ABSENT: &str = "E:required";

fn kind(check: &Object) -> Option<Kind> {
    check.required("type", ABSENT)?.choice("E:type", &KINDS)
}

fn path(http: &Object) -> Option<String> {
    let Some(item) = http.get("path") else {
        return Some("/".to_owned());
    };
    let path = item.text()?;
    if !path.starts_with('/') {
        item.refuse("E:range", "does not begin with '/'");
        return None;
    }
    Some(path.to_owned())
}

fn is_ipv6(object: &Object) -> bool {
    let protocols = [("IPv4", false), ("IPv6", true)];
    let protocol = object.get("protocol");
    let protocol = protocol.and_then(|it| it.choice("E:type", &protocols));
    protocol.unwrap_or(false)
}
