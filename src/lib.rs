//! `ucr`: pull, provision and run container images without a daemon.
//!
//! # One line of data
//!
//! ```text
//! reference ─► manifest ─► blobs ─► layers ─► snapshot chain ─► rootfs ─► bundle ─► process ─► exit
//!   (text)     resolve      pull     unpack       store         provision   lower     run      code
//! ```
//!
//! # Who may import whom
//!
//! ```text
//!   main                          -> cli, runtime::native::reaper
//!   cli                           -> anything below
//!   executor                      -> frontend, checks, spec, tls, sys, error
//!   runtime                       -> provision, bundle and lower
//!   checks                        -> spec, tls, sys, error
//!   frontend                      -> spec, image, error
//!   pull   provision   bundle   fetch   -> any lower
//!   store   registry   layer   source   -> image, spec, credentials, sys, error; never each other; registry: tls, too
//!   engine                        -> credentials, sys, error; source may import it
//!   spec   credentials            -> image, error
//!   secrets                       -> error, sys
//!   tls                           -> error
//!   image                         -> error
//!   exit                          -> error, sys
//!   sys   error                   -> std and the kernel
//! ```
//!
//! `tests/cli/hygiene.rs` holds this table as data and fails when an import breaks it.

pub mod bundle;
pub mod checks;
pub mod cli;
pub mod credentials;
pub mod engine;
pub mod error;
pub mod executor;
pub mod exit;
pub mod fetch;
pub mod frontend;
pub mod image;
pub mod layer;
pub mod provision;
pub mod pull;
pub mod registry;
pub mod runtime;
pub mod secrets;
pub mod source;
pub mod spec;
pub mod store;
#[allow(unsafe_code, reason = "the only module that talks to the kernel")]
pub mod sys;
pub mod tls;
