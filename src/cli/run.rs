//! `ucr run`.

use anyhow::Result;
use clap::Args;

use super::context::Context;
use super::output;
use super::pull::PullOptions;
use crate::exit::{self, Outcome};
use crate::frontend::flags::ContainerFlags;
use crate::pull::Policy;
use crate::runtime::native::Native;
use crate::store::Image;
use crate::sys::process::{Exit, Namespaces, die_with_parent, spawn};

/// Run a command in a new container and return its exit code
///
/// Pulls the image if it is not in the store. ARGS replace the image's CMD and follow its
/// ENTRYPOINT, as for docker run. The container is removed when it ends. It is on the host's
/// network; processes, mounts, IPC and host name are its own.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Say more on stderr; -v is docker's volume here
    #[arg(long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    container: ContainerFlags,
    #[command(flatten)]
    options: PullOptions,
    /// The image
    image: String,
    /// Command and arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    args: Vec<String>,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let name = super::pull::name(context, &self.image)?.to_string();
        let lookup = |variable: &str| super::environment::variable(variable);
        let mut spec = self.container.spec(name, self.args.clone(), &lookup)?;
        spec.sandbox = spec
            .sandbox
            .map(|path| context.absolute(path))
            .transpose()?;
        let image = match self.image(context)? {
            Ok(image) => image,
            Err(exit) => return Ok(Outcome::Exited(exit)),
        };
        let (store, state) = (context.store()?, context.state()?);
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
    fn image(&self, context: &Context) -> Result<Result<Image, Exit>> {
        if let Some(image) = self.options.find_local(context, &self.image)? {
            return Ok(Ok(image));
        }
        let pull = || match self.pull(context) {
            Ok(()) => 0,
            Err(error) => {
                output::error(&error, context.wants_json(super::Format::Text));
                exit::code(&Err(error))
            }
        };
        match spawn(Namespaces::default(), pull)?.wait()? {
            Exit::Code(0) => Ok(Ok(self.options.local(context, &self.image)?)),
            failed => Ok(Err(failed)),
        }
    }

    fn pull(&self, context: &Context) -> Result<()> {
        die_with_parent()?;
        self.options
            .pull(context, &self.image, Policy::Missing)
            .map(drop)
    }
}
