//! What is executed, as whom and where.

use zeroize::Zeroizing;

use super::words::{Words, refuse};
use super::{Circumstances, environment};
use crate::error::{Fault, Kind};
use crate::runtime::docker::Secrets;
use crate::spec::{ContainerSpec, SANDBOX, SecretTarget, process};

/// Returns the lines of the file with its variables.
pub(super) fn add(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<Vec<String>, Fault> {
    check(spec, circumstances)?;
    if let Some(entrypoint) = &spec.entrypoint {
        words.option(
            "--entrypoint",
            entrypoint.first().map_or("", String::as_str),
        );
    }
    let variables = variables(spec, circumstances, words)?;
    words.perhaps("--workdir", working_dir(spec, circumstances));
    words.perhaps("--user", spec.user.as_deref().map(user));
    words.each("--group-add", &spec.groups);
    words.perhaps("--hostname", spec.hostname.as_ref());
    words.perhaps("--domainname", spec.naming.domain.as_ref());
    for (name, is_asked) in [
        ("--init", spec.init),
        ("--interactive", spec.stdin),
        ("--tty", spec.tty),
        ("--read-only", spec.read_only),
    ] {
        if is_asked {
            words.switch(name);
        }
    }
    Ok(variables)
}

/// Docker's own is the image's, else "/": what is meant for an image that says none is said instead.
fn working_dir<'a>(spec: &'a ContainerSpec, circumstances: &Circumstances) -> Option<&'a String> {
    let is_silent = circumstances.config.working_dir.is_none();
    let fallback = spec.fallback_working_dir.as_ref();
    spec.working_dir.as_ref().or(fallback.filter(|_| is_silent))
}

/// Secrets as variables, the last of which count. The values are in no message.
fn secrets(spec: &ContainerSpec, values: &Secrets) -> Result<Vec<Zeroizing<String>>, Fault> {
    let mut all = Vec::new();
    for (place, secret) in spec.secrets.iter().enumerate() {
        let refuse = |why: &str| {
            let field = format!("secrets[{place}]");
            let instead = "let the container have another variable, or a file that is mounted";
            refuse(&field, "--secret", why, instead)
        };
        let SecretTarget::Environment(name) = &secret.target else {
            return Err(refuse("Docker Engine has no files in memory only"));
        };
        let variable = Zeroizing::new(format!("{name}={}", values.value(place)));
        // Else it would be an argument, which everybody can read.
        if !environment::is_line(&variable) {
            let why = "docker takes such a name or value, of several lines or 60,000 bytes, only as \
                       an argument";
            return Err(refuse(why));
        }
        all.push(variable);
    }
    Ok(all)
}

/// What follows the image's name: docker's option for the entrypoint takes only a program.
pub(super) fn arguments(spec: &ContainerSpec) -> impl Iterator<Item = String> {
    let entrypoint = spec.entrypoint.iter().flatten().skip(1);
    entrypoint.chain(&spec.args).cloned()
}

/// Docker's rules are ours (design D13), so what is no process here is none there.
fn check(spec: &ContainerSpec, circumstances: &Circumstances) -> Result<(), Fault> {
    let merged = process(spec, circumstances.config, circumstances.name);
    merged.map(drop).map_err(|error| match error.downcast() {
        Ok(fault) => fault,
        Err(error) => Fault::new(Kind::Spec, format!("{error:#}")),
    })
}

/// Docker sets PATH, HOSTNAME, HOME and TERM as the native runtime does. The image's own variables
/// come before ours there, and before the image's here.
fn variables(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<Vec<String>, Fault> {
    let of_image = &circumstances.config.env;
    let is_named = of_image.iter().any(|it| it.starts_with("container="));
    let name = (!is_named).then_some("container=ucr");
    for (place, variable) in spec.env.iter().enumerate() {
        if !variable.contains('=') {
            // The client would look for one in its own environment.
            let why = format!("the variable {variable} has no value");
            let field = format!("env[{place}]");
            return Err(refuse(&field, "--env", &why, "give it an empty one: NAME="));
        }
    }
    let sandbox = format!("MESOS_SANDBOX={SANDBOX}");
    let sandbox = spec.sandbox.is_some().then_some(sandbox.as_str());
    let secrets = secrets(spec, circumstances.secrets)?;
    let fields = secrets.iter().enumerate();
    let secrets = fields.map(|(place, it)| (format!("secrets[{place}]"), it.as_str()));
    let ours = |variable| ("env".to_owned(), variable);
    let all = name.map(ours).into_iter();
    let all = all.chain(environment::fields(&spec.env));
    let all = all.chain(sandbox.map(ours)).chain(secrets);
    environment::add(all, circumstances.env_file, words)
}

/// An empty user is root; to docker it is the image's.
fn user(asked: &str) -> String {
    match asked.is_empty() || asked.starts_with(':') {
        true => format!("0{asked}"),
        false => asked.to_owned(),
    }
}
