//! VERB 3: container description → process → exit.

mod choice;
pub mod docker;
mod happening;
mod interpreter;
pub mod native;
mod state;
mod stops;
mod values;

pub use choice::{RuntimeName, Runtimes};
pub use happening::{Happening, IGNORED};
pub use native::network::PublishedPort;
pub use native::network::cni::Attached;
pub use state::{
    Container, ContainerRecord, Ended, Event, HealthFile, HealthResult, HealthState, HealthStatus,
    Life, Published, Started, State, Status, Watched,
};
