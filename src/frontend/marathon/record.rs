//! What is recorded of an app for those who look for it: discovery data of reference/marathon.md,
//! section 2.4. Pure.

use std::collections::BTreeMap;

use super::App;
use super::container::protocols;
use super::environment::Task;
use super::ports::Assigned;
use crate::spec::{AppPort, AppRecord};

/// The app and its ports.
pub(super) fn record(app: &App, task: &Task, ports: &[Assigned]) -> AppRecord {
    let segments: Vec<&str> = app.id.split('/').filter(|it| !it.is_empty()).collect();
    let reversed: Vec<&str> = segments.into_iter().rev().collect();
    let described = described(app);
    let mut all = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let (name, labels, network) = described.get(index).cloned().unwrap_or_default();
        for protocol in protocols(port) {
            let container_port = port.inside(app.is_on_host_network());
            all.push(AppPort {
                index,
                number: port.host.unwrap_or(container_port),
                container_port,
                host_port: port.host,
                service_port: port.service,
                protocol: (*protocol).to_owned(),
                name: name.clone(),
                labels: labels.clone(),
                network_scope: match port.host {
                    Some(_) => "host".to_owned(),
                    None => "container".to_owned(),
                },
                network_name: network.clone().filter(|_| port.host.is_none()),
            });
        }
    }
    AppRecord {
        id: app.id.clone(),
        task: task.id.clone(),
        version: task.version.clone(),
        discovery_name: reversed.join("."),
        is_checked: !app.health_checks.is_empty(),
        labels: app.labels.clone(),
        ports: all,
    }
}

type Description = (Option<String>, BTreeMap<String, String>, Option<String>);

/// Name, labels and network of the ports, by index.
fn described(app: &App) -> Vec<Description> {
    if app.is_on_host_network() {
        let definitions = app.port_definitions.iter();
        return definitions
            .map(|it| (it.name.clone(), it.labels.clone(), None))
            .collect();
    }
    let first = app.networks.first().and_then(|it| it.name.clone());
    let mappings = app.port_mappings().iter();
    mappings
        .map(|it| {
            let network = it.network_names.first().cloned().or_else(|| first.clone());
            (it.name.clone(), it.labels.clone(), network)
        })
        .collect()
}
