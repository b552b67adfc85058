//! Text → typed fields → the newest form.

pub mod check;
mod container;
mod docker;
mod draft;
mod env;
mod fetch;
pub mod health;
mod id;
mod json;
mod migrate;
mod nearest;
mod networks;
mod pattern;
mod ports;
mod reader;
mod readiness;
mod resources;
mod scheduler;
mod top;
mod volumes;

use super::app::{App, Type};
use super::finding::Findings;
pub use json::parse;
pub use migrate::Moved;
pub use reader::{Item, Object, Sink, step};
pub use volumes::DRIVER;

/// What the machine's owner decides.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Refuse keys that are not known.
    pub strict: bool,
    /// The container network of apps that name none.
    pub default_network: Option<String>,
    /// The container network that is the bridge, for `ipAddress`.
    pub bridge_name: String,
    /// Instead of what the file says.
    pub container_type: Option<Type>,
    /// `privileged` works in containers of type MESOS.
    pub allow_privileged: bool,
    /// `parameters` work in containers of type MESOS.
    pub allow_parameters: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            strict: false,
            default_network: None,
            bridge_name: "mesos-bridge".into(),
            container_type: None,
            allow_privileged: false,
            allow_parameters: false,
        }
    }
}

/// The app of a document with every default filled in, and what is noteworthy; or, if anything is
/// wrong, all that is.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<(App, Findings), Findings> {
    let mut findings = Findings::default();
    let Some(tree) = json::parse(bytes, &mut findings) else {
        return Err(findings);
    };
    let sink = Sink::new(findings, settings.strict);
    let Some(app) = top::app(&reader::Item::top(&tree, &sink)) else {
        return Err(sink.into_findings());
    };
    let draft = top::read(&app, settings);
    let moved = migrate::migrate(draft, settings, &sink);
    super::rules::check(&moved, &sink);
    let findings = sink.into_findings();
    match findings.refuse() {
        true => Err(findings),
        false => Ok((moved.app, findings)),
    }
}
