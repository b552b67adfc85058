//! `check`.

use super::health::rooted;
use super::reader::{Item, Object};
use crate::frontend::marathon::app::{Check, CheckCommand, CheckKind, Type};

const KINDS: [&str; 3] = ["http", "tcp", "exec"];
const KEYS: &[&str] = &[
    "http",
    "tcp",
    "exec",
    "intervalSeconds",
    "timeoutSeconds",
    "delaySeconds",
];

/// The app's check.
pub fn read(top: &Object, kind: Type) -> Option<Check> {
    let item = top.get("check")?;
    if kind == Type::Docker {
        let text = "is for containers of type MESOS";
        item.advise("E:check-docker", text, "use 'healthChecks'");
    }
    let check = item.object(KEYS)?;
    let kinds: Vec<&str> = KINDS.into_iter().filter(|key| check.has(key)).collect();
    let [kind] = kinds[..] else {
        item.refuse("E:check-kind", "needs exactly one of http, tcp and exec");
        return None;
    };
    let value = check.get(kind)?;
    let kind = match kind {
        "http" => http(&value),
        "tcp" => tcp(&value),
        _ => exec(&value),
    };
    Some(Check {
        interval_seconds: check.count("intervalSeconds", 60),
        timeout_seconds: check.count("timeoutSeconds", 20),
        delay_seconds: check.count("delaySeconds", 15),
        kind: kind?,
    })
}

fn http(item: &Item) -> Option<CheckKind> {
    let http = item.object(&["port", "portIndex", "path", "scheme"])?;
    if let Some(scheme) = http.get("scheme") {
        scheme.choice("E:type", &[("HTTP", ())]);
    }
    let path = http.get("path").and_then(|item| item.text());
    let (port, port_index) = port(&http);
    Some(CheckKind::Http {
        port,
        port_index,
        path: rooted(path.unwrap_or("/")),
    })
}

fn tcp(item: &Item) -> Option<CheckKind> {
    let (port, port_index) = port(&item.object(&["port", "portIndex"])?);
    Some(CheckKind::Tcp { port, port_index })
}

/// A number, or else the index of a port: the first if nothing is said.
fn port(object: &Object) -> (Option<u16>, Option<usize>) {
    let (port, index) = (object.port("port"), object.port("portIndex"));
    let first = (!object.has("port")).then_some(0);
    (port, index.map(usize::from).or(first))
}

fn exec(item: &Item) -> Option<CheckKind> {
    let command = item
        .object(&["command"])?
        .required("command", "E:check-kind")?;
    let says = command.object(&["shell", "argv"])?;
    let command = match (says.get("shell"), says.get("argv")) {
        (Some(shell), None) => CheckCommand::Shell(shell.filled()?.to_owned()),
        (None, Some(argv)) => {
            let words = argv.texts()?;
            if words.is_empty() {
                argv.refuse("E:range", "is empty");
            }
            CheckCommand::Argv(words)
        }
        _ => {
            command.refuse("E:check-kind", "needs exactly one of shell and argv");
            return None;
        }
    };
    Some(CheckKind::Exec { command })
}
