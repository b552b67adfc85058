//! What the agent says.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::proto::{Bytes, DurationInfo, Id, Uuid, tree};
use crate::error::{Fault, Kind, escape};

/// The framework wants to hear when a task is being killed.
pub const TASK_KILLING_STATE: &str = "TASK_KILLING_STATE";
/// Characters of an unknown type that are kept.
const MAX_TYPE: usize = 60;

/// Something that the agent says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The stream is open. Not always the first event.
    Subscribed(Box<Subscribed>),
    /// A task is to be started.
    Launch(Task),
    /// Tasks are to be started together.
    LaunchGroup(Vec<Task>),
    /// A task is to end.
    Kill {
        /// Which.
        task: String,
        /// How long it has for that, instead of what it said itself.
        grace: Option<Duration>,
    },
    /// The agent has an update and need not be told it again.
    Acknowledged {
        /// Whose.
        task: String,
        /// Which.
        uuid: Uuid,
    },
    /// Something between the framework and its executor.
    Message(Vec<u8>),
    /// Everything is to end, the executor included.
    Shutdown,
    /// The agent wants nothing to do with us any more.
    Error(String),
    /// Nothing; keeps connections from being forgotten.
    Heartbeat,
    /// Of this type, which is new or made up; to be ignored.
    Unknown(String),
}

/// A task as the agent describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// `task_id`.
    pub id: String,
    /// The TaskInfo, whole: it has to be sent back the same.
    pub info: Value,
}

/// Who we are and for whom we work.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    /// ExecutorInfo, whole.
    pub executor: Value,
    /// `framework_info.id`.
    pub framework: Option<String>,
    /// `framework_info.user`: runs tasks that name no other.
    pub user: Option<String>,
    /// What the framework understands.
    pub capabilities: Vec<String>,
    /// `agent_info.id`.
    pub agent: Option<String>,
    /// `agent_info.hostname`.
    pub host_name: Option<String>,
    /// The container of the executor itself.
    pub container: Option<String>,
}

impl Subscribed {
    /// Whether the framework has this capability.
    pub fn has_capability(&self, name: &str) -> bool {
        self.capabilities.iter().any(|own| own == name)
    }
}

impl Event {
    /// Understands one record; [`Kind::Network`] if it is no event.
    pub fn parse(record: &[u8]) -> Result<Self, Fault> {
        let mut tree = tree(record)?;
        let kind = match tree.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            // Enumerations of protobuf have a first value, which here says that it is not known.
            None | Some(Value::Null) if tree.is_object() => "UNKNOWN".to_owned(),
            _ => return Err(broken("", "it has no type")),
        };
        let mut body = |key: &str| tree.get_mut(key).map_or(Value::Null, Value::take);
        match kind.as_str() {
            "SUBSCRIBED" => subscribed(body("subscribed")),
            "LAUNCH" => {
                let Launch { task } = read("launch", body("launch"))?;
                Ok(Self::Launch(self::task("launch.task", task)?))
            }
            "LAUNCH_GROUP" => {
                let LaunchGroup { task_group } = read("launch_group", body("launch_group"))?;
                let all = task_group.tasks.into_iter().enumerate();
                let path = |index| format!("launch_group.task_group.tasks[{index}]");
                let tasks = all.map(|(index, info)| task(&path(index), info));
                Ok(Self::LaunchGroup(tasks.collect::<Result<_, _>>()?))
            }
            "KILL" => {
                let kill: Kill = read("kill", body("kill"))?;
                let grace = kill.kill_policy.and_then(|it| it.grace_period);
                Ok(Self::Kill {
                    task: kill.task_id.0,
                    grace: grace.map(DurationInfo::duration),
                })
            }
            "ACKNOWLEDGED" => {
                let it: Acknowledged = read("acknowledged", body("acknowledged"))?;
                Ok(Self::Acknowledged {
                    task: it.task_id.0,
                    uuid: it.uuid,
                })
            }
            "MESSAGE" => {
                let message: Message = read("message", body("message"))?;
                Ok(Self::Message(message.data.0))
            }
            "ERROR" => {
                let error: Error = read("error", body("error"))?;
                Ok(Self::Error(error.message))
            }
            "SHUTDOWN" => Ok(Self::Shutdown),
            "HEARTBEAT" => Ok(Self::Heartbeat),
            other => Ok(Self::Unknown(escape(
                &other.chars().take(MAX_TYPE).collect::<String>(),
            ))),
        }
    }
}

#[derive(Deserialize)]
struct Launch {
    task: Value,
}

#[derive(Deserialize)]
struct LaunchGroup {
    task_group: TaskGroup,
}

#[derive(Deserialize)]
struct TaskGroup {
    tasks: Vec<Value>,
}

#[derive(Deserialize)]
struct TaskHead {
    task_id: Id,
}

#[derive(Deserialize)]
struct Kill {
    task_id: Id,
    kill_policy: Option<KillPolicy>,
}

#[derive(Deserialize)]
struct KillPolicy {
    grace_period: Option<DurationInfo>,
}

#[derive(Deserialize)]
struct Acknowledged {
    task_id: Id,
    uuid: Uuid,
}

#[derive(Deserialize)]
struct Message {
    data: Bytes,
}

#[derive(Deserialize)]
struct Error {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct SubscribedBody {
    #[serde(default)]
    executor_info: Value,
    framework_info: Option<FrameworkInfo>,
    agent_info: Option<AgentInfo>,
    container_id: Option<Id>,
}

#[derive(Deserialize)]
struct FrameworkInfo {
    id: Option<Id>,
    user: Option<String>,
    capabilities: Option<Vec<Capability>>,
}

#[derive(Deserialize)]
struct Capability {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct AgentInfo {
    id: Option<Id>,
    hostname: Option<String>,
}

fn subscribed(body: Value) -> Result<Event, Fault> {
    let body: SubscribedBody = read("subscribed", body)?;
    let (mut framework, mut user, mut capabilities) = (None, None, Vec::new());
    if let Some(info) = body.framework_info {
        (framework, user) = (info.id.map(|id| id.0), info.user);
        let all = info.capabilities.unwrap_or_default();
        capabilities = all.into_iter().filter_map(|it| it.kind).collect();
    }
    let (agent, host_name) = match body.agent_info {
        Some(info) => (info.id.map(|id| id.0), info.hostname),
        None => (None, None),
    };
    Ok(Event::Subscribed(Box::new(Subscribed {
        executor: body.executor_info,
        framework,
        user: user.filter(|user| !user.is_empty()),
        capabilities,
        agent,
        host_name,
        container: body.container_id.map(|id| id.0),
    })))
}

fn task(path: &str, info: Value) -> Result<Task, Fault> {
    let head: TaskHead = reader(path, &info)?;
    Ok(Task {
        id: head.task_id.0,
        info,
    })
}

fn read<T: DeserializeOwned>(path: &str, body: Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(body).map_err(|error| at(path, &error))
}

fn reader<'de, T: Deserialize<'de>>(path: &str, body: &'de Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(body).map_err(|error| at(path, &error))
}

fn at(path: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Fault {
    match error.path().to_string().as_str() {
        "." => broken(path, &error.inner().to_string()),
        inner => broken(&format!("{path}.{inner}"), &error.inner().to_string()),
    }
}

fn broken(path: &str, why: &str) -> Fault {
    let path = match path {
        "" => String::new(),
        path => format!("{path}: "),
    };
    Fault::new(
        Kind::Network,
        format!("an event of the agent: {path}{}", escape(why)),
    )
}
