//! A description as arguments of `docker create`. Pure.
//!
//! Every field becomes options or is refused by its name, and ucr's own defaults are said in so many
//! words, so that both runtimes mean the same. Options are `--NAME=VALUE` in one word: no value is
//! ever taken for an option.
//!
//! Two fields are the caller's: `name`, which [`Circumstances::name`] is made of, and
//! `resources.cgroups`, for only the Engine's answer tells which limits cannot be had.

mod environment;
mod life;
mod mount;
mod network;
mod parameter;
mod process;
mod resources;
mod security;
mod words;

use std::fmt;
use std::path::Path;

use caps::CapsHashSet;

use crate::error::Fault;
use crate::image::ImageConfig;
use crate::runtime::docker::Secrets;
use crate::spec::ContainerSpec;
use words::{Words, refuse};

/// What the arguments depend on beside the description.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The container's name for docker.
    pub name: &'a str,
    /// The image's name for docker.
    pub image: &'a str,
    /// What the image says.
    pub config: &'a ImageConfig,
    /// Version of the API that docker and the Engine have agreed on, as in 1.41: what is newer
    /// neither may know.
    pub api: (u32, u32),
    /// A file with the filter of system calls in docker's form, for those who have ucr's own.
    pub seccomp: &'a Path,
    /// The file with [`Arguments::variables`], if there are any.
    pub env_file: &'a Path,
    /// The values of secrets.
    pub secrets: &'a Secrets,
    /// What the Engine can hand on; `caps::all()` if that is not known.
    pub capabilities: &'a CapsHashSet,
    /// Whether the Engine's host has AppArmor.
    pub apparmor: bool,
    /// Whether the Engine's host has SELinux.
    pub selinux: bool,
    /// The most open files that the Engine can allow: its own hard limit, unless it may raise that.
    /// `u64::MAX` if that is not known.
    pub max_files: u64,
}

impl Circumstances<'_> {
    /// Refuses what an older Engine does not know.
    fn since(&self, api: (u32, u32), field: &str, option: &str) -> Result<(), Fault> {
        if self.api >= api {
            return Ok(());
        }
        let ((major, minor), (own_major, own_minor)) = (api, self.api);
        let why = format!(
            "it needs version {major}.{minor} of Docker Engine's API, this one has \
             {own_major}.{own_minor}"
        );
        Err(refuse(field, option, &why, "use a newer Engine"))
    }
}

/// What docker is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Arguments {
    /// Options, the image's name, and the container's arguments: what follows `docker create`.
    pub words: Vec<String>,
    /// Lines of the file that the words name: the environment, but for what only words can say.
    pub variables: Vec<String>,
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets are among the variables.
        let mut shown = f.debug_struct("Arguments");
        shown.field("words", &self.words).finish_non_exhaustive()
    }
}

/// A container as docker is told of it.
/// Fails with [`crate::error::Kind::Unsupported`] on what Docker Engine cannot do, by the
/// description's field, and with [`crate::error::Kind::Spec`] on what makes no container at all.
pub fn arguments(spec: &ContainerSpec, circumstances: &Circumstances) -> Result<Arguments, Fault> {
    check(spec)?;
    let mut words = Words::default();
    words.option("--name", circumstances.name);
    // It is there already: what is pulled is the caller's decision, and so are the credentials.
    words.option("--pull", "never");
    let variables = process::add(spec, circumstances, &mut words)?;
    life::add(spec, circumstances, &mut words)?;
    mount::add(spec, circumstances, &mut words)?;
    network::add(spec, circumstances, &mut words)?;
    resources::add(spec, circumstances, &mut words)?;
    security::add(spec, circumstances, &mut words)?;
    parameter::add(spec, &mut words)?;
    let words = words.finish(
        circumstances.image,
        process::arguments(spec, circumstances).into_iter(),
    )?;
    Ok(Arguments { words, variables })
}

/// Options of `docker exec` that set these variables, and the lines of `env_file`, which is among
/// them only if there are any. Fails with [`crate::error::Kind::Spec`] on what no program can get.
pub fn variables(env: &[String], env_file: &Path) -> Result<Arguments, Fault> {
    let mut words = Words::default();
    let variables = environment::add(environment::fields(env), env_file, &mut words)?;
    let words = words.into_options()?;
    Ok(Arguments { words, variables })
}

/// Refuses what the Engine can make no container of. Fails with
/// [`crate::error::Kind::Unsupported`].
pub fn check(spec: &ContainerSpec) -> Result<(), Fault> {
    if spec.rootfs.is_some() {
        let why = "Docker Engine makes containers of images only";
        return Err(refuse("rootfs", "--rootfs", why, "name an image"));
    }
    let image = &spec.image;
    let has_source = |it: &&&str| image.starts_with(**it);
    let Some(source) = ["oci:", "oci-archive:"].iter().find(has_source) else {
        return Ok(());
    };
    let why = format!("Docker Engine reads no {source} images");
    let hint = "give it the image: skopeo copy IMAGE docker-daemon:NAME:TAG, and run NAME:TAG";
    Err(refuse("image", "", &why, hint))
}
