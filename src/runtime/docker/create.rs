//! Making a container in the Engine, without starting it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rustix::process::{Resource, getrlimit};

use super::arguments::{Arguments, Circumstances, arguments};
use super::heal::{remove, remove_unnoted};
use super::run::Asked;
use super::secrets::{Secrets, UNREAD_SECRETS};
use super::{Docker, KEPT_LABEL, KEY_LABEL, LABELS, MANIFEST_LABEL, SPEC_LABEL};
use crate::engine::NOT_DOCKER;
use crate::error::{Fault, Kind, kind};
use crate::spec::seccomp::{Errors, profile};
use crate::spec::{CgroupPolicy, ContainerSpec, IpcMode, Network, PidMode, capabilities};
use crate::sys::signal::Inbox;

/// Where ucr's own filter of system calls is written for docker.
const SECCOMP: &str = "seccomp.json";

/// Where variables are written for docker.
pub(super) const ENV_FILE: &str = "env";

/// How many hex digits of an ID people see.
pub const SHORT_ID: usize = 12;

/// Whether it can be an ID of the Engine's.
pub(super) fn is_id(text: &str) -> bool {
    text.len() >= SHORT_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A container that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// The Engine's whole ID.
    pub(super) full_id: String,
}

impl Made {
    pub(super) fn id(&self) -> &str {
        self.full_id.get(..SHORT_ID).unwrap_or(&self.full_id)
    }
}

impl Docker {
    /// Refuses what the Engine cannot do, by its field, before anything is done. Fails with
    /// [`Kind::Unsupported`].
    pub fn check(&self, asked: &Asked) -> Result<()> {
        let nowhere = Path::new("/dev/null");
        let unread = &UNREAD_SECRETS;
        self.arguments(asked, unread, nowhere, nowhere).map(drop)
    }

    /// Refuses networks and containers that the Engine does not have. Fails with
    /// [`Kind::Unsupported`].
    pub fn check_others(&self, spec: &ContainerSpec) -> Result<()> {
        let has = |what: &str, name: &str| -> Result<()> {
            let words = ["inspect", "--type", what, "--format", "{{.Id}}", name];
            match self.engine.call(&words, self.engine.short(), None) {
                Err(error) if kind(&error) == Kind::NotFound => {
                    let message = format!("Docker Engine has no {what} '{name}'");
                    Err(Fault::new(Kind::Unsupported, message).into())
                }
                found => found.map(drop),
            }
        };
        match spec.network() {
            Network::Named(name) => has("network", &name)?,
            Network::Container(name) => has("container", &name)?,
            Network::Host | Network::None | Network::Bridge | Network::Cni(_) => (),
        }
        if let Some(PidMode::Container(name)) = &spec.sharing.pid {
            has("container", name)?;
        }
        if let Some(IpcMode::Container(name)) = &spec.sharing.ipc {
            has("container", name)?;
        }
        let others = spec.docker_parameters.iter();
        let mut others = others.filter(|it| it.key == "volumes-from");
        others.try_for_each(|it| has("container", it.value.split(':').next().unwrap_or_default()))
    }

    /// What follows `docker create`, but for ucr's own labels. `seccomp` is the file of its filter,
    /// `env_file` that of the variables.
    pub fn arguments(
        &self,
        asked: &Asked,
        secrets: &Secrets,
        seccomp: &Path,
        env_file: &Path,
    ) -> Result<Arguments> {
        let name = self.name(asked);
        check_labels(asked)?;
        let [apparmor, selinux] = self.labels(asked)?;
        let capabilities = caps::all();
        let circumstances = Circumstances {
            name: &name,
            image: &asked.image.name,
            config: &asked.image.config,
            api: self.api,
            seccomp,
            env_file,
            secrets,
            capabilities: &capabilities,
            apparmor,
            selinux,
            // What the native runtime could allow, too.
            max_files: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
        };
        Ok(arguments(asked.spec, &circumstances)?)
    }

    /// Whether the Engine's host has AppArmor and SELinux, if that matters.
    fn labels(&self, asked: &Asked) -> Result<[bool; 2]> {
        let security = &asked.spec.security;
        if security.apparmor.is_none() && security.selinux.is_empty() {
            return Ok([false; 2]);
        }
        let options: Vec<String> =
            self.engine
                .ask(&["info", "--format", "{{json .SecurityOptions}}"])?;
        let has = |name: &str| options.iter().any(|it| it.split(',').any(|it| it == name));
        Ok([has("name=apparmor"), has("name=selinux")])
    }

    /// As it was asked for, or else one that tells whose it is.
    fn name(&self, asked: &Asked) -> String {
        let own = || format!("ucr-{}", self.engine.private().name());
        asked.spec.name.clone().unwrap_or_else(own)
    }

    /// Makes the container. It is noted until its private directory goes.
    pub(super) fn create(&self, asked: &Asked, inbox: &Inbox) -> Result<Made> {
        let private = self.engine.private();
        let key = private.name();
        let bounding = capabilities(&asked.spec.security, &caps::all())?.bounding;
        let filter = profile(&bounding.into_iter().collect(), Errors::of(self.api));
        let seccomp = private.file(SECCOMP, &filter)?;
        let env_file = private.path().join(ENV_FILE);
        let secrets = Secrets::read(&asked.spec.secrets, asked.values)?;
        let told = self.arguments(asked, &secrets, &seccomp, &env_file)?;
        private.text(ENV_FILE, &told.variables)?;
        let labels = labels(asked, key)?;
        let mut all = vec!["create"];
        all.extend(labels.iter().map(String::as_str));
        if asked.is_detached && !asked.is_kept {
            all.push("--rm");
        }
        all.extend(told.words.iter().map(String::as_str));
        private.note(&self.note(key, None, asked.environment))?;
        let limit = self.engine.long();
        let made = self
            .engine
            .call_with_remarks(&all, limit, Some(inbox.ends()));
        // docker has read it; the container may run for years. What stays goes with the directory.
        let _ = fs::remove_file(env_file);
        let (id, remarks) = made.inspect_err(|error| self.give_up(key, error))?;
        let made = made_id(&id).and_then(|full_id| {
            private.note(&self.note(key, Some(&full_id), asked.environment))?;
            self.heed(asked, &remarks)?;
            Ok(Made { full_id })
        });
        match (&made, id_of(&id)) {
            (Ok(_), _) => (),
            // What failed first is what matters.
            (Err(_), id) if is_id(id) => drop(self.discard(id)),
            (Err(error), _) => self.give_up(key, error),
        }
        made
    }

    /// Where the Engine was not heard to the end, the container may come later.
    fn give_up(&self, key: &str, error: &anyhow::Error) {
        let may_come = matches!(kind(error), Kind::Network | Kind::Interrupted | Kind::Limit);
        match remove_unnoted(&self.engine, key) {
            Ok(is_removed) if is_removed || !may_come => (),
            _ => self.engine.private().leave(),
        }
    }

    /// A limit that the Engine discards is one that cannot be had.
    fn heed(&self, asked: &Asked, remarks: &str) -> Result<(), Fault> {
        for line in remarks.lines() {
            let Some(text) = line.strip_prefix("WARNING: ") else {
                continue;
            };
            let is_strict = asked.spec.resources.cgroups != Some(CgroupPolicy::BestEffort);
            if text.contains("iscarded") && is_strict {
                let message = format!("docker create: {text}");
                return Err(Fault::new(Kind::Unsupported, message)
                    .hint("leave that limit out, or say --cgroups best-effort"));
            }
            (asked.remark)(text);
        }
        Ok(())
    }

    /// Removes the container of a start that failed; if that cannot be done now, the next command
    /// does it.
    pub(super) fn discard(&self, full_id: &str) -> Result<()> {
        let removed = remove(&self.engine, full_id).map(drop);
        removed.inspect_err(|_| self.engine.private().leave())
    }
}

fn id_of(answer: &[u8]) -> &str {
    str::from_utf8(answer).unwrap_or_default().trim()
}

/// The ID that docker prints.
fn made_id(answer: &[u8]) -> Result<String> {
    let id = id_of(answer);
    match is_id(id) {
        true => Ok(id.to_owned()),
        false => Err(Fault::new(
            Kind::Network,
            "Docker Engine: the answer to 'docker create' is no ID",
        )
        .hint(NOT_DOCKER)
        .into()),
    }
}

/// By its labels ucr knows what a container is; others must not say it.
fn check_labels(asked: &Asked) -> Result<(), Fault> {
    let parameters = asked.spec.docker_parameters.iter();
    let parameters = parameters.filter(|it| it.key == "label");
    let said = parameters.map(|it| it.value.as_str());
    let mut all = asked.spec.labels.keys().map(String::as_str).chain(said);
    match all.find(|label| label.starts_with(LABELS)) {
        None => Ok(()),
        Some(label) => {
            let message = format!("label '{label}': names with '{LABELS}' are ucr's own");
            Err(Fault::new(Kind::Unsupported, message)
                .hint("take another name, or say --runtime native"))
        }
    }
}

fn labels(asked: &Asked, key: &str) -> Result<Vec<String>> {
    let image = asked.image;
    let manifest = image.manifest.as_ref().unwrap_or(&image.id);
    // The Engine keeps the environment, and everybody sees an argument.
    let spec = ContainerSpec {
        env: Vec::new(),
        ..asked.spec.clone()
    };
    Ok(vec![
        format!("--label={KEY_LABEL}={key}"),
        format!("--label={SPEC_LABEL}={}", serde_json::to_string(&spec)?),
        format!("--label={MANIFEST_LABEL}={manifest}"),
        format!("--label={KEPT_LABEL}={}", asked.is_kept),
    ])
}
