//! VERB 3: container description → process → exit.

mod choice;
pub mod docker;
pub mod native;
mod state;

pub use choice::{RuntimeName, Runtimes};
pub use state::{
    Container, ContainerRecord, Ended, Event, HealthFile, HealthResult, HealthState, HealthStatus,
    Life, Published, Started, State, Status, Watched,
};
