//! Making a container in the Engine, without starting it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit};

use super::arguments::{Circumstances, arguments};
use super::run::Asked;
use super::{Docker, KEPT_LABEL, KEY_LABEL, LABELS, MANIFEST_LABEL, SPEC_LABEL, remove_by_key};
use crate::engine::LONG;
use crate::error::{Fault, Kind};
use crate::spec::seccomp::{Errors, profile};
use crate::spec::{CgroupPolicy, capabilities};
use crate::sys::signal::Inbox;

/// Where ucr's own filter of system calls is written for docker.
const SECCOMP: &str = "seccomp.json";

/// How many hex digits of an ID people see.
pub(super) const SHORT_ID: usize = 12;

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
        self.words(asked, PathBuf::from("/dev/null")).map(drop)
    }

    /// What follows `docker create`, but for ucr's own labels. `seccomp` is the file of its filter.
    pub fn words(&self, asked: &Asked, seccomp: PathBuf) -> Result<Vec<String>> {
        let name = self.name(asked);
        check_labels(asked)?;
        let [apparmor, selinux] = self.labels(asked)?;
        let capabilities = caps::all();
        let circumstances = Circumstances {
            name: &name,
            image: &asked.image.name,
            config: &asked.image.config,
            api: self.api,
            seccomp: &seccomp,
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

    /// Makes the container. Whatever happens, it is noted until [`Self::forget`].
    pub(super) fn create(&self, asked: &Asked, inbox: &Inbox) -> Result<Made> {
        let private = self.engine.private();
        let key = private.name();
        let bounding = capabilities(&asked.spec.security, &caps::all())?.bounding;
        let filter = profile(&bounding.into_iter().collect(), Errors::of(self.api));
        let words = self.words(asked, private.file(SECCOMP, &filter)?)?;
        let labels = labels(asked, key)?;
        let mut all = vec!["create"];
        all.extend(labels.iter().map(String::as_str));
        if asked.is_detached && !asked.is_kept {
            all.push("--rm");
        }
        all.extend(words.iter().map(String::as_str));
        private.note(&self.note(key, asked.environment))?;
        let made = self
            .engine
            .call_with_remarks(&all, LONG, Some(inbox.ends()));
        let made = made.and_then(|(id, remarks)| {
            self.heed(asked, &remarks)?;
            let id = String::from_utf8(id).context("docker create: its ID")?;
            Ok(Made {
                full_id: id.trim().to_owned(),
            })
        });
        made.inspect_err(|_| self.discard(key))
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
    pub(super) fn discard(&self, key: &str) {
        if remove_by_key(&self.engine, key).is_err() {
            self.engine.private().leave();
        }
    }
}

/// By its labels ucr knows what a container is; others must not say it.
fn check_labels(asked: &Asked) -> Result<(), Fault> {
    let parameters = asked.spec.docker_parameters.iter();
    let parameters = parameters.filter(|it| matches!(it.key.as_str(), "label" | "label-file"));
    let said = parameters.map(|it| it.value.as_str());
    let mut all = asked.spec.labels.keys().map(String::as_str).chain(said);
    match all.find(|label| label.starts_with(LABELS)) {
        None => Ok(()),
        Some(label) => {
            let message = format!("label '{label}': names with '{LABELS}' are ucr's own");
            Err(Fault::new(Kind::Spec, message).hint("take another name"))
        }
    }
}

fn labels(asked: &Asked, key: &str) -> Result<Vec<String>> {
    let image = asked.image;
    let manifest = image.manifest.as_ref().unwrap_or(&image.id);
    Ok(vec![
        format!("--label={KEY_LABEL}={key}"),
        format!(
            "--label={SPEC_LABEL}={}",
            serde_json::to_string(asked.spec)?
        ),
        format!("--label={MANIFEST_LABEL}={manifest}"),
        format!("--label={KEPT_LABEL}={}", asked.is_kept),
    ])
}
