//! TaskStatus: what is told of a task (reference/mesos-ucr.md, sections 5.6, 5.10 and 5.11).

use std::net::IpAddr;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::proto::{Bytes, Id, Uuid};

/// How far a task is. Those that a master or an agent decides on are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum State {
    /// Its image is pulled, its container made.
    #[serde(rename = "TASK_STARTING")]
    Starting,
    /// Its command is executed.
    #[serde(rename = "TASK_RUNNING")]
    Running,
    /// It was told to end.
    #[serde(rename = "TASK_KILLING")]
    Killing,
    /// It returned 0.
    #[serde(rename = "TASK_FINISHED")]
    Finished,
    /// It ended otherwise, or never began.
    #[serde(rename = "TASK_FAILED")]
    Failed,
    /// It ended because it was told to.
    #[serde(rename = "TASK_KILLED")]
    Killed,
    /// Its description makes no sense.
    #[serde(rename = "TASK_ERROR")]
    Error,
}

impl State {
    /// Its name without what all have in common.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Killing => "KILLING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::Error => "ERROR",
        }
    }

    /// Whether nothing comes after it.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Killing => false,
            Self::Finished | Self::Failed | Self::Killed | Self::Error => true,
        }
    }
}

/// Why, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// The description cannot be understood.
    #[serde(rename = "REASON_TASK_INVALID")]
    TaskInvalid,
    /// Something that is not permitted here.
    #[serde(rename = "REASON_TASK_UNAUTHORIZED")]
    TaskUnauthorized,
    /// No image, no container, or no command in it.
    #[serde(rename = "REASON_CONTAINER_LAUNCH_FAILED")]
    LaunchFailed,
    /// Out of memory.
    #[serde(rename = "REASON_CONTAINER_LIMITATION_MEMORY")]
    MemoryLimit,
    /// Out of its disk space.
    #[serde(rename = "REASON_CONTAINER_LIMITATION_DISK")]
    DiskLimit,
    /// Out of something else.
    #[serde(rename = "REASON_CONTAINER_LIMITATION")]
    OtherLimit,
    /// It took longer than it may.
    #[serde(rename = "REASON_MAX_COMPLETION_TIME_REACHED")]
    MaxCompletionTime,
    /// Its generic check has another result.
    #[serde(rename = "REASON_TASK_CHECK_STATUS_UPDATED")]
    CheckStatusUpdated,
    /// Its health check has a result.
    #[serde(rename = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED")]
    HealthCheckStatusUpdated,
}

impl Reason {
    fn is_limitation(self) -> bool {
        matches!(self, Self::MemoryLimit | Self::DiskLimit | Self::OtherLimit)
    }
}

/// The result of a generic check; `None` before there is one, or if it took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// What a command returned.
    Command(Option<i32>),
    /// The status of an answer.
    Http(Option<u16>),
    /// Whether a connection was accepted.
    Tcp(Option<bool>),
}

impl CheckStatus {
    /// Before there is a result.
    #[must_use]
    pub fn emptied(self) -> Self {
        match self {
            Self::Command(_) => Self::Command(None),
            Self::Http(_) => Self::Http(None),
            Self::Tcp(_) => Self::Tcp(None),
        }
    }
}

impl Serialize for CheckStatus {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let member = |key: &str, value: Option<Value>| match value {
            Some(value) => json!({ key: value }),
            None => json!({}),
        };
        let (kind, key, result) = match self {
            Self::Command(code) => {
                let result = member("exit_code", code.map(Value::from));
                ("COMMAND", "command", result)
            }
            Self::Http(code) => {
                let result = member("status_code", code.map(Value::from));
                ("HTTP", "http", result)
            }
            Self::Tcp(is_open) => {
                let result = member("succeeded", is_open.map(Value::from));
                ("TCP", "tcp", result)
            }
        };
        json!({ "type": kind, key: result }).serialize(to)
    }
}

/// One update of a task. It is kept, unchanged, until the agent has acknowledged it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// `task_id`.
    pub task: String,
    /// How far it is.
    pub state: State,
    /// Of this update.
    pub uuid: Uuid,
    /// Seconds since 1970.
    pub timestamp: f64,
    /// `agent_id`; the agent drops the update if it is not its own.
    pub agent: Option<String>,
    /// `executor_id`.
    pub executor: String,
    /// Why, for programs.
    pub reason: Option<Reason>,
    /// Why, for people.
    pub message: Option<String>,
    /// Whether its health check says that it is well.
    pub healthy: Option<bool>,
    /// The result of its generic check.
    pub check: Option<CheckStatus>,
    /// Its own addresses; without any the agent says its own.
    pub addresses: Vec<IpAddr>,
    /// What it ran out of, and how much it had: `mem` or `disk`, in MiB.
    pub limitation: Option<(&'static str, f64)>,
    /// For the framework.
    pub data: Vec<u8>,
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut out = to.serialize_struct("TaskStatus", 13)?;
        out.serialize_field("task_id", &Id(self.task.clone()))?;
        out.serialize_field("state", &self.state)?;
        out.serialize_field("source", "SOURCE_EXECUTOR")?;
        out.serialize_field("uuid", &self.uuid)?;
        out.serialize_field("timestamp", &self.timestamp)?;
        out.serialize_field("executor_id", &Id(self.executor.clone()))?;
        if let Some(agent) = &self.agent {
            out.serialize_field("agent_id", &Id(agent.clone()))?;
        }
        if let Some(reason) = &self.reason {
            out.serialize_field("reason", reason)?;
        }
        if let Some(message) = &self.message {
            out.serialize_field("message", message)?;
        }
        if let Some(healthy) = &self.healthy {
            out.serialize_field("healthy", healthy)?;
        }
        if let Some(check) = &self.check {
            out.serialize_field("check_status", check)?;
        }
        if !self.addresses.is_empty() {
            out.serialize_field("container_status", &container_status(&self.addresses))?;
        }
        // It means nothing with another reason.
        let limitation = self
            .limitation
            .filter(|_| self.reason.is_some_and(Reason::is_limitation));
        if let Some(limitation) = limitation {
            out.serialize_field("limitation", &limitation_of(limitation))?;
        }
        if !self.data.is_empty() {
            out.serialize_field("data", &Bytes(self.data.clone()))?;
        }
        out.end()
    }
}

fn container_status(addresses: &[IpAddr]) -> Value {
    let address = |it: &IpAddr| {
        let protocol = if it.is_ipv6() { "IPv6" } else { "IPv4" };
        json!({ "protocol": protocol, "ip_address": it.to_string() })
    };
    let all: Vec<Value> = addresses.iter().map(address).collect();
    json!({ "network_infos": [{ "ip_addresses": all }] })
}

fn limitation_of((name, amount): (&str, f64)) -> Value {
    json!({ "resources": [{ "name": name, "type": "SCALAR", "scalar": { "value": amount } }] })
}
