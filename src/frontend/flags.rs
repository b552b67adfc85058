//! The flags of `ucr run`: docker's names and meanings.

use std::path::PathBuf;

mod health;
mod life;
mod naming;
mod network;
mod resources;
mod security;
mod sharing;
mod words;

use clap::Args;

use crate::error::{Fault, Kind};
use crate::spec::{CgroupPolicy, ContainerSpec, Mount, Restart, Secret, Version};
use health::HealthFlags;
use life::LifeFlags;
use naming::NamingFlags;
use network::NetworkFlags;
use resources::ResourceFlags;
use security::SecurityFlags;
use sharing::SharingFlags;
use words::WordFlags;

/// What a container is like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Container options")]
pub struct ContainerFlags {
    /// Take a directory of the host instead of an image as the root filesystem; / is the host's own.
    /// The first word is then the command
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Replace the image's entrypoint, and with it its command; '' removes both
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Set an environment variable; NAME alone copies ucr's own, if it is set; repeatable
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables of a file, NAME=VALUE a line; those of -e win; repeatable
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Give the container a value that is in no argument and no record: file=PATH or
    /// environment=NAME, then env=NAME or target=PATH; repeatable
    #[arg(long, value_name = "SOURCE,TARGET")]
    secret: Vec<Secret>,
    /// Working directory inside; made if it is missing
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<String>,
    /// User and perhaps group, by the image's names or by number
    #[arg(long, short, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Add a group to the user's, by the image's name or by number; repeatable
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Show a path of the host or a named volume inside; DIR alone is a new volume; repeatable
    #[arg(long, short, value_name = "[SOURCE:]DIR[:OPTIONS]")]
    volume: Vec<Mount>,
    /// The same in fields, as in type=bind|volume|tmpfs|image,source=…,target=…; repeatable
    #[arg(long, value_name = "KEY=VALUE[,…]", value_parser = Mount::from_fields)]
    mount: Vec<Mount>,
    /// Show an empty directory in memory inside; repeatable
    #[arg(long, value_name = "DIR[:OPTIONS]", value_parser = Mount::from_tmpfs)]
    tmpfs: Vec<Mount>,
    /// Directory of the host to mount as the Mesos sandbox; sets MESOS_SANDBOX
    #[arg(long, value_name = "DIR")]
    sandbox: Option<PathBuf>,
    /// Refuse writes to the root filesystem; /dev, /dev/shm and volumes stay writable
    #[arg(long)]
    read_only: bool,
    /// Put a process before the command that reaps orphans and passes signals on
    #[arg(long)]
    init: bool,
    /// Keep stdin open for the command; without this it is /dev/null
    #[arg(long, short)]
    interactive: bool,
    /// Give the container a terminal
    #[arg(long, short)]
    tty: bool,
    #[command(flatten)]
    life: LifeFlags,
    #[command(flatten)]
    health: HealthFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    words: WordFlags,
    #[command(flatten)]
    naming: NamingFlags,
    #[command(flatten)]
    sharing: SharingFlags,
    #[command(flatten)]
    resources: ResourceFlags,
    #[command(flatten)]
    security: SecurityFlags,
}

/// What the files say that a command line names.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Those of [`ContainerFlags::env_files`].
    pub env: Vec<String>,
    /// Those of [`ContainerFlags::label_files`].
    pub labels: Vec<String>,
}

/// What may be said beside an app definition, which has no words for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BesideApp {
    /// See [`ContainerSpec::name`].
    pub name: Option<String>,
    /// See [`ContainerSpec::restart`].
    pub restart: Option<Restart>,
    /// See [`crate::spec::Resources::cgroups`].
    pub cgroups: Option<CgroupPolicy>,
    /// A sandbox that is kept.
    pub sandbox: Option<PathBuf>,
    /// See [`ContainerSpec::stdin`].
    pub stdin: bool,
    /// See [`ContainerSpec::init`].
    pub init: bool,
}

impl ContainerFlags {
    /// What is said of it; `None` if something else is said, too.
    pub fn beside_app(&self) -> Result<Option<BesideApp>, Fault> {
        let beside = BesideApp {
            name: self.life.name()?,
            restart: self.life.restart(),
            cgroups: self.resources.cgroups,
            sandbox: self.sandbox.clone(),
            stdin: self.interactive,
            init: self.init,
        };
        let mut others = self.clone();
        others.life.leave_to_app();
        others.resources.cgroups = None;
        others.sandbox = None;
        others.interactive = false;
        others.init = false;
        Ok(others.is_default().then_some(beside))
    }

    /// The files whose variables come before those of `-e`.
    pub fn env_files(&self) -> &[PathBuf] {
        &self.env_file
    }

    /// The files whose labels come before those of `-l`.
    pub fn label_files(&self) -> &[PathBuf] {
        &self.words.label_file
    }

    /// Whether a directory takes the place of an image.
    pub fn is_of_directory(&self) -> bool {
        self.rootfs.is_some()
    }

    /// A running container whose namespaces are joined, by any of its names.
    pub fn joined(&self) -> Option<&str> {
        self.network.joined().or_else(|| self.sharing.joined())
    }

    /// The containers whose mounts it has, too.
    pub fn volumes_from(&self) -> &[String] {
        &self.words.volumes_from
    }

    /// Whether nothing is asked for that a complete description would contradict.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The description that the flags make. `files` is what the files say that they name;
    /// `lookup` reads ucr's own environment for `-e NAME`.
    pub fn spec(
        &self,
        image: String,
        args: Vec<String>,
        files: Lines,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ContainerSpec, Fault> {
        let mut env = files.env;
        env.extend(variables(&self.env, lookup)?);
        let (stop_signal, stop_timeout) = self.life.stop();
        Ok(ContainerSpec {
            version: Version,
            image,
            rootfs: self.rootfs.clone(),
            name: self.life.name()?,
            entrypoint: self
                .entrypoint
                .as_ref()
                .map(|command| match command.as_str() {
                    "" => Vec::new(),
                    command => vec![command.to_owned()],
                }),
            args,
            env,
            working_dir: self.workdir.clone(),
            user: self.user.clone(),
            groups: self.group_add.clone(),
            secrets: self.secret.clone(),
            read_only: self.read_only,
            devices: self.security.devices()?,
            device_rules: self.resources.device_cgroup_rule.clone(),
            network: self.network.network(),
            more_networks: self.network.further(),
            endpoint: self.network.endpoint(),
            hostname: self.naming.hostname.clone(),
            naming: self.naming.naming(),
            sharing: self.sharing.sharing(),
            sysctls: self.sharing.sysctls(),
            resources: self.resources.resources(),
            security: self.security.security()?,
            mounts: self.mounts(),
            sandbox: self.sandbox.clone(),
            tty: self.tty,
            stdin: self.interactive,
            init: self.init,
            labels: self.words.labels(files.labels)?,
            annotations: self.words.annotations()?,
            docker_parameters: self.words.docker_param.clone(),
            restart: self.life.restart(),
            stop_signal,
            stop_timeout,
            log: self.life.log()?,
            health: self.health.health(),
            fallback_working_dir: None,
            keep_first_cmd: false,
            app: None,
        })
    }

    /// In the order of options, kind by kind; the runtime sorts them.
    fn mounts(&self) -> Vec<Mount> {
        [&self.volume[..], &self.mount, &self.tmpfs].concat()
    }
}

/// What the words of `-e` set; a name alone copies ours, if there is one.
pub fn variables(
    words: &[String],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Fault> {
    let mut env = Vec::new();
    for variable in words {
        match variable.split_once('=') {
            Some(("", _)) | None if variable.is_empty() || variable.starts_with('=') => {
                let message = format!("-e '{variable}': the variable has no name");
                return Err(Fault::new(Kind::Usage, message).hint("say -e NAME=VALUE"));
            }
            Some(_) => env.push(variable.clone()),
            None => env.extend(lookup(variable).map(|value| format!("{variable}={value}"))),
        }
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(disable_help_flag = true)]
    struct Command {
        #[command(flatten)]
        flags: ContainerFlags,
    }

    fn spec(words: &[&str]) -> Result<ContainerSpec, Fault> {
        let words = ["ucr"].iter().chain(words);
        let flags = Command::try_parse_from(words).unwrap().flags;
        flags.spec("i".into(), vec![], Lines::default(), &|name| {
            (name == "OURS").then(|| "1".to_owned())
        })
    }

    #[test]
    fn a_name_alone_copies_ours_if_there_is_one() {
        let made = spec(&["-e", "A=b=c", "-e", "OURS", "-e", "THEIRS", "-e", "E="]).unwrap();
        assert_eq!(made.env, ["A=b=c", "OURS=1", "E="]);
        assert!(spec(&["-e", "=x"]).is_err());
        assert!(spec(&["-e", ""]).is_err());
    }

    #[test]
    fn an_empty_entrypoint_is_not_an_unset_one() {
        assert_eq!(spec(&[]).unwrap().entrypoint, None);
        assert_eq!(
            spec(&["--entrypoint", ""]).unwrap().entrypoint,
            Some(vec![])
        );
        assert_eq!(
            spec(&["--entrypoint", "x y"]).unwrap().entrypoint,
            Some(vec!["x y".into()])
        );
    }
}
