//! `ucr run`.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result};
use clap::{Args, FromArgMatches};

use super::app::{AppFile, AppMachine, AppRun, AppSecrets};
use super::cni::CniOptions;
use super::context::Context;
use super::pull::PullOptions;
use super::rootless::Users;
use super::start::{Directories, StartOptions, Wanted};
use super::{others, output};
use crate::error::{Fault, Kind};
use crate::exit::{self, Outcome};
use crate::frontend::env_file;
use crate::frontend::flags::{ContainerFlags, Lines};
use crate::pull::Policy;
use crate::runtime::native;
use crate::runtime::native::cdi::DIRECTORIES;
use crate::spec::mount::Source;
use crate::spec::{ContainerSpec, DockerParameter, GivenValues, MAX_DOCUMENT, NO_VALUES};
use crate::store::Image;
use crate::sys::process::{Exit, Namespaces, die_with_parent, spawn};

/// Largest file of variables that is read, in bytes.
const MAX_ENV_FILE: u64 = 1 << 20;
/// Docker's option for other containers' mounts, which the native runtime finds itself.
const VOLUMES_FROM: &str = "volumes-from";

/// Run a command in a new container and return its exit code
///
/// Pulls the image if it is not in the store. ARGS replace the image's CMD and follow its
/// ENTRYPOINT, as for docker run. A container in the foreground is removed when it ends. It has the
/// host's network and users unless --network and --userns say otherwise; all else is its own.
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "ucr run [OPTIONS] <IMAGE> [ARGS]...\n       \
                            ucr run [OPTIONS] --rootfs <DIR> <COMMAND> [ARGS]...\n       \
                            ucr run [OPTIONS] --spec <FILE>\n       \
                            ucr run [OPTIONS] --app <FILE>",
    disable_help_flag = true
)]
pub(super) struct Run {
    /// Print help; -h is --hostname here, as in docker
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
    /// Say more on stderr; -v is --volume here, as in docker
    #[arg(long)]
    pub(super) verbose: bool,
    /// Print what would be done, step by step, and do nothing; with --format json as a document
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Take the whole description from a JSON document, ucr-spec(5); - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "app")]
    spec: Option<PathBuf>,
    /// The image, unless --rootfs is said, then perhaps a command and its arguments
    // One list, so that everything behind the image is the container's, "--" included.
    #[arg(
        trailing_var_arg = true,
        required_unless_present_any = ["spec", "rootfs", "app"],
        conflicts_with_all = ["spec", "app"],
        value_name = "IMAGE"
    )]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) container: ContainerFlags,
    /// Look for the files of CDI devices here, not in /etc/cdi and /var/run/cdi; later ones win;
    /// repeatable, also from $UCR_CDI_DIRS
    #[arg(long, value_name = "DIR", help_heading = "Security options")]
    cdi_spec_dir: Vec<PathBuf>,
    #[command(flatten)]
    cni: CniOptions,
    #[command(flatten)]
    pub(super) start: StartOptions,
    #[command(flatten)]
    pub(super) options: PullOptions,
    #[command(flatten)]
    pub(super) app: AppFile,
    #[command(flatten)]
    pub(super) app_secrets: AppSecrets,
    #[command(flatten)]
    pub(super) app_machine: AppMachine,
    #[command(flatten)]
    pub(super) app_run: AppRun,
    /// What an app definition comes to.
    #[arg(skip)]
    pub(super) given: Option<Rc<Given>>,
    /// What was read from stdin for --spec.
    #[arg(skip)]
    typed: OnceCell<Vec<u8>>,
}

/// A description that did not come from the command line.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) spec: ContainerSpec,
    pub(super) values: GivenValues,
}

impl Run {
    /// As a command line says it, from its first option on.
    pub(super) fn of_words(words: &[&str]) -> Result<Self> {
        let command = Self::augment_args(clap::Command::new("run")).no_binary_name(true);
        Ok(Self::from_arg_matches(
            &command.try_get_matches_from(words)?,
        )?)
    }

    /// Where an ordinary user's works: namespaces can be joined only where they were made.
    pub(super) fn users(&self, context: &Context) -> Users {
        let joined = self.container.joined();
        // That there is none of that name is said later.
        joined
            .and_then(|name| Users::of_container(context, name).ok())
            .unwrap_or(Users::Own)
    }

    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let mut spec = self.description(context)?;
        others::resolve(context, &mut spec)?;
        spec.check()?;
        self.start.check(&spec)?;
        native::check(&spec)?;
        if self.dry_run {
            return self.show_plan(context, &spec);
        }
        let image = match spec.rootfs {
            Some(_) => None,
            None => match self.image(context, &spec.image)? {
                Ok(image) => Some(image),
                Err(exit) => return Ok(Outcome::Exited(exit)),
            },
        };
        let directories = Directories {
            cdi: self.cdi_directories(context)?,
            cni: self.cni.places(context)?,
        };
        let wanted = Wanted {
            image: image.as_ref(),
            spec: &spec,
            values: self.values(),
        };
        self.start.start(context, &wanted, &directories)
    }

    /// Those of secrets that are had already.
    pub(super) fn values(&self) -> &GivenValues {
        self.given.as_ref().map_or(&NO_VALUES, |it| &it.values)
    }

    pub(super) fn description(&self, context: &Context) -> Result<ContainerSpec> {
        let mut spec = self.description_for_docker(context)?;
        let parameters = &mut spec.docker_parameters;
        parameters.retain(|it| it.key != VOLUMES_FROM);
        others::add_volumes(context, self.container.volumes_from(), &mut spec)?;
        Ok(spec)
    }

    /// The same, where other containers are the Engine's.
    pub(super) fn description_for_docker(&self, context: &Context) -> Result<ContainerSpec> {
        match (&self.given, &self.spec) {
            (Some(given), _) => Ok(given.spec.clone()),
            (None, Some(file)) => self.document(context, file),
            (None, None) => self.flags(context),
        }
    }

    fn document(&self, context: &Context, file: &Path) -> Result<ContainerSpec> {
        if !self.container.is_default() {
            let message = "--spec with options that describe the container";
            return Err(Fault::new(Kind::Usage, message)
                .hint("say it in the document; 'ucr run --dry-run --format json' shows the keys")
                .into());
        }
        let bytes = match file == Path::new("-") {
            // Which is there once, and may be needed for each runtime.
            true => match self.typed.get() {
                Some(bytes) => Ok(bytes.clone()),
                None => read_limited(&mut stdin().lock(), MAX_DOCUMENT)
                    .map(|bytes| self.typed.get_or_init(|| bytes).clone()),
            },
            false => File::open(file)
                .map_err(Into::into)
                .and_then(|mut file| read_limited(&mut file, MAX_DOCUMENT)),
        };
        let bytes = bytes.with_context(|| format!("--spec {}", file.display()))?;
        let mut spec = ContainerSpec::parse(&bytes)?;
        spec.check_document()?;
        if let Some(path) = spec.host_paths().find(|path| !path.is_absolute()) {
            let path = path.display();
            let message =
                format!("container description: path '{path}' of the host is not absolute");
            return Err(Fault::new(Kind::Spec, message)
                .hint("a document has no directory that they could start from")
                .into());
        }
        if spec.rootfs.is_none() && !spec.image.is_empty() {
            spec.image = super::pull::name(context, &spec.image)?.to_string();
        }
        name_images(context, &mut spec)?;
        Ok(spec)
    }

    fn flags(&self, context: &Context) -> Result<ContainerSpec> {
        let (normal_name, args) = match self.container.is_of_directory() {
            true => (String::new(), self.words.as_slice()),
            false => {
                let (name, args) = self.words.split_first().context("clap requires an image")?;
                (super::pull::name(context, name)?.to_string(), args)
            }
        };
        let lookup = |variable: &str| super::environment::variable(variable);
        // A label alone has an empty value.
        let no_value = |_: &str| Some(String::new());
        let lines = Lines {
            env: read_env_files(self.container.env_files(), &lookup)?,
            labels: lines("--label-file", self.container.label_files(), &no_value)?,
        };
        let mut spec = self
            .container
            .spec(normal_name, args.to_vec(), lines, &lookup)?;
        let absolute = |path: &mut PathBuf| -> Result<()> {
            *path = context.absolute(std::mem::take(path))?;
            Ok(())
        };
        spec.host_paths().try_for_each(absolute)?;
        name_images(context, &mut spec)?;
        let volumes_from = self.container.volumes_from().iter();
        let volumes_from = volumes_from.map(|word| DockerParameter {
            key: VOLUMES_FROM.to_owned(),
            value: word.clone(),
        });
        spec.docker_parameters.extend(volumes_from);
        Ok(spec)
    }

    /// Refuses directories of the host's that Docker Engine does not look into.
    pub(super) fn check_for_docker(&self) -> Result<(), Fault> {
        let cdi = (!self.cdi_spec_dir.is_empty()).then_some("--cdi-spec-dir");
        let Some(option) = cdi.or(self.cni.said()) else {
            return Ok(());
        };
        let message = format!("{option}: Docker Engine has its own directories");
        Err(Fault::new(Kind::Unsupported, message)
            .hint("/etc/docker/daemon.json has cdi-spec-dirs; or say --runtime native"))
    }

    /// As the option says, or else the variable, or else CDI's specification.
    pub(super) fn cdi_directories(&self, context: &Context) -> Result<Vec<PathBuf>> {
        if !self.cdi_spec_dir.is_empty() {
            let all = self.cdi_spec_dir.iter().cloned();
            return all.map(|path| context.absolute(path)).collect();
        }
        match super::environment::variable("UCR_CDI_DIRS") {
            Some(list) if !list.is_empty() => list
                .split(':')
                .map(|path| context.absolute(path.into()))
                .collect(),
            _ => Ok(DIRECTORIES.map(PathBuf::from).to_vec()),
        }
    }

    /// Prints the plan, of an image that is in the store already: nothing is done, so nothing is
    /// pulled.
    fn show_plan(&self, context: &Context, spec: &ContainerSpec) -> Result<Outcome> {
        let image = match spec.rootfs {
            Some(_) => None,
            None => Some(self.options.present(context, &spec.image)?),
        };
        let plan = native::dry_run(image.as_ref(), spec, &self.cdi_directories(context)?)?;
        match context.wants_json(super::Format::Text) {
            true => output::json(&serde_json::json!({ "spec": spec, "plan": plan }))?,
            false => output::raw(plan.to_string().as_bytes())?,
        }
        Ok(Outcome::Done)
    }

    /// The image, or how the process ended that was to pull it and has said why.
    ///
    /// A pull needs threads, and a container is started from a process that never had one (design
    /// D3); it also leaves this process as small as it was.
    fn image(&self, context: &Context, name: &str) -> Result<Result<Image, Exit>> {
        if let Some(image) = self.options.find_local(context, name)? {
            return Ok(Ok(image));
        }
        let pull = || {
            let outcome = self.pull(context, name);
            self.start.listener().hear(&outcome);
            match outcome {
                Ok(()) => 0,
                Err(error) => {
                    output::error(&error, context.wants_json(super::Format::Text));
                    exit::code(&Err(error))
                }
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

/// The variables of files.
pub(super) fn read_env_files(
    paths: &[PathBuf],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>> {
    lines("--env-file", paths, lookup)
}

/// What files say, one word a line.
fn lines(
    option: &str,
    files: &[PathBuf],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for path in files {
        let name = format!("{option} {}", path.display());
        let bytes = File::open(path)
            .map_err(Into::into)
            .and_then(|mut file| read_limited(&mut file, MAX_ENV_FILE))
            .with_context(|| name.clone())?;
        all.extend(env_file::variables(&name, &bytes, lookup)?);
    }
    Ok(all)
}

fn read_limited(from: &mut impl Read, max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        let message = format!("it has more than {max_bytes} bytes");
        return Err(Fault::new(Kind::Limit, message).into());
    }
    Ok(bytes)
}

/// Gives the images that are mounted their full names.
fn name_images(context: &Context, spec: &mut ContainerSpec) -> Result<()> {
    for mount in &mut spec.mounts {
        if let Source::Image(image) = &mut mount.source {
            image.name = super::pull::name(context, &image.name)?.to_string();
        }
    }
    Ok(())
}
