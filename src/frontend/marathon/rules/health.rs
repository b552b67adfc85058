//! Checks of all three kinds, against ports and runtimes.

use super::ports::NETWORKS;
use crate::frontend::marathon::app::{App, CheckKind, HealthCheck, IpProtocol, Type};
use crate::frontend::marathon::read::{Moved, Sink, step};

/// What decides how many ports an app has.
const PORTS: [&str; 4] = [
    "/ports",
    "/portDefinitions",
    "/container/portMappings",
    "/container/docker/portMappings",
];

/// All rules.
pub fn check(moved: &Moved, sink: &Sink) {
    let app = &moved.app;
    let count = ports(app);
    // What is wrong with ports is said already.
    let are_ports_sound = sink.are_sound(&PORTS) && sink.are_sound(&NETWORKS);
    for (index, check) in app.health_checks.iter().enumerate() {
        let path = format!("/healthChecks({index})");
        ip_protocol(&path, check, moved.kind, sink);
        let needs_index = check.protocol.is_network() && check.port.is_none();
        if needs_index && are_ports_sound && sink.is_sound(&path) {
            port_index(&path, check.port_index.unwrap_or(0), count, sink);
        }
    }
    let of_mesos = |check: &&HealthCheck| check.protocol.is_mesos_network();
    if app.health_checks.iter().filter(of_mesos).count() > 1 {
        let text = "there may be one check of MESOS_HTTP, MESOS_HTTPS and MESOS_TCP";
        sink.add("/healthChecks", "E:health-many-mesos", text);
    }
    generic(moved, are_ports_sound.then_some(count), sink);
    if are_ports_sound {
        readiness(app, sink);
    }
}

fn ports(app: &App) -> usize {
    match app.is_on_host_network() {
        true => app.port_definitions.len(),
        false => app.port_mappings().len(),
    }
}

fn port_index(path: &str, index: usize, count: usize, sink: &Sink) {
    if index >= count {
        let text = match count {
            0 => "the app has no port".into(),
            count => format!("the app has no port {index}: the last is {}", count - 1),
        };
        let hint = "add a port to the app, or say 'port' instead of 'portIndex'";
        sink.advise(
            format!("{path}/portIndex"),
            "E:health-port-index",
            text,
            hint,
        );
    }
}

fn ip_protocol(path: &str, check: &HealthCheck, kind: Type, sink: &Sink) {
    let is_probed_inside = check.protocol.is_mesos_network();
    if check.ip_protocol == IpProtocol::IPv6 && !(is_probed_inside && kind == Type::Docker) {
        let text = "IPv6 is for MESOS_HTTP, MESOS_HTTPS and MESOS_TCP of type DOCKER";
        sink.add(format!("{path}/ipProtocol"), "E:health-ipv6", text);
    }
}

fn generic(moved: &Moved, count: Option<usize>, sink: &Sink) {
    let Some(check) = &moved.app.check else {
        return;
    };
    let (name, port, index) = match &check.kind {
        CheckKind::Http {
            port, port_index, ..
        } => ("http", port, port_index),
        CheckKind::Tcp { port, port_index } => ("tcp", port, port_index),
        CheckKind::Exec { .. } => return,
    };
    if let (None, Some(count)) = (port, count) {
        let path = format!("/check/{name}");
        port_index(&path, index.unwrap_or(0), count, sink);
    }
}

fn readiness(app: &App, sink: &Sink) {
    let names: Vec<&str> = match app.is_on_host_network() {
        true => app
            .port_definitions
            .iter()
            .filter_map(|it| it.name.as_deref())
            .collect(),
        false => app
            .port_mappings()
            .iter()
            .filter_map(|it| it.name.as_deref())
            .collect(),
    };
    for (index, check) in app.readiness_checks.iter().enumerate() {
        if !names.contains(&check.port_name.as_str()) {
            let text = format!(
                "no port of the app has the name '{}'",
                step(&check.port_name)
            );
            let path = format!("/readinessChecks({index})/portName");
            sink.advise(path, "E:readiness-port-name", text, "give a port this name");
        }
    }
}
