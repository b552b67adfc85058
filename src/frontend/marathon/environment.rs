//! The variables that a task finds (reference/marathon.md, sections 1.16 and 2.2). Pure.

use super::app::{App, EnvValue, Type};
use super::ports::Assigned;

/// Longest label that becomes a variable, in bytes: its key and its value.
const MAX_LABEL: (usize, usize) = (493, 512);

/// What this run of an app is, beyond its definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// `shop_db.instance-<uuid>._app.1`.
    pub id: String,
    /// The container's, which no other has.
    pub container_name: String,
    /// Of this machine.
    pub host_name: String,
    /// Of the definition, or else of this run: RFC 3339.
    pub version: String,
}

/// Variables in Marathon's order, each once: of the task, of its ports, of its own. Values of
/// secrets are not among them.
pub fn environment(app: &App, task: &Task, ports: &[Assigned]) -> Vec<String> {
    let mut all = Variables::default();
    of_task(&mut all, app, task);
    all.set("HOST", &task.host_name);
    of_ports(&mut all, app, ports);
    for (name, value) in &app.env {
        match value {
            EnvValue::Plain(value) => all.set(name, value),
            EnvValue::Secret(_) => all.unset(name),
        }
    }
    all.0
}

fn of_task(all: &mut Variables, app: &App, task: &Task) {
    all.set("MESOS_TASK_ID", &task.id);
    if app.container_type() == Type::Docker {
        all.set("MESOS_CONTAINER_NAME", &task.container_name);
    }
    all.set("MARATHON_APP_ID", &app.id);
    all.set("MARATHON_APP_VERSION", &task.version);
    if let Some(docker) = app.docker() {
        all.set("MARATHON_APP_DOCKER_IMAGE", &docker.image);
    }
    // With one digit after the point at least, as Scala prints a double.
    all.set("MARATHON_APP_RESOURCE_CPUS", &format!("{:?}", app.cpus));
    all.set("MARATHON_APP_RESOURCE_MEM", &format!("{:?}", app.mem));
    all.set("MARATHON_APP_RESOURCE_DISK", &format!("{:?}", app.disk));
    all.set("MARATHON_APP_RESOURCE_GPUS", &app.gpus.to_string());
    let (longest_key, longest_value) = MAX_LABEL;
    let fits = |(key, value): &(&String, &String)| {
        key.len() < longest_key && value.len() < longest_value && !value.contains('\0')
    };
    let labels: Vec<_> = app.labels.iter().filter(fits).collect();
    let names: Vec<String> = labels.iter().map(|(key, _)| variable_name(key)).collect();
    all.set("MARATHON_APP_LABELS", &names.join(" "));
    for ((_, value), name) in labels.iter().zip(&names) {
        all.set(&format!("MARATHON_APP_LABEL_{name}"), value);
    }
}

/// `my-key` is `MY_KEY`.
fn variable_name(key: &str) -> String {
    let mut name = String::new();
    let is_usual = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut was_other = false;
    for letter in key.chars() {
        match is_usual(letter) {
            true => name.push(letter.to_ascii_uppercase()),
            false if !was_other => name.push('_'),
            false => (),
        }
        was_other = !is_usual(letter);
    }
    name
}

fn of_ports(all: &mut Variables, app: &App, ports: &[Assigned]) {
    if ports.is_empty() {
        return;
    }
    for (index, (port, name)) in ports.iter().zip(names(app)).enumerate() {
        let declared = Some(port.declared).filter(|number| *number != 0);
        let number = port.host.or(declared).or(port.generated).unwrap_or(0);
        let number = number.to_string();
        all.set(&format!("PORT{index}"), &number);
        match (declared, port.host.or(port.generated)) {
            (Some(declared), own) => {
                all.set(&format!("PORT_{declared}"), &number);
                // There the declared number is the service port, which may be Marathon's own.
                if let Some(own) = own.filter(|_| app.is_on_host_network()) {
                    all.set(&format!("PORT_{own}"), &number);
                }
            }
            (None, Some(own)) => all.set(&format!("PORT_{own}"), &number),
            (None, None) => (),
        }
        if let Some(name) = name {
            let name = name.to_uppercase();
            all.set(&format!("PORT_{name}"), &number);
            // Which no shell can read if there is a hyphen in it.
            all.set(&format!("PORT_{}", variable_name(&name)), &number);
        }
    }
    let hosts = ports.iter().filter_map(|port| port.host);
    let generated = ports.iter().filter_map(|port| port.generated);
    let numbers: Vec<String> = hosts.chain(generated).map(|it| it.to_string()).collect();
    if let Some(first) = numbers.first() {
        all.set("PORT", first);
    }
    all.set("PORTS", &numbers.join(","));
}

/// Of the ports, by index.
fn names(app: &App) -> Vec<Option<&str>> {
    match app.is_on_host_network() {
        true => {
            let all = app.port_definitions.iter();
            all.map(|it| it.name.as_deref()).collect()
        }
        false => {
            let all = app.port_mappings().iter();
            all.map(|it| it.name.as_deref()).collect()
        }
    }
}

#[derive(Default)]
struct Variables(Vec<String>);

impl Variables {
    /// Later ones win, in the place of the first.
    fn set(&mut self, name: &str, value: &str) {
        let whole = format!("{name}={value}");
        match self.place(name) {
            Some(place) => self.0[place] = whole,
            None => self.0.push(whole),
        }
    }

    fn unset(&mut self, name: &str) {
        if let Some(place) = self.place(name) {
            self.0.remove(place);
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        let is_it = |whole: &String| whole.split('=').next() == Some(name);
        self.0.iter().position(is_it)
    }
}
