//! What the processes of a container may do.

use anyhow::Result;
use caps::Capability;
use serde::{Serialize, Serializer};

use crate::error::{Fault, Kind};
use crate::runtime::native::AppArmor;
use crate::runtime::native::host::{HostFacts, wants_default_label};
use crate::runtime::native::seccomp::Filter;
use crate::spec::{ContainerSpec, Seccomp, capabilities};

/// Decided limits of a container's processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confinement {
    /// What root has, and the most that anybody can get.
    #[serde(serialize_with = "names")]
    pub capabilities: Vec<Capability>,
    /// What a user other than root has, too.
    #[serde(serialize_with = "names")]
    pub ambient: Vec<Capability>,
    /// Defaults that ucr itself does not have.
    #[serde(skip)]
    pub missing: Vec<Capability>,
    /// Set-user-ID bits and file capabilities have no effect.
    pub no_new_privileges: bool,
    /// The system call filter.
    pub seccomp: Filtering,
    /// The AppArmor profile to run under.
    pub apparmor: Option<String>,
}

impl Confinement {
    /// Whether device nodes may be made.
    pub(super) fn may_make_nodes(&self) -> bool {
        self.capabilities.contains(&Capability::CAP_MKNOD)
    }
}

/// Which system call filter is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// ucr's own, for these capabilities.
    BuiltIn,
    /// None.
    Unconfined,
    /// That of the profile that was asked for.
    Profile,
}

fn names<S: Serializer>(list: &[Capability], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(ToString::to_string))
}

/// Decides.
pub(super) fn confinement(spec: &ContainerSpec, host: &HostFacts) -> Result<Confinement, Fault> {
    let security = &spec.security;
    let decided = capabilities(security, &host.capabilities)?;
    let seccomp = match &security.seccomp {
        None if security.privileged => Filtering::Unconfined,
        None | Some(Seccomp::BuiltIn) => Filtering::BuiltIn,
        Some(Seccomp::Unconfined) => Filtering::Unconfined,
        Some(Seccomp::File(_)) => Filtering::Profile,
    };
    Ok(Confinement {
        capabilities: decided.bounding,
        ambient: decided.ambient,
        missing: decided.missing,
        no_new_privileges: security.no_new_privileges.unwrap_or(!security.privileged),
        seccomp,
        apparmor: apparmor(spec, host)?,
    })
}

/// Labels are given where the host has the module; asked for elsewhere they are refused, not
/// dropped.
fn apparmor(spec: &ContainerSpec, host: &HostFacts) -> Result<Option<String>, Fault> {
    let security = &spec.security;
    let refused = |what: &str, module: &str| {
        let message = format!("--security-opt {what}: this host does not run {module}");
        Err(Fault::new(Kind::Unsupported, message).hint("leave it out on this host"))
    };
    if security.selinux.iter().any(|label| label != "disable") {
        return if host.labels.selinux {
            let message = "--security-opt label: SELinux labels are not supported";
            Err(Fault::new(Kind::Unsupported, message).hint("say label=disable, or leave it out"))
        } else {
            refused("label", "SELinux")
        };
    }
    match security.apparmor.as_deref() {
        None if wants_default_label(spec) => Ok(match &host.labels.apparmor {
            Some(AppArmor { default, own: None }) => default.clone(),
            _ => None,
        }),
        None | Some("unconfined") => Ok(None),
        Some(_) if host.labels.apparmor.is_none() => refused("apparmor", "AppArmor"),
        Some(profile) if profile.contains(['\0', '\n', ' ']) => Err(Fault::new(
            Kind::Spec,
            format!("--security-opt apparmor={profile}: it is no profile's name"),
        )),
        Some(profile) => Ok(Some(profile.to_owned())),
    }
}

/// The filter that is loaded. What is odd about a profile is noted.
pub(super) fn filter(
    confinement: &Confinement,
    host: &HostFacts,
    notes: &mut Vec<String>,
) -> Result<Option<Filter>> {
    let bounding = confinement.capabilities.iter().copied().collect();
    match (confinement.seccomp, &host.seccomp_profile) {
        (Filtering::Unconfined, _) => Ok(None),
        (Filtering::BuiltIn, _) => Ok(Some(Filter::built_in(&bounding, host.kernel))),
        (Filtering::Profile, profile) => {
            let profile = profile.as_deref().unwrap_or_default();
            let (filter, warnings) = Filter::from_profile(profile, &bounding, host.kernel)?;
            notes.extend(warnings);
            Ok(Some(filter))
        }
    }
}

/// What is weaker or smaller than the default, for `-v`.
pub(super) fn notes(
    confinement: &Confinement,
    spec: &ContainerSpec,
    host: &HostFacts,
) -> Vec<String> {
    let missing = confinement.missing.iter();
    let missing = missing.map(|name| format!("{name} is left out: ucr itself does not have it"));
    let label = match &host.labels.apparmor {
        Some(apparmor) if wants_default_label(spec) => no_label(apparmor),
        _ => None,
    };
    missing.chain(label).collect()
}

fn no_label(apparmor: &AppArmor) -> Option<String> {
    match apparmor {
        AppArmor { own: Some(own), .. } => {
            Some(format!("AppArmor profile: that of ucr itself, {own}"))
        }
        AppArmor { default: None, .. } => Some(
            "no AppArmor profile: neither ucr-default nor docker-default nor a \
             containers-default-VERSION is loaded"
                .to_owned(),
        ),
        AppArmor { .. } => None,
    }
}
