//! A Mesos TaskInfo for a custom executor → [`TaskDefinition`]: every field is mapped, or refused by
//! its path, or has no meaning for one machine (reference/mesos-ucr.md, sections 3, 4 and 5). Pure.
//!
//! ```text
//! TaskInfo ─┬─ container, resources, checks ─────────────────────────────┐
//!           └─ command, else data, else labels, else words, else image ──┴─► TaskDefinition
//! ```
//!
//! Keys that are not known are refused in what people write, which is `data`, and only noted in what
//! the agent sends: newer agents say more.

mod checks;
mod command;
mod container;
mod definition;
mod isolation;
mod network;
mod resources;
mod source;
mod task;
#[cfg(test)]
mod tests;
mod value;
mod volumes;

pub use definition::{
    Containerizer, Generic, Health, HttpScheme, Place, ProbeCommand, Question, TaskDefinition,
};
pub use task::read;

pub use super::marathon::Findings;
