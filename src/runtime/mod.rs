//! VERB 3: container description → process → exit.

pub mod native;
mod record;

pub use record::{ContainerRecord, State};
