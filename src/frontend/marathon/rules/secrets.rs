//! Every name of a secret is declared.

use crate::frontend::marathon::app::{EnvValue, VolumeKind};
use crate::frontend::marathon::read::{Moved, Sink, step};

/// All rules.
pub fn check(moved: &Moved, sink: &Sink) {
    let app = &moved.app;
    if sink.is_broken("/secrets") {
        return;
    }
    let undeclared = |path: String, id: &'static str, name: &str| {
        if !app.secrets.contains_key(name) {
            let name = step(name);
            let text = format!("the secret '{name}' is not declared");
            let hint = format!("add it to the app: \"secrets\": {{\"{name}\": {{\"source\": …}}}}");
            sink.advise(path, id, text, hint);
        }
    };
    for (name, value) in &app.env {
        if let EnvValue::Secret(it) = value {
            let path = format!("/env/{}", step(name));
            undeclared(path, "E:env-secret-undefined", &it.secret);
        }
    }
    for (index, volume) in moved.volumes.iter().zip(app.volumes()) {
        if let VolumeKind::Secret(name) = &volume.kind {
            let path = format!("/container/volumes({index})");
            undeclared(path, "E:volume-secret-undefined", name);
        }
    }
    if let Some(it) = app.docker().and_then(|docker| docker.pull_config.as_ref()) {
        let path = "/container/docker/pullConfig".to_owned();
        undeclared(path, "E:pullconfig-undefined", &it.secret);
    }
}
