//! `healthChecks`.

use super::reader::{Item, Object};
use crate::frontend::marathon::app::{HealthCheck, HealthCommand, HealthProtocol, IpProtocol};

const KEYS: &[&str] = &[
    "protocol",
    "command",
    "path",
    "port",
    "portIndex",
    "gracePeriodSeconds",
    "intervalSeconds",
    "timeoutSeconds",
    "maxConsecutiveFailures",
    "delaySeconds",
    "ipProtocol",
    "ignoreHttp1xx",
];

const PROTOCOLS: [(&str, HealthProtocol); 7] = [
    ("HTTP", HealthProtocol::Http),
    ("HTTPS", HealthProtocol::Https),
    ("TCP", HealthProtocol::Tcp),
    ("COMMAND", HealthProtocol::Command),
    ("MESOS_HTTP", HealthProtocol::MesosHttp),
    ("MESOS_HTTPS", HealthProtocol::MesosHttps),
    ("MESOS_TCP", HealthProtocol::MesosTcp),
];

const IP_PROTOCOLS: [(&str, IpProtocol); 2] =
    [("IPv4", IpProtocol::IPv4), ("IPv6", IpProtocol::IPv6)];

/// All of them.
pub fn read(top: &Object) -> Vec<HealthCheck> {
    let items = top.get("healthChecks").and_then(|item| item.objects());
    items.unwrap_or_default().iter().filter_map(check).collect()
}

fn check(item: &Item) -> Option<HealthCheck> {
    let check = item.object(KEYS)?;
    let protocol = check.get("protocol");
    let protocol = protocol.and_then(|item| item.choice("E:type", &PROTOCOLS));
    let protocol = protocol.unwrap_or(HealthProtocol::Http);
    let ip_protocol = check.get("ipProtocol");
    let ip_protocol = ip_protocol.and_then(|item| item.choice("E:type", &IP_PROTOCOLS));
    let path = check.get("path").and_then(|item| item.text()).map(rooted);
    let command = command(&check, protocol, item);
    if path.is_some() && protocol.is_network() && !protocol.is_http() {
        check.refuse_at("path", "W:no-effect", "is for checks by HTTP");
    }
    Some(HealthCheck {
        protocol,
        command,
        path: protocol.is_http().then(|| path.unwrap_or("/".into())),
        port: check.port("port"),
        port_index: check.port("portIndex").map(usize::from),
        grace_period_seconds: check.count("gracePeriodSeconds", 300),
        interval_seconds: check.count("intervalSeconds", 60),
        timeout_seconds: check.count("timeoutSeconds", 20),
        max_consecutive_failures: check.count("maxConsecutiveFailures", 3),
        delay_seconds: check.count("delaySeconds", 15),
        ip_protocol: ip_protocol.unwrap_or(IpProtocol::IPv4),
        ignore_http_1xx: check.flag("ignoreHttp1xx", false),
    })
}

/// A path of a URL with the slash that it begins with.
pub fn rooted(path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

fn command(check: &Object, protocol: HealthProtocol, item: &Item) -> Option<HealthCommand> {
    let command = check.get("command");
    let is_command = protocol == HealthProtocol::Command;
    let why = match (&command, is_command) {
        (None, true) => Some("the protocol COMMAND needs a 'command'"),
        (Some(_), false) => Some("'command' is for the protocol COMMAND only"),
        (Some(_), true) if check.has("port") => Some("a command has no 'port'"),
        (Some(_), true) if check.has("path") => Some("a command has no 'path'"),
        _ => None,
    };
    if let Some(why) = why {
        item.refuse("E:health-command", why);
    }
    let command = command?;
    if command.is_text() {
        let text = "is text, but has to be an object";
        command.advise("E:type", text, "write {\"value\": COMMAND}");
        return None;
    }
    let value = command
        .object(&["value"])?
        .required("value", "E:health-command")?;
    let text = value.text()?;
    if text.is_empty() {
        value.refuse("E:health-command", "is empty");
    }
    let value = text.to_owned();
    is_command.then_some(HealthCommand { value })
}
