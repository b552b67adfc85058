//! The real binary where it mounts and starts containers: needs root and a kernel that lets it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "this is test code outside of #[test] functions"
)]

#[path = "../support/mod.rs"]
mod support;

mod bundle;
mod carrier;
mod cdi;
mod checklist;
mod cni;
mod copy;
mod corpus;
mod crowd;
mod described;
mod device_list;
mod devices;
mod differential;
mod docker_flags;
mod docker_images;
mod engine;
mod engine_life;
mod escapes;
mod exec;
mod executor;
mod exit_codes;
mod fetched;
mod health;
mod images;
mod isolation;
mod lan;
mod life;
mod lifetime;
mod limits;
mod marathon;
mod mesos;
mod network;
mod observe;
mod old_kernels;
mod on_host;
mod parity;
mod peers;
mod portable;
mod ports;
mod process;
mod property;
mod provision;
mod resources;
mod rootless;
mod runtimes;
mod seccomp;
mod secret_values;
mod starting;
mod supervised;
mod terminal;
mod trees;
mod volumes;
mod world;
