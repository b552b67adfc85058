//! Marathon app definitions, run with the real binary against real things.

mod apps;
mod field;
mod running;
