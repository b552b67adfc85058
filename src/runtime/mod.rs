//! VERB 3: container description → process → exit.

pub mod native;
mod state;

pub use state::{
    Container, ContainerRecord, Ended, Event, HealthFile, HealthResult, HealthState, HealthStatus,
    Life, Published, Started, State, Status, Watched,
};
