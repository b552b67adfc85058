//! The document that ucr began with, `tests/data/seed/provisioning-containers.txt`: every snippet
//! as it is printed there, and what each sentence of it promises, under the runtime that it names.
//!
//! `tests/data/seed.md` says which sentence is shown by which test; [`table`] keeps it true.

mod bridge;
mod command;
mod docker;
mod options;
mod place;
mod pull;
mod runtimes;
mod table;
mod ucr;
mod volumes;
