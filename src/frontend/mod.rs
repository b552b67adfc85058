//! Other languages for the same description: text in, [`crate::spec::ContainerSpec`] out. A front
//! end maps every field that it reads or refuses it by name. Pure: no I/O, no environment.

pub mod env_file;
pub mod flags;
pub mod marathon;
pub mod mesos;
