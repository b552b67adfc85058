//! `ucr pull --app` and `ucr provision --app`.

use anyhow::Result;

use super::load::load;
use super::options::{AppFile, AppSecrets};
use super::prepare::no_image;
use super::run::pull_of;
use super::values::resolve;
use crate::cli::context::Context;
use crate::cli::provision::Provision;
use crate::cli::pull::{AppPull, Pull};
use crate::cli::{Command, perform};
use crate::exit::Outcome;
use crate::frontend::marathon::app::App;
use crate::frontend::marathon::container::command;
use crate::spec::ContainerSpec;

/// Pulls the image of an app.
pub(in crate::cli) fn pull(mut pull: Pull, context: &Context) -> Result<Outcome> {
    let wanted = wanted(context, &pull.app, &pull.app_secrets)?;
    pull.image = Some(wanted.image);
    pull.options.app = Some(wanted.pull);
    pull.app.app = None;
    perform(Command::Pull(pull), &wanted.context)
}

/// Makes a root filesystem, or a bundle, of the image of an app.
pub(in crate::cli) fn provision(mut provision: Provision, context: &Context) -> Result<Outcome> {
    let wanted = wanted(context, &provision.app, &provision.app_secrets)?;
    provision.take_app(wanted.image, &command_of(&wanted.app))?;
    provision.options.app = Some(wanted.pull);
    provision.app.app = None;
    perform(Command::Provision(provision), &wanted.context)
}

/// The part of a description that a bundle needs.
fn command_of(app: &App) -> ContainerSpec {
    let mut spec = ContainerSpec::default();
    command(&mut spec, app);
    spec
}

struct Wanted {
    app: App,
    image: String,
    pull: AppPull,
    context: Context,
}

fn wanted(context: &Context, file: &AppFile, secrets: &AppSecrets) -> Result<Wanted> {
    let loaded = load(context, file)?;
    let Some(docker) = loaded.app.docker() else {
        return Err(no_image(&loaded.app).into());
    };
    let image = docker.image.clone();
    let values = resolve(context, &loaded.app, secrets, true)?;
    Ok(Wanted {
        image,
        pull: pull_of(&loaded.app, &values),
        context: context.with_runtime(loaded.runtime),
        app: loaded.app,
    })
}
