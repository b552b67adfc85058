//! The Mesos v1 executor: what a Mesos agent starts so that its tasks run under ucr.
//!
//! ```text
//! agent ─► recordio ─► api::Event ─┐
//!              children ─ Happening┴─► machine (task, updates) ─► Action ─► children
//! agent ◄───────────── api::Call ◄─────────────────────────────────┘
//! ```
//!
//! The pieces but `agent` are pure: bytes, variables, clocks and random numbers come from whoever does
//! the I/O.
//! It never knows which runtime it drives: each task is a `ucr run --spec` child.

pub mod agent;
pub mod api;
pub mod environment;
pub mod launch;
pub mod machine;
pub mod recordio;
pub mod task;
mod updates;
