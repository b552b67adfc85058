//! `ucr run`.

use anyhow::{Context as _, Result};
use clap::Args;

use super::context::Context;
use super::output;
use super::pull::PullOptions;
use crate::exit::{self, Outcome};
use crate::frontend::flags::ContainerFlags;
use crate::pull::Policy;
use crate::runtime::native::Native;
use crate::spec::Mount;
use crate::spec::mount::Source;
use crate::store::Image;
use crate::sys::process::{Exit, Namespaces, die_with_parent, spawn};

/// Run a command in a new container and return its exit code
///
/// Pulls the image if it is not in the store. ARGS replace the image's CMD and follow its
/// ENTRYPOINT, as for docker run. The container is removed when it ends. It is on the host's
/// network; processes, mounts, IPC and host name are its own.
#[derive(Debug, Args)]
#[command(override_usage = "ucr run [OPTIONS] <IMAGE> [ARGS]...")]
pub(super) struct Run {
    /// Say more on stderr; -v is docker's volume here
    #[arg(long)]
    pub(super) verbose: bool,
    /// The image, then perhaps a command and its arguments
    // One list, so that everything behind the image is the container's, "--" included.
    #[arg(trailing_var_arg = true, required = true, value_name = "IMAGE")]
    words: Vec<String>,
    #[command(flatten)]
    container: ContainerFlags,
    #[command(flatten)]
    options: PullOptions,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let (name, args) = self.words.split_first().context("clap requires an image")?;
        let normal_name = super::pull::name(context, name)?.to_string();
        let lookup = |variable: &str| super::environment::variable(variable);
        let mut spec = self.container.spec(normal_name, args.to_vec(), &lookup)?;
        spec.sandbox = spec
            .sandbox
            .map(|path| context.absolute(path))
            .transpose()?;
        spec.mounts = mounts(context, spec.mounts)?;
        let image = match self.image(context, name)? {
            Ok(image) => image,
            Err(exit) => return Ok(Outcome::Exited(exit)),
        };
        let (store, state) = (context.store()?, context.state()?);
        context.heal()?;
        let exit = Native {
            store: &store,
            state: &state,
        }
        .run(&image, &spec)?;
        Ok(Outcome::Exited(exit))
    }

    /// The image, or how the process ended that was to pull it and has said why.
    ///
    /// A pull needs threads, and a container is started from a process that never had one (design
    /// D3); it also leaves this process as small as it was.
    fn image(&self, context: &Context, name: &str) -> Result<Result<Image, Exit>> {
        if let Some(image) = self.options.find_local(context, name)? {
            return Ok(Ok(image));
        }
        let pull = || match self.pull(context, name) {
            Ok(()) => 0,
            Err(error) => {
                output::error(&error, context.wants_json(super::Format::Text));
                exit::code(&Err(error))
            }
        };
        match spawn(Namespaces::default(), pull)?.wait()? {
            Exit::Code(0) => Ok(Ok(self.options.local(context, name)?)),
            failed => Ok(Err(failed)),
        }
    }

    fn pull(&self, context: &Context, name: &str) -> Result<()> {
        die_with_parent()?;
        self.options.pull(context, name, Policy::Missing).map(drop)
    }
}

/// Paths of the host from here, and images by their full names.
fn mounts(context: &Context, mounts: Vec<Mount>) -> Result<Vec<Mount>> {
    let here = context.working_directory()?;
    let resolve = |mount: Mount| {
        let mut mount = mount.absolute(&here);
        if let Source::Image(image) = &mut mount.source {
            image.name = super::pull::name(context, &image.name)?.to_string();
        }
        Ok(mount)
    };
    mounts.into_iter().map(resolve).collect()
}
