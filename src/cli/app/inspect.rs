//! `ucr inspect --app`: what would run, under which runtime, with every default filled in.

use anyhow::Result;
use serde_json::{Value, json};

use super::load::load;
use super::options::{AppFile, AppMachine};
use super::parameters;
use super::prepare::Preparation;
use crate::cli::context::Context;
use crate::cli::pull::PullOptions;
use crate::cli::{delegate, output};
use crate::exit::Outcome;
use crate::frontend::flags::BesideApp;
use crate::image::ImageConfig;
use crate::runtime::RuntimeName;
use crate::runtime::native::host_name;
use crate::spec::{ContainerSpec, process};

/// Prints it; pulls, makes and takes nothing.
pub(in crate::cli) fn inspect(
    context: &Context,
    file: &AppFile,
    machine: &AppMachine,
) -> Result<Outcome> {
    let loaded = load(context, file)?;
    let store = context.store()?;
    let preparation = Preparation {
        context,
        app: &loaded.app,
        machine,
        beside: &BesideApp::default(),
    };
    let (task, mut spec, ports) = preparation.preview(&store)?;
    parameters::add(&mut spec, &loaded.app)?;
    let warnings = loaded
        .warnings
        .0
        .iter()
        .map(|it| json!({ "path": it.path, "id": it.id, "text": it.text }));
    let ports = ports.iter().zip(0..).map(|(port, index): (_, usize)| {
        json!({
            "index": index,
            "declared": port.declared,
            "host_port": port.host,
            "generated": port.generated,
            "service_port": port.service,
        })
    });
    let mut document = json!({
        "kind": "app",
        "runtime": loaded.runtime.name(),
        "app": loaded.app,
        "warnings": warnings.collect::<Vec<_>>(),
        "task": { "id": task.id, "container": task.container_name },
        "ports": ports.collect::<Vec<_>>(),
        "ports_are": "free now; each start chooses its own",
        "argv": argv(context, loaded.runtime, &spec)?,
    });
    document["spec"] = serde_json::to_value(&spec)?;
    output::json(&document)?;
    Ok(Outcome::Done)
}

/// What is executed in the end: null where that is the image's to say, and it is not here.
fn argv(context: &Context, runtime: RuntimeName, spec: &ContainerSpec) -> Result<Value> {
    let config = match spec.image.as_str() {
        "" => Some(ImageConfig::none()),
        name if runtime == RuntimeName::Docker => delegate::image_config(context, name),
        name => PullOptions::default()
            .find_local(context, name)?
            .map(|image| image.config),
    };
    match config {
        Some(config) => Ok(json!(process(spec, &config, &host_name())?.argv)),
        // Where the entry point is replaced, the image has no say.
        None => Ok(spec.entrypoint.as_ref().map_or(Value::Null, |entrypoint| {
            json!([entrypoint.as_slice(), &spec.args].concat())
        })),
    }
}
