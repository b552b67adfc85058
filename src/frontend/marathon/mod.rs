//! Marathon app definitions: JSON text → [`App`] in its newest form, or every finding at once. Pure.
//!
//! ```text
//! text ─► typed fields ─► old forms moved ─► checks ─► defaults ─► App ─► ContainerSpec
//! ```
//!
//! Fields, defaults, order and identifiers of findings are those of reference/marathon.md.

pub mod app;
pub mod container;
pub mod environment;
mod finding;
pub mod ports;
mod read;
mod record;
mod resources;
mod rules;
#[cfg(test)]
mod tests;

pub use app::App;
pub use finding::{Finding, Findings};
pub use read::{Settings, read};
