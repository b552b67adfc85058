//! The real binary, one module per promise: what it prints, leaves on disk and exits with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "this is test code outside of #[test] functions"
)]

#[path = "../support/mod.rs"]
mod support;

mod app_options;
mod app_page;
mod app_samples;
mod auth;
mod concurrency;
mod docker;
mod docker_archives;
mod docker_argv;
mod docker_daemons;
mod durable;
mod engine_faults;
mod executor_page;
mod exit_codes;
mod faults;
mod fetch;
mod generated;
mod help;
mod house;
mod hygiene;
mod inspect_schema;
mod kills;
mod memory;
mod output;
mod pages;
mod plans;
mod platforms;
mod runtime;
mod self_check;
mod sources;
mod spec_page;
