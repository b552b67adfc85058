//! Marathon app definitions, run with the real binary against real things, under both runtimes.

mod apps;
mod field;
mod running;
mod seed;
