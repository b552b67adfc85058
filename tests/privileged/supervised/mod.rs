//! `ucr run --app` around the container: ports, checks, times, ends, secrets.

mod checks;
mod ports;
mod stage;
