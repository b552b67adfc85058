//! `ucr executor` and a fake agent: the cases 61 to 77 of reference/mesos-ucr.md, with real
//! containers.

mod attack;
mod both;
mod checks;
mod connection;
mod ends;
mod failures;
mod groups;
mod soak;
mod sources;

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::life::wait_for;
use crate::supervised::stage::Stage;
use crate::support::fake_agent::{FakeAgent, Options, Update};
use crate::support::process::{Finished, Running};

pub const LIMIT: Duration = Duration::from_secs(60);

/// An executor, its agent, and a ucr that has an image.
pub struct Play<'a> {
    pub stage: &'a Stage,
    pub agent: FakeAgent,
    pub running: Running,
}

impl<'a> Play<'a> {
    pub fn begin(stage: &'a Stage) -> Self {
        Self::with(stage, Options::default(), &[])
    }

    pub fn with(stage: &'a Stage, options: Options, flags: &[&str]) -> Self {
        Self::of(stage, FakeAgent::with(options), flags)
    }

    /// With an agent that was told things before.
    pub fn of(stage: &'a Stage, agent: FakeAgent, flags: &[&str]) -> Self {
        let mut command = stage.cmd(&[&["executor"], flags].concat());
        for (name, value) in agent.environment() {
            command = command.env(&name, value);
        }
        let running = command.spawn();
        Self {
            stage,
            agent,
            running,
        }
    }

    /// The image, as a container of this runtime.
    pub fn container(&self) -> Value {
        match self.stage.is_docker {
            true => json!({"type": "DOCKER", "docker": {"image": self.stage.image}}),
            false => json!({
                "type": "MESOS",
                "mesos": {"image": {"type": "DOCKER", "docker": {"name": self.stage.image}}},
            }),
        }
    }

    /// A task that has a shell read a script; what is said beside it replaces what is there.
    pub fn task(&self, id: &str, script: &str, more: Value) -> Value {
        let mut task = json!({
            "task_id": {"value": id},
            "container": self.container(),
            "data": data(&json!({"value": script})),
        });
        if let Value::Object(more) = more {
            task.as_object_mut().unwrap().extend(more);
        }
        task
    }

    pub fn launch(&self, id: &str, script: &str, more: Value) {
        self.agent.launch(self.task(id, script, more));
    }

    /// The same, and it runs when this returns.
    pub fn launch_running(&self, id: &str, script: &str, more: Value) -> Update {
        self.launch(id, script, more);
        self.agent.wait_for("TASK_RUNNING", id)
    }

    /// Waits until it has printed this.
    pub fn printed(&self, text: &str) {
        let is_there = || self.running.stdout_so_far().contains(text);
        self.running.wait_until(text, LIMIT, is_there);
    }

    /// It ends by itself, and nothing of any task is left.
    pub fn end(self) -> (FakeAgent, Finished) {
        let done = self.running.finish(LIMIT).ok();
        self.stage.assert_nothing();
        (self.agent, done)
    }

    /// The agent ends it.
    pub fn shut_down(self) -> (FakeAgent, Finished) {
        self.agent.shutdown();
        self.end()
    }
}

/// TaskInfo.data of a command.
pub fn data(command: &Value) -> String {
    let document = json!({"ucr": 1, "command": command});
    STANDARD.encode(document.to_string())
}

/// The states of a task, in one word each, separated by spaces.
pub fn states(agent: &FakeAgent, id: &str) -> String {
    let states = agent.states(id).into_iter();
    let states = states.map(|state| state.trim_start_matches("TASK_").to_owned());
    states.collect::<Vec<_>>().join(" ")
}

/// The environment that a process was started with.
pub fn environ(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

/// Processes below this one, at any depth.
pub fn descendants(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    let children = text.split_whitespace().filter_map(|it| it.parse().ok());
    children
        .flat_map(|child: i32| [vec![child], descendants(child)].concat())
        .collect()
}

/// Waits until a task is over and the agent knows.
pub fn over(agent: &FakeAgent, id: &str) -> Update {
    let ends = ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR"];
    let find = || {
        let mut all = agent.updates(id).into_iter();
        all.rfind(|it| ends.contains(&it.state.as_str()))
    };
    wait_for("the end of a task", || find().is_some());
    find().unwrap()
}
