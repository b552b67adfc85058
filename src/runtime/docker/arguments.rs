//! A description as arguments of `docker create`. Pure.

use std::path::Path;

use crate::error::Fault;
use crate::image::ImageConfig;
use crate::spec::ContainerSpec;

/// What the arguments depend on beside the description.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The container's name for docker.
    pub name: &'a str,
    /// The image's name for docker.
    pub image: &'a str,
    /// What the image says.
    pub config: &'a ImageConfig,
    /// Version of the Engine's API, as in 1.41.
    pub api: (u32, u32),
    /// A file with the filter of system calls in docker's form, for those who have ucr's own.
    pub seccomp: &'a Path,
}

/// Options, the image's name, and the container's arguments: what follows `docker create`.
/// Fails with [`crate::error::Kind::Unsupported`] on what Docker Engine cannot do, by the
/// description's field.
pub fn arguments(
    _spec: &ContainerSpec,
    _circumstances: &Circumstances,
) -> Result<Vec<String>, Fault> {
    Ok(Vec::new())
}
