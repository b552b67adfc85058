//! Docker Engine as a runtime, through the `docker` CLI (design D10): the same description, told to
//! docker with ucr's own defaults said explicitly, so that both runtimes mean the same.

pub mod arguments;
