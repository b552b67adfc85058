//! Which namespaces a container shares with the host or with another container. Pure.
//!
//! Networks and users have descriptions of their own; mounts are never shared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ContainerSpec, Userns};
use crate::error::{Fault, Kind};

/// What is shared; what is unset is the container's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sharing {
    /// Whose processes are seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<PidMode>,
    /// Whose message queues, semaphores and `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc: Option<IpcMode>,
    /// Whose host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uts: Option<UtsMode>,
    /// Whose view of the tree of cgroups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupMode>,
}

/// Whose processes a container sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PidMode {
    /// The host's.
    Host,
    /// Those of the running container with this ID.
    Container(String),
}

/// Whose System V objects, POSIX message queues and shared memory a container has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IpcMode {
    /// The host's.
    Host,
    /// Its own, which is the default.
    Private,
    /// Its own, and other containers may share them.
    Shareable,
    /// Its own, without a `/dev/shm`.
    None,
    /// Those of the running container with this ID.
    Container(String),
}

/// Whose host name a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UtsMode {
    /// The host's.
    Host,
    /// Its own, which is the default.
    Private,
}

/// Whose view of the tree of cgroups a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupMode {
    /// The host's.
    Host,
    /// Its own cgroups are the root of what it sees, which is the default.
    Private,
}

impl Sharing {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the first process is not process 1 of its own: the kernel then ends nobody when it
    /// ends.
    pub fn has_pid_of_others(&self) -> bool {
        self.pid.is_some()
    }

    /// Whether the IPC namespace is somebody else's, too.
    pub fn has_ipc_of_others(&self) -> bool {
        matches!(self.ipc, Some(IpcMode::Host | IpcMode::Container(_)))
    }

    /// Whether the host name is the host's.
    pub fn has_uts_of_host(&self) -> bool {
        self.uts == Some(UtsMode::Host)
    }
}

/// Refuses what cannot be together (`spec` has it all).
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Fault> {
    let sharing = &spec.sharing;
    let together = |this: &str, that: &str, why: &str| {
        let message = format!("{this} and {that} contradict each other: {why}");
        Err(Fault::new(Kind::Spec, message).hint("keep one of them"))
    };
    let own_users = !matches!(spec.security.userns, None | Some(Userns::Host));
    if own_users && sharing.has_pid_of_others() {
        let why = "its users could not show those processes";
        return together("--pid", "--userns", why);
    }
    if own_users && sharing.has_ipc_of_others() {
        let why = "its users are strangers to those objects";
        return together("--ipc", "--userns", why);
    }
    let sized = spec.resources.shm_size.is_some();
    if sized && (sharing.has_ipc_of_others() || sharing.ipc == Some(IpcMode::None)) {
        let why = "no /dev/shm is made";
        return together("--ipc", "--shm-size", why);
    }
    if sharing.has_uts_of_host() {
        let why = "the host would get another name";
        if spec.hostname.is_some() {
            return together("--uts host", "--hostname", why);
        }
        if spec.naming.domain.is_some() {
            return together("--uts host", "--domainname", why);
        }
    }
    Ok(())
}

/// `container:ID`.
fn container(text: &str) -> Option<String> {
    let id = text.strip_prefix("container:")?;
    (!id.is_empty()).then(|| id.to_owned())
}

impl FromStr for PidMode {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match (text, container(text)) {
            ("host", _) => Ok(Self::Host),
            (_, Some(id)) => Ok(Self::Container(id)),
            _ => Err(unknown("--pid", text, "'host' or 'container:ID'")),
        }
    }
}

impl FromStr for IpcMode {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match (text, container(text)) {
            ("host", _) => Ok(Self::Host),
            ("private", _) => Ok(Self::Private),
            ("shareable", _) => Ok(Self::Shareable),
            ("none", _) => Ok(Self::None),
            (_, Some(id)) => Ok(Self::Container(id)),
            _ => Err(unknown(
                "--ipc",
                text,
                "'private', 'shareable', 'none', 'host' or 'container:ID'",
            )),
        }
    }
}

impl FromStr for UtsMode {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text {
            "host" => Ok(Self::Host),
            "private" => Ok(Self::Private),
            _ => Err(unknown("--uts", text, "'host' or 'private'")),
        }
    }
}

impl FromStr for CgroupMode {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text {
            "host" => Ok(Self::Host),
            "private" => Ok(Self::Private),
            _ => Err(unknown("--cgroupns", text, "'host' or 'private'")),
        }
    }
}

fn unknown(flag: &str, text: &str, known: &str) -> Fault {
    let message = format!("{flag} '{text}': there is no such namespace");
    Fault::new(Kind::Usage, message).hint(format!("say {known}"))
}

impl fmt::Display for PidMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Container(id) => write!(f, "container:{id}"),
        }
    }
}

impl fmt::Display for IpcMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Private => f.write_str("private"),
            Self::Shareable => f.write_str("shareable"),
            Self::None => f.write_str("none"),
            Self::Container(id) => write!(f, "container:{id}"),
        }
    }
}

impl TryFrom<String> for PidMode {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<PidMode> for String {
    fn from(mode: PidMode) -> Self {
        mode.to_string()
    }
}

impl TryFrom<String> for IpcMode {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<IpcMode> for String {
    fn from(mode: IpcMode) -> Self {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for text in ["host", "container:ab"] {
            assert_eq!(text.parse::<PidMode>().unwrap().to_string(), text);
        }
        for text in ["host", "private", "shareable", "none", "container:ab"] {
            assert_eq!(text.parse::<IpcMode>().unwrap().to_string(), text);
        }
        for text in ["", "container:", "Host", "ns:/proc/1/ns/pid"] {
            assert!(text.parse::<PidMode>().is_err(), "{text}");
            assert!(text.parse::<IpcMode>().is_err(), "{text}");
            assert!(text.parse::<UtsMode>().is_err(), "{text}");
            assert!(text.parse::<CgroupMode>().is_err(), "{text}");
        }
    }

    #[test]
    fn contradictions() {
        let rows = [
            (
                r#""sharing":{"pid":"host"},"security":{"userns":"auto"}"#,
                "--userns",
            ),
            (
                r#""sharing":{"ipc":"host"},"security":{"userns":"auto"}"#,
                "--userns",
            ),
            (
                r#""sharing":{"ipc":"none"},"resources":{"shm_size":1}"#,
                "--shm-size",
            ),
            (
                r#""sharing":{"ipc":"container:x"},"resources":{"shm_size":1}"#,
                "--shm-size",
            ),
            (r#""sharing":{"uts":"host"},"hostname":"h""#, "--hostname"),
            (
                r#""sharing":{"uts":"host"},"naming":{"domain":"d"}"#,
                "--domainname",
            ),
        ];
        for (keys, word) in rows {
            let text = format!(r#"{{"version":1,"image":"i",{keys}}}"#);
            let fault = ContainerSpec::parse(text.as_bytes()).unwrap().check();
            let fault = fault.unwrap_err();
            assert!(fault.to_string().contains(word), "{keys}: {fault}");
        }
        let text = r#"{"version":1,"image":"i","sharing":{"pid":"host","ipc":"shareable","uts":"host",
                       "cgroup":"host"},"resources":{"shm_size":1},"security":{"userns":"host"}}"#;
        ContainerSpec::parse(text.as_bytes())
            .unwrap()
            .check()
            .unwrap();
    }
}
