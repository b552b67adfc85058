//! What the agent knows and checks: calls, tasks, updates (reference/mesos-live.md, section 2,
//! reference/mesos-ucr.md, section 5.6).

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::wire::Request;

pub const FRAMEWORK: &str = "2d1a0f4e-0002";
pub const EXECUTOR: &str = "e-ucr";
pub const AGENT: &str = "2d1a0f4e-S0";
const PATH: &str = "/slave(1)/api/v1/executor";
const TERMINAL: [&str; 8] = [
    "TASK_FINISHED",
    "TASK_FAILED",
    "TASK_KILLED",
    "TASK_ERROR",
    "TASK_LOST",
    "TASK_DROPPED",
    "TASK_GONE",
    "TASK_GONE_BY_OPERATOR",
];

/// One call, as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Instant,
    /// `type`; empty if it is not understood.
    pub kind: String,
    /// Null if it is no JSON.
    pub body: Value,
    pub request: Request,
    /// Over the socket in the file system.
    pub over_socket: bool,
    /// Counted from 0: which connection.
    pub connection: usize,
    /// What was answered; 200 is a stream, 0 nothing or nonsense.
    pub status: u16,
}

/// One update, however often it came.
#[derive(Clone, Debug)]
pub struct Update {
    pub at: Instant,
    pub task: String,
    pub state: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub uuid: String,
    /// The whole TaskStatus.
    pub status: Value,
    /// How often it came.
    pub times: usize,
    /// Acknowledged but not for the framework: the task was over, or not known yet.
    pub is_dropped: bool,
    /// ACKNOWLEDGED was sent for it.
    pub is_acknowledged: bool,
}

/// The agent's memory.
#[derive(Default)]
pub struct Ledger {
    pub calls: Vec<Call>,
    pub updates: Vec<Update>,
    /// Tasks that were launched, and whether they are over.
    pub tasks: BTreeMap<String, bool>,
    /// Has subscribed since the agent was started.
    pub is_subscribed: bool,
}

/// What to do with a call.
pub enum Verdict {
    Subscribe,
    /// 202, and these updates are to be acknowledged: task and uuid.
    Accept(Vec<(String, String)>),
    Refuse(u16, String),
}

/// `Failed to validate Executor::Call`.
fn invalid(why: &str) -> Verdict {
    Verdict::Refuse(400, format!("Failed to validate Executor::Call: {why}"))
}

impl Ledger {
    pub fn judge(
        &mut self,
        request: &Request,
        body: &Value,
        over_socket: bool,
        token: Option<&str>,
    ) -> Verdict {
        refuse_request(request, over_socket, token)
            .or_else(|| refuse_body(body))
            .unwrap_or_else(|| self.take(body))
    }

    fn take(&mut self, body: &Value) -> Verdict {
        let kind = body["type"].as_str().unwrap_or_default();
        if kind != "SUBSCRIBE" && !self.is_subscribed {
            return Verdict::Refuse(403, "Executor is not subscribed".to_owned());
        }
        match kind {
            "SUBSCRIBE" if !body["subscribe"].is_object() => {
                invalid("Expecting 'subscribe' to be present")
            }
            "SUBSCRIBE" => {
                let updates = body["subscribe"]["unacknowledged_updates"].as_array();
                let statuses = updates.into_iter().flatten().map(|it| &it["status"]);
                match statuses.filter_map(refuse_status).next() {
                    Some(why) => invalid(&why),
                    None => Verdict::Subscribe,
                }
            }
            "UPDATE" => match refuse_status(&body["update"]["status"]) {
                Some(why) => invalid(&why),
                None => Verdict::Accept(self.update(&body["update"]["status"])),
            },
            "MESSAGE" if !body["message"]["data"].is_string() => {
                invalid("Expecting 'message' to be present")
            }
            "MESSAGE" | "HEARTBEAT" => Verdict::Accept(Vec::new()),
            _ => invalid("Unknown call"),
        }
    }

    /// The executor is there: updates that are to be acknowledged.
    pub fn subscribed(&mut self, body: &Value) -> Vec<(String, String)> {
        self.is_subscribed = true;
        let part = &body["subscribe"];
        for task in part["unacknowledged_tasks"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let id = task["task_id"]["value"].as_str().unwrap_or_default();
            self.tasks.entry(id.to_owned()).or_default();
        }
        let updates = part["unacknowledged_updates"].as_array();
        let statuses = updates.into_iter().flatten().map(|it| &it["status"]);
        statuses.flat_map(|status| self.update(status)).collect()
    }

    fn update(&mut self, status: &Value) -> Vec<(String, String)> {
        let text = |key: &str| status[key].as_str().map(str::to_owned);
        let agent = status["agent_id"]["value"].as_str();
        if agent.is_some_and(|agent| agent != AGENT) {
            return Vec::new();
        }
        let task = status["task_id"]["value"].as_str().unwrap_or_default();
        let (state, uuid) = (text("state").unwrap(), text("uuid").unwrap());
        let key = (task.to_owned(), uuid.clone());
        if let Some(known) = self.updates.iter_mut().find(|it| it.uuid == uuid) {
            known.times += 1;
            return vec![key];
        }
        let is_over = self.tasks.get(task).copied().unwrap_or_default();
        let is_terminal = TERMINAL.contains(&state.as_str());
        if is_terminal {
            self.tasks.insert(task.to_owned(), true);
        }
        self.updates.push(Update {
            at: Instant::now(),
            task: task.to_owned(),
            state,
            reason: text("reason"),
            message: text("message"),
            uuid,
            status: status.clone(),
            times: 1,
            is_dropped: is_over,
            is_acknowledged: false,
        });
        vec![key]
    }
}

fn refuse_request(request: &Request, over_socket: bool, token: Option<&str>) -> Option<Verdict> {
    let refuse = |status, why: &str| Some(Verdict::Refuse(status, why.to_owned()));
    if over_socket && request.path != PATH {
        return refuse(403, "");
    }
    if request.path != PATH && request.path != "/api/v1/executor" {
        return refuse(404, "");
    }
    let expected = token.map(|token| format!("Bearer {token}"));
    if expected.is_some() && request.header("authorization") != expected.as_deref() {
        return refuse(401, "Invalid or missing token");
    }
    if request.method != "POST" {
        return refuse(405, "Expecting one of { 'POST' }");
    }
    match request.header("content-type") {
        None => return refuse(400, "Expecting 'Content-Type' to be present"),
        Some("application/json") => (),
        Some(_) => return refuse(415, "Expecting 'Content-Type' of application/json"),
    }
    match request.header("accept") {
        None | Some("application/json" | "*/*") => None,
        Some(_) => refuse(406, "Expecting 'Accept' to allow application/json"),
    }
}

fn refuse_body(body: &Value) -> Option<Verdict> {
    let refuse = |why: &str| Some(Verdict::Refuse(400, why.to_owned()));
    if !body.is_object() {
        return refuse("Failed to parse body into JSON: syntax error at line 1 near: x");
    }
    let id = |key: &str| body[key]["value"].as_str();
    let (Some(framework), Some(executor)) = (id("framework_id"), id("executor_id")) else {
        return refuse(
            "Failed to convert JSON into Call protobuf: Missing required fields: \
             executor_id, framework_id",
        );
    };
    if framework != FRAMEWORK {
        return refuse("Framework cannot be found");
    }
    if executor != EXECUTOR {
        return refuse("Executor cannot be found");
    }
    None
}

/// What is wrong with a TaskStatus.
fn refuse_status(status: &Value) -> Option<String> {
    let say = |text: &str| Some(text.to_owned());
    if !status["task_id"]["value"].is_string() || !status["state"].is_string() {
        return say("Missing required fields: task_id, state");
    }
    let Some(uuid) = status["uuid"].as_str() else {
        return say("Expecting 'uuid' to be present");
    };
    if STANDARD.decode(uuid).map(|bytes| bytes.len()).ok() != Some(16) {
        return say("Not a valid UUID");
    }
    if status["source"] != "SOURCE_EXECUTOR" {
        return say("Received an update with invalid source, expecting 'SOURCE_EXECUTOR'");
    }
    if status["state"] == "TASK_STAGING" {
        return say("Received TASK_STAGING from executor which is not allowed");
    }
    let executor = &status["executor_id"]["value"];
    if !executor.is_null() && executor != EXECUTOR {
        return say("ExecutorID in Call does not match ExecutorID in TaskStatus");
    }
    let check = &status["check_status"];
    let member = check["type"].as_str().map(str::to_ascii_lowercase);
    if !check.is_null() && !member.is_some_and(|member| check[member].is_object()) {
        return say("Expecting the member of 'check_status' that its type names");
    }
    None
}

/// The event that opens a stream, as a real agent sends it.
pub fn subscribed(capabilities: &[String]) -> Value {
    let capabilities: Vec<Value> = capabilities.iter().map(|it| json!({"type": it})).collect();
    json!({"type": "SUBSCRIBED", "subscribed": {
        "executor_info": {
            "type": "CUSTOM",
            "executor_id": {"value": EXECUTOR},
            "framework_id": {"value": FRAMEWORK},
            "command": {"shell": true, "value": "exec ucr executor"},
            "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1},
                "allocation_info": {"role": "*"}}],
        },
        "framework_info": {"user": "root", "name": "peer", "id": {"value": FRAMEWORK},
            "failover_timeout": 0.0, "checkpoint": true, "roles": ["*"],
            "capabilities": capabilities},
        "agent_info": {"hostname": "127.0.0.1", "port": 5051, "id": {"value": AGENT}},
        "container_id": {"value": "bf6acac1-2ae5-4535-b684-7bd04dc655b9"},
    }})
}
