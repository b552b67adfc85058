//! `parameters` of an app for the native runtime, with `--allow-parameters`: each is the option of
//! `ucr run` of that name.

use anyhow::Result;
use clap::{Args, FromArgMatches};
use serde_json::{Map, Value};

use crate::error::{Fault, Kind};
use crate::frontend::flags::{ContainerFlags, Lines};
use crate::frontend::marathon::app::{App, Type};
use crate::spec::ContainerSpec;

/// What the app itself says, and lists whose parts replace each other.
const REPLACED: [&str; 2] = ["entrypoint", "args"];

/// Adds what they say; it wins, as on docker's command line. Fails with [`Kind::Spec`], naming the
/// first that is no option.
pub(super) fn add(spec: &mut ContainerSpec, app: &App) -> Result<()> {
    let all = app.docker().map_or(&[][..], |docker| &docker.parameters);
    if app.container_type() != Type::Mesos || all.is_empty() {
        return Ok(());
    }
    let mut words = vec!["parameters".to_owned()];
    for (index, parameter) in all.iter().enumerate() {
        let word = match parameter.value.as_str() {
            "true" if is_flag(&parameter.key) => format!("--{}", parameter.key),
            "false" if is_flag(&parameter.key) => continue,
            value => format!("--{}={value}", parameter.key),
        };
        let path = format!("/container/docker/parameters({index})");
        if parameter.key.len() < 2
            || command()
                .try_get_matches_from(["parameters", &word])
                .is_err()
        {
            let message = format!(
                "{path}: '{}' with this value is no option of ucr run [E:parameter-unknown]",
                parameter.key
            );
            return Err(Fault::new(Kind::Spec, message)
                .hint("'ucr run --help' lists them; type DOCKER passes any on to docker")
                .into());
        }
        words.push(word);
    }
    let matches = command().try_get_matches_from(words).map_err(|error| {
        let why = error.kind().to_string();
        Fault::new(Kind::Spec, format!("/container/docker/parameters: {why}"))
    })?;
    let flags = ContainerFlags::from_arg_matches(&matches)?;
    if !flags.env_files().is_empty() || !flags.label_files().is_empty() {
        let message = "/container/docker/parameters: files of variables and labels are not read";
        return Err(Fault::new(Kind::Spec, message)
            .hint("say them in \"env\" and \"labels\"")
            .into());
    }
    let none = |_: &str| None;
    let more = flags.spec(spec.image.clone(), Vec::new(), Lines::default(), &none)?;
    // A document cannot say where values are that ucr has already.
    let secrets = std::mem::take(&mut spec.secrets);
    let mut whole = serde_json::to_value(&*spec)?;
    merge(&mut whole, serde_json::to_value(&more)?);
    *spec = serde_json::from_value(whole)?;
    spec.secrets.splice(..0, secrets);
    Ok(())
}

fn command() -> clap::Command {
    ContainerFlags::augment_args(clap::Command::new("parameters").disable_help_flag(true))
}

/// Whether it is an option that usually has no value.
fn is_flag(name: &str) -> bool {
    let command = command();
    let mut all = command.get_arguments();
    let found = all.find(|it| it.get_long() == Some(name));
    found.is_some_and(|it| !it.get_action().takes_values())
}

/// Objects grow together, lists follow each other, all else is replaced.
fn merge(whole: &mut Value, more: Value) {
    let (Value::Object(whole), Value::Object(more)) = (whole, more) else {
        return;
    };
    for (key, value) in more {
        merge_key(whole, key, value);
    }
}

fn merge_key(whole: &mut Map<String, Value>, key: String, value: Value) {
    match (whole.get_mut(&key), value) {
        (Some(Value::Array(list)), Value::Array(more)) if !REPLACED.contains(&key.as_str()) => {
            list.extend(more);
        }
        (Some(found @ Value::Object(_)), value @ Value::Object(_)) => merge(found, value),
        (_, value) => {
            whole.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::marathon::{Settings, read};

    fn added(parameters: &str) -> Result<ContainerSpec> {
        let text = format!(
            r#"{{"id":"/t","container":{{"type":"MESOS","docker":{{"image":"i",
                "parameters":{parameters}}}}}}}"#
        );
        let settings = Settings {
            allow_parameters: true,
            ..Settings::default()
        };
        let (app, _) = read(text.as_bytes(), &settings).unwrap();
        let mut spec = ContainerSpec {
            image: "i".into(),
            args: vec!["a".into()],
            env: vec!["A=1".into()],
            hostname: Some("old".into()),
            ..ContainerSpec::default()
        };
        add(&mut spec, &app)?;
        Ok(spec)
    }

    #[test]
    fn options_of_run_are_added_and_win() {
        let spec = added(
            r#"[{"key":"hostname","value":"new"},{"key":"env","value":"B=a b; c"},
                {"key":"cap-add","value":"NET_ADMIN"},{"key":"init","value":"true"},
                {"key":"read-only","value":"false"},{"key":"ulimit","value":"nofile=9"}]"#,
        )
        .unwrap();
        assert_eq!(spec.hostname.as_deref(), Some("new"));
        assert_eq!(spec.env, ["A=1", "B=a b; c"]);
        assert_eq!(spec.security.cap_add, ["NET_ADMIN"]);
        assert_eq!((spec.init, spec.read_only), (true, false));
        assert_eq!(
            (spec.args, spec.resources.ulimits.len()),
            (vec!["a".into()], 1)
        );
    }

    #[test]
    fn what_is_no_option_is_named() {
        for (parameters, path) in [
            (r#"[{"key":"lxc-conf","value":"x"}]"#, "parameters(0)"),
            (
                r#"[{"key":"init","value":"true"},{"key":"e","value":"A=1"}]"#,
                "parameters(1)",
            ),
            (r#"[{"key":"memory","value":"much"}]"#, "parameters(0)"),
            (r#"[{"key":"env-file","value":"/etc/passwd"}]"#, "files"),
            (r#"[{"key":"detach","value":"true"}]"#, "parameters(0)"),
        ] {
            let error = added(parameters).unwrap_err().to_string();
            assert!(error.contains(path), "{parameters}: {error}");
        }
    }
}
