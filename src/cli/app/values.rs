//! The values of an app's secrets: all of them are there before anything is asked of a registry.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use super::options::AppSecrets;
use crate::cli::context::Context;
use crate::cli::output;
use crate::credentials::{Unusable, check_pull_secret};
use crate::error::{Fault, Kind};
use crate::frontend::marathon::app::{App, EnvValue, VolumeKind};
use crate::frontend::marathon::container::launch_fault;
use crate::secrets::{DEFAULT_DIRECTORY, Resolver, SecretValue, may_use};

/// By name.
pub(super) type Values = BTreeMap<String, SecretValue>;

/// Finds the values of what the app uses; with `only_pull`, of what a pull needs.
pub(super) fn resolve(
    context: &Context,
    app: &App,
    options: &AppSecrets,
    only_pull: bool,
) -> Result<Values> {
    let resolver = resolver(context, options)?;
    let mut values = Values::new();
    let pull = app.docker().and_then(|docker| docker.pull_config.as_ref());
    let pull = pull.map(|config| config.secret.as_str());
    let others = used(app).filter(|_| !only_pull);
    for name in pull.into_iter().chain(others) {
        if values.contains_key(name) {
            continue;
        }
        let source = app.secrets.get(name).map_or("", |it| it.source.as_str());
        if options.enforce_spaces && !may_use(&app.id, source) {
            let message = format!(
                "secret '{name}': app {} may not use source {source} [E:secret-space]",
                app.id
            );
            return Err(Fault::new(Kind::Denied, message)
                .hint("its directory must be the beginning of the app's id")
                .into());
        }
        let found = resolver.resolve(name, source)?;
        for warning in &found.warnings {
            output::remark("warning", warning);
        }
        values.insert(name.to_owned(), found.value);
    }
    if let Some((name, value)) = pull.and_then(|name| Some((name, values.get(name)?))) {
        check_pull_secret(value.bytes()).map_err(|why| unusable(name, &why))?;
    }
    for (variable, name) in variables(app) {
        if let Some(value) = values.get(name) {
            value.text(&format!("{name} (for variable {variable})"))?;
        }
    }
    Ok(values)
}

fn unusable(name: &str, why: &Unusable) -> Fault {
    let path = "/container/docker/pullConfig";
    match why {
        Unusable::Malformed(why) => {
            let text = format!("the value of secret '{name}' is of no use: {why}");
            launch_fault(path, &text, "E:pullconfig-format").hint(
                "it has to be the text of a docker config.json: {\"auths\": {HOST: {\"auth\": …}}}",
            )
        }
        Unusable::HelpersOnly => {
            let text = format!("the value of secret '{name}' only names credential helpers");
            launch_fault(path, &text, "E:creds-store")
                .hint("put a real \"auth\" in, the base64 of USER:PASSWORD")
        }
    }
}

/// Which variables are the values of which secrets.
fn variables(app: &App) -> impl Iterator<Item = (&str, &str)> {
    app.env.iter().filter_map(|(variable, value)| match value {
        EnvValue::Secret(name) => Some((variable.as_str(), name.secret.as_str())),
        EnvValue::Plain(_) => None,
    })
}

/// The secrets that its variables and volumes name.
fn used(app: &App) -> impl Iterator<Item = &str> {
    let files = app
        .volumes()
        .iter()
        .filter_map(|volume| match &volume.kind {
            VolumeKind::Secret(name) => Some(name.as_str()),
            _ => None,
        });
    variables(app).map(|(_, name)| name).chain(files)
}

fn resolver(context: &Context, options: &AppSecrets) -> Result<Resolver> {
    let said = options.secrets_dir.clone();
    let usual = || Some(PathBuf::from(DEFAULT_DIRECTORY)).filter(|path| path.is_dir());
    let directory = match said {
        Some(path) => Some(context.absolute(path)?),
        None => usual(),
    };
    Ok(Resolver {
        explicit: options.app_secret.clone(),
        directories: directory.into_iter().collect(),
        env_prefixes: options.secret_env_prefix.iter().cloned().collect(),
        commands: options.secret_command.iter().cloned().collect(),
        ..Resolver::default()
    })
}
