//! The one place where a description meets an image's defaults: what is executed, in which
//! environment (design D13: Docker's rule for arguments).

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::ContainerSpec;
use crate::error::{Fault, Kind};
use crate::image::ImageConfig;

/// Where commands are looked for when the image does not say.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What will be executed, except for what only the image's files can tell: the user's numbers and
/// home directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// `NAME=value`, each name once.
    pub env: Vec<String>,
    /// Absolute.
    pub working_dir: String,
    /// `USER[:GROUP]`, not looked up.
    pub user: Option<String>,
}

/// Merges a description and an image's defaults. Fails with [`Kind::Spec`] if neither says what to
/// run, or if the working directory is relative.
pub fn process(spec: &ContainerSpec, image: &ImageConfig, host_name: &str) -> Result<Process> {
    let said = spec.working_dir.as_ref().or(image.working_dir.as_ref());
    let working_dir = said.or(spec.fallback_working_dir.as_ref());
    let on_host = spec.sandbox_inside().filter(|_| spec.is_on_host());
    let working_dir = working_dir.map(String::as_str);
    let working_dir = working_dir.or_else(|| on_host.and_then(Path::to_str));
    let working_dir = working_dir.unwrap_or("/");
    if !working_dir.starts_with('/') {
        let message = format!("working directory '{working_dir}' is not absolute");
        return Err(Fault::new(Kind::Spec, message).hint("say -w /DIR").into());
    }
    Ok(Process {
        argv: argv(spec, image)?,
        env: environment(spec, image, host_name)?,
        working_dir: working_dir.to_owned(),
        user: spec.user.clone().or_else(|| image.user.clone()),
    })
}

/// The environment with a home directory: the user's, unless a variable says otherwise. An empty
/// one says nothing.
pub fn with_home(env: &[String], home: &str) -> Vec<String> {
    let says = |variable: &&String| variable.starts_with("HOME=") && variable.as_str() != "HOME=";
    let mut all: Vec<String> = env
        .iter()
        .filter(|v| v.as_str() != "HOME=")
        .cloned()
        .collect();
    if !env.iter().any(|variable| says(&variable)) {
        all.push(format!("HOME={home}"));
    }
    all
}

/// Arguments replace CMD and follow ENTRYPOINT; another entrypoint discards the image's CMD too.
fn argv(spec: &ContainerSpec, image: &ImageConfig) -> Result<Vec<String>> {
    let is_silent = image.entrypoint.is_empty() && image.cmd.is_empty();
    if spec.keep_first_cmd && spec.entrypoint.is_none() && is_silent {
        return Err(no_command(spec).into());
    }
    let (entrypoint, default_args) = match &spec.entrypoint {
        Some(own) => (own, &[][..]),
        None => (&image.entrypoint, image.cmd.as_slice()),
    };
    let args = if spec.args.is_empty() {
        default_args
    } else {
        &spec.args
    };
    let kept = kept_word(spec, image);
    let words = entrypoint.iter().chain(kept).chain(args);
    let argv: Vec<String> = words.cloned().collect();
    match argv.first().map(String::as_str) {
        Some("") => Err(Fault::new(Kind::Spec, "the command's name is empty").into()),
        Some(_) => Ok(argv),
        None => Err(no_command(spec).into()),
    }
}

/// The word of the image's command that stands before the arguments: only Mesos has this, and for
/// an image that has neither entrypoint nor command it refuses arguments.
pub fn kept_word<'a>(spec: &ContainerSpec, image: &'a ImageConfig) -> Option<&'a String> {
    let has_entrypoint = spec.entrypoint.is_some() || !image.entrypoint.is_empty();
    let is_kept = spec.keep_first_cmd && !spec.args.is_empty() && !has_entrypoint;
    image.cmd.first().filter(|_| is_kept)
}

fn no_command(spec: &ContainerSpec) -> Fault {
    let image = &spec.image;
    if spec.app.is_some() {
        let message = format!(
            "image {image} has no default entry point: a command must be in the args field \
             [E:no-command]"
        );
        return Fault::new(Kind::Spec, message)
            .hint("add \"args\": [\"COMMAND\"], or \"cmd\", to the app definition");
    }
    if spec.rootfs.is_some() {
        return Fault::new(Kind::Spec, "a directory has no default command")
            .hint("say what to run: ucr run --rootfs DIR COMMAND [ARGS…]");
    }
    let message = format!("image {image} has no default command");
    Fault::new(Kind::Spec, message).hint("say what to run: ucr run IMAGE COMMAND [ARGS…]")
}

/// Built from nothing, so that no variable of the host gets in: ours, the image's, the asked-for;
/// later ones win and keep the place of the first.
fn environment(spec: &ContainerSpec, image: &ImageConfig, host_name: &str) -> Result<Vec<String>> {
    let mut ours = vec![
        DEFAULT_PATH.to_owned(),
        format!("HOSTNAME={host_name}"),
        "container=ucr".to_owned(),
    ];
    if spec.tty {
        ours.push("TERM=xterm".to_owned());
    }
    let mut merged: Vec<&String> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    // A name without a value in an image's list is not set, as in Docker.
    let image = image.env.iter().filter(|variable| variable.contains('='));
    for variable in ours.iter().chain(image).chain(&spec.env) {
        let name = variable.split('=').next().unwrap_or_default();
        if name.is_empty() || variable.contains('\0') {
            // Not the value, which may be a secret.
            let message = format!("environment variable '{name}=…' has no usable name or value");
            return Err(Fault::new(Kind::Spec, message).into());
        }
        match places.get(name) {
            Some(place) => merged[*place] = variable,
            None => {
                places.insert(name, merged.len());
                merged.push(variable);
            }
        }
    }
    Ok(merged.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(entrypoint: &[&str], cmd: &[&str]) -> ImageConfig {
        let list = |words: &[&str]| serde_json::to_string(words).unwrap();
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},
            "config":{{"Entrypoint":{},"Cmd":{},"Env":["PATH=/x","A=image","NOVALUE"]}}}}"#,
            list(entrypoint),
            list(cmd)
        );
        ImageConfig::parse(text.as_bytes()).unwrap()
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn dockers_rule_for_arguments() {
        type Row<'a> = (
            &'a [&'a str],
            &'a [&'a str],
            Option<&'a [&'a str]>,
            &'a [&'a str],
            &'a [&'a str],
        );
        let rows: [Row; 8] = [
            (&[], &["sh"], None, &[], &["sh"]),
            (&["e"], &["c"], None, &[], &["e", "c"]),
            (&["e"], &["c"], None, &["a"], &["e", "a"]),
            (&["e"], &["c"], Some(&["x"]), &[], &["x"]),
            (&["e"], &["c"], Some(&["x"]), &["a"], &["x", "a"]),
            (&["e"], &["c"], Some(&[]), &["a"], &["a"]),
            (&["e"], &["c"], Some(&[]), &[], &[]),
            (&[], &[], None, &[], &[]),
        ];
        for (entrypoint, cmd, own, args, expected) in rows {
            let spec = ContainerSpec {
                entrypoint: own.map(words),
                args: words(args),
                ..ContainerSpec::default()
            };
            let found = process(&spec, &image(entrypoint, cmd), "h").map(|process| process.argv);
            match (found, expected) {
                (Ok(argv), _) => assert_eq!(argv, expected),
                (Err(error), []) => assert!(error.to_string().contains("no default command")),
                (Err(error), _) => panic!("{error}"),
            }
        }
    }

    /// The rows of reference/mesos-ucr.md, section 3.1, that have no value.
    #[test]
    fn mesoss_rule_for_arguments() {
        type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let rows: [Row; 8] = [
            (&[], &["c", "d"], &[], &["c", "d"]),
            (&["e"], &[], &[], &["e"]),
            (&["e"], &["c", "d"], &[], &["e", "c", "d"]),
            (&[], &["c", "d"], &["a"], &["c", "a"]),
            (&["e"], &[], &["a"], &["e", "a"]),
            (&["e"], &["c", "d"], &["a"], &["e", "a"]),
            (&[], &[], &["a"], &[]),
            (&[], &[], &[], &[]),
        ];
        for (entrypoint, cmd, args, expected) in rows {
            let spec = ContainerSpec {
                args: words(args),
                keep_first_cmd: true,
                ..ContainerSpec::default()
            };
            let found = process(&spec, &image(entrypoint, cmd), "h");
            match expected {
                [] => assert!(found.is_err(), "{args:?}"),
                argv => assert_eq!(found.unwrap().argv, argv),
            }
        }
    }

    #[test]
    fn later_variables_win_and_stand_once() {
        let spec = ContainerSpec {
            env: words(&["A=asked", "B=1", "B=2"]),
            args: words(&["true"]),
            tty: true,
            ..ContainerSpec::default()
        };
        let process = process(&spec, &image(&[], &[]), "host").unwrap();
        assert_eq!(
            process.env,
            [
                "PATH=/x",
                "HOSTNAME=host",
                "container=ucr",
                "TERM=xterm",
                "A=asked",
                "B=2"
            ]
        );
    }

    #[test]
    fn a_home_is_always_set() {
        let rows = [
            (vec!["A=1"], vec!["A=1", "HOME=/root"]),
            (vec!["HOME=", "A=1"], vec!["A=1", "HOME=/root"]),
            (vec!["HOME=/x"], vec!["HOME=/x"]),
        ];
        for (env, expected) in rows {
            assert_eq!(with_home(&words(&env), "/root"), expected);
        }
    }

    #[test]
    fn a_relative_directory_and_a_nameless_variable_are_refused() {
        let args = words(&["true"]);
        let relative = ContainerSpec {
            working_dir: Some("x".into()),
            args: args.clone(),
            ..ContainerSpec::default()
        };
        assert!(process(&relative, &image(&[], &[]), "h").is_err());
        let nameless = ContainerSpec {
            env: words(&["=hunter2"]),
            args,
            ..ContainerSpec::default()
        };
        let error = process(&nameless, &image(&[], &[]), "h").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
