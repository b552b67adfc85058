//! Rules between fields of the new form.

mod command;
mod health;
mod networks;
mod ports;
mod resources;
mod secrets;
mod volumes;

use super::read::{Moved, Sink};

/// All of them.
pub fn check(moved: &Moved, sink: &Sink) {
    command::check(moved, sink);
    resources::check(moved, sink);
    secrets::check(moved, sink);
    volumes::check(moved, sink);
    networks::check(moved, sink);
    ports::check(moved, sink);
    health::check(moved, sink);
}
