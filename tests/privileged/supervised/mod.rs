//! `ucr run --app` around the container: ports, checks, times, ends, secrets.

mod checks;
mod ends;
mod ports;
mod secrets;
pub mod stage;
