//! Reading an app definition: the file, its findings on stderr, and which runtime it is for.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::options::AppFile;
use crate::cli::context::Context;
use crate::cli::{Format, output};
use crate::error::{Fault, Kind, escape};
use crate::frontend::marathon::app::{App, Type};
use crate::frontend::marathon::{self, Findings, Settings};
use crate::runtime::RuntimeName;
use crate::spec::MAX_DOCUMENT;

/// Marathon's `mesos_bridge_name`.
const BRIDGE: &str = "mesos-bridge";

/// A definition that can be run.
pub(super) struct Loaded {
    pub(super) app: App,
    /// What was noted about it.
    pub(super) warnings: Findings,
    /// Serves it.
    pub(super) runtime: RuntimeName,
}

/// Reads the file and says all that is to be said about it. Fails with [`Kind::Spec`] if it is
/// refused, before anything is done.
pub(super) fn load(context: &Context, file: &AppFile) -> Result<Loaded> {
    let path = file.app.as_deref().unwrap_or(Path::new("-"));
    let label = match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => escape(&path.display().to_string()),
    };
    let bytes = read(path).with_context(|| format!("--app {label}"))?;
    let settings = Settings {
        strict: file.strict,
        default_network: file.default_network.clone(),
        bridge_name: BRIDGE.to_owned(),
        container_type: overriding(context, file),
        allow_privileged: file.allow_privileged,
        allow_parameters: file.allow_parameters,
    };
    let (app, warnings) =
        marathon::read(&bytes, &settings).map_err(|findings| refuse(context, &label, &findings))?;
    let runtime = runtime(context, file, &app)?;
    if !context.is_quiet() {
        for finding in &warnings.0 {
            output::remark("warning", &format!("{label}: {finding}"));
            if let Some(hint) = &finding.hint {
                output::hint(hint);
            }
        }
    }
    Ok(Loaded {
        app,
        warnings,
        runtime,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => stdin()
            .lock()
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)?,
        false => File::open(path)?
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)?,
    };
    if bytes.len() as u64 > MAX_DOCUMENT {
        let message = format!("it has more than {MAX_DOCUMENT} bytes");
        return Err(Fault::new(Kind::Limit, message).into());
    }
    Ok(bytes)
}

/// What `--override-runtime` makes of the app.
fn overriding(context: &Context, file: &AppFile) -> Option<Type> {
    let said = context.said_runtimes().filter(|_| file.override_runtime)?;
    said.iter().next().map(|name| match name {
        RuntimeName::Native => Type::Mesos,
        RuntimeName::Docker => Type::Docker,
    })
}

/// A line for each finding, then how many there are; for programs, all in one message.
fn refuse(context: &Context, label: &str, findings: &Findings) -> Fault {
    let errors: Vec<_> = findings.0.iter().filter(|it| it.is_error()).collect();
    if context.wants_json(Format::Text) {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        return Fault::new(Kind::Spec, format!("{label}: {}", all.join("; ")));
    }
    for finding in &findings.0 {
        let kind = if finding.is_error() {
            "error"
        } else {
            "warning"
        };
        output::remark(kind, &format!("{label}: {finding}"));
        if let Some(hint) = &finding.hint {
            output::hint(hint);
        }
    }
    let message = match errors.len() {
        1 => format!("{label}: the app definition has a fault; nothing was started"),
        count => format!("{label}: the app definition has {count} faults; nothing was started"),
    };
    Fault::new(Kind::Spec, message)
}

/// The type decides; it never falls through to another runtime.
fn runtime(context: &Context, file: &AppFile, app: &App) -> Result<RuntimeName, Fault> {
    let (own, word) = match app.container_type() {
        Type::Mesos => (RuntimeName::Native, "MESOS"),
        Type::Docker => (RuntimeName::Docker, "DOCKER"),
    };
    let said = context.said_runtimes().and_then(|it| it.only());
    match said.filter(|said| *said != own) {
        // An app without a container is Mesos's, whatever is said.
        Some(other) if !file.override_runtime || app.container_type() == Type::Mesos => {
            let message = format!(
                "--runtime {other}, but the app's container.type is {word} (runtime {own})"
            );
            Err(Fault::new(Kind::Usage, message)
                .hint("leave out --runtime (and UCR_RUNTIME), or add --override-runtime"))
        }
        _ => Ok(own),
    }
}
