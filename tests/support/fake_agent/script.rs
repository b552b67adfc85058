//! What the agent says, and what it does wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::ledger::{self, AGENT};
use super::{Acknowledge, FakeAgent, wire};

impl FakeAgent {
    /// Any event, now or when the executor subscribes.
    pub fn event(&self, event: &Value) {
        self.tell(|inner| inner.send(event));
    }

    /// Several at once: with [`Self::split`] of a large number they share a chunk.
    pub fn events(&self, events: &[Value]) {
        self.tell(|inner| events.iter().for_each(|event| inner.send(event)));
    }

    /// LAUNCH. `agent_id`, `name` and `resources` are filled in as far as they are absent.
    pub fn launch(&self, task: Value) {
        let task = self.completed(task);
        self.event(&json!({"type": "LAUNCH", "launch": {"task": task}}));
    }

    /// LAUNCH_GROUP, likewise.
    pub fn launch_group(&self, tasks: Vec<Value>) {
        let tasks: Vec<Value> = tasks.into_iter().map(|task| self.completed(task)).collect();
        self.event(&json!({"type": "LAUNCH_GROUP", "launch_group":
            {"task_group": {"tasks": tasks}}}));
    }

    fn completed(&self, mut task: Value) -> Value {
        let id = task["task_id"]["value"].as_str().unwrap_or_default();
        let id = id.to_owned();
        let scalar = |name: &str, value: f64| {
            json!({"name": name, "type": "SCALAR", "scalar": {"value": value},
                "allocation_info": {"role": "*"}})
        };
        let defaults = [
            ("name", json!(id)),
            ("agent_id", json!({"value": AGENT})),
            (
                "resources",
                json!([scalar("cpus", 0.1), scalar("mem", 64.0)]),
            ),
            (
                "executor",
                ledger::subscribed(&[])["subscribed"]["executor_info"].clone(),
            ),
        ];
        let object = task.as_object_mut().expect("a TaskInfo is an object");
        for (key, value) in defaults {
            object.entry(key).or_insert(value);
        }
        self.tell(|inner| inner.ledger.tasks.insert(id, false));
        task
    }

    /// KILL, with a grace of its own or without.
    pub fn kill(&self, task: &str, grace: Option<Duration>) {
        let mut kill = json!({"task_id": {"value": task}});
        if let Some(grace) = grace {
            let nanos = u64::try_from(grace.as_nanos()).unwrap();
            kill["kill_policy"] = json!({"grace_period": {"nanoseconds": nanos}});
        }
        self.event(&json!({"type": "KILL", "kill": kill}));
    }

    pub fn shutdown(&self) {
        self.event(&json!({"type": "SHUTDOWN"}));
    }

    pub fn error(&self, text: &str) {
        self.event(&json!({"type": "ERROR", "error": {"message": text}}));
    }

    /// MESSAGE; `data` is base64.
    pub fn message(&self, data: &str) {
        self.event(&json!({"type": "MESSAGE", "message": {"data": data}}));
    }

    pub fn heartbeat(&self) {
        self.event(&json!({"type": "HEARTBEAT"}));
    }

    pub fn acknowledge(&self, when: Acknowledge) {
        self.tell(|inner| inner.acknowledge = when);
    }

    /// Acknowledges something out of turn.
    pub fn acknowledge_now(&self, task: &str, uuid: &str) {
        self.event(&json!({"type": "ACKNOWLEDGED", "acknowledged":
            {"task_id": {"value": task}, "uuid": uuid}}));
    }

    /// From now on chunks have so many bytes, whatever is in them.
    pub fn split(&self, bytes: usize) {
        self.tell(|inner| inner.split = Some(bytes));
    }

    /// A record that is no event.
    pub fn garbage(&self) {
        self.record_bytes(b"7\n{\"type\"");
    }

    /// A record without a length.
    pub fn bad_length(&self) {
        self.record_bytes(b"x12\n{}");
    }

    /// Bytes in a chunk, or in several.
    pub fn record_bytes(&self, bytes: &[u8]) {
        self.tell(|inner| inner.push(bytes.to_vec(), Duration::ZERO, false, None));
    }

    /// Bytes in no chunk.
    pub fn raw(&self, bytes: &[u8]) {
        self.tell(|inner| inner.push(bytes.to_vec(), Duration::ZERO, true, None));
    }

    /// The connection of the stream ends, without a last chunk.
    pub fn drop_stream(&self) {
        self.drop_connections(|number, stream| Some(number) == stream);
    }

    /// All other connections end.
    pub fn drop_calls(&self) {
        self.drop_connections(|number, stream| Some(number) != stream);
    }

    /// Ends connections, and waits until their threads have seen that.
    fn drop_connections(&self, which: impl Fn(usize, Option<usize>) -> bool) {
        let dropped: Vec<usize> = self.tell(|inner| {
            let stream = inner.stream;
            let chosen = inner.sockets.iter().filter(|(it, _)| which(*it, stream));
            chosen
                .map(|(number, socket)| {
                    wire::end(socket);
                    *number
                })
                .collect()
        });
        self.wait_until("connections end", |agent| {
            let inner = agent.shared.lock();
            !inner.sockets.iter().any(|(it, _)| dropped.contains(it))
        });
    }

    /// The stream ends with its last chunk; its connection stays.
    pub fn end_politely(&self) {
        self.tell(|inner| inner.ends_politely = inner.stream.is_some());
    }

    /// The next SUBSCRIBEs get this status.
    pub fn answer_subscribe(&self, status: u16, times: usize) {
        self.tell(|inner| inner.subscribe_answers.extend(vec![status; times]));
    }

    /// The next UPDATEs get this status.
    pub fn answer_update(&self, status: u16, times: usize) {
        self.tell(|inner| inner.update_answers.extend(vec![status; times]));
    }

    /// The next request, whatever it is, gets these bytes, and nothing more.
    pub fn answer_raw(&self, bytes: &[u8]) {
        self.tell(|inner| inner.raw_answers.push_back(bytes.to_vec()));
    }

    /// The next requests get no answer.
    pub fn hang(&self, times: usize) {
        self.tell(|inner| inner.hangs = times);
    }

    /// The next connections are closed as soon as they are there.
    pub fn accept_and_close(&self, times: usize) {
        self.tell(|inner| inner.closes = times);
    }

    /// Every answer takes so long.
    pub fn slow(&self, time: Duration) {
        self.tell(|inner| inner.slow = time);
    }
}
