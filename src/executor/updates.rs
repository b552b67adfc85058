//! What the agent has not acknowledged: the executor never sends it again by itself, only when it
//! subscribes anew (reference/mesos-ucr.md, sections 5.6 and 5.7). Pure.

use serde_json::Value;

use super::api::{Call, Status, Uuid};

/// Tasks and updates that the agent may know nothing of.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    /// Tasks of which no update was acknowledged, oldest first.
    tasks: Vec<(String, Value)>,
    /// Oldest first.
    updates: Vec<Update>,
}

#[derive(Debug)]
struct Update {
    status: Status,
    /// On the stream that is open now, or in the call that is to open it.
    is_sent: bool,
}

impl Unacknowledged {
    /// A task has come.
    pub(super) fn add_task(&mut self, id: String, info: Value) {
        self.tasks.push((id, info));
    }

    /// An update was made, and perhaps sent.
    pub(super) fn add(&mut self, status: Status, is_sent: bool) {
        self.updates.push(Update { status, is_sent });
    }

    /// The agent has an update. Whether it is one of ours that was not acknowledged before.
    pub(super) fn acknowledge(&mut self, task: &str, uuid: Uuid) -> bool {
        let is_it = |it: &Update| it.status.task == task && it.status.uuid == uuid;
        let Some(place) = self.updates.iter().position(is_it) else {
            return false;
        };
        self.updates.remove(place);
        self.tasks.retain(|(id, _)| id != task);
        true
    }

    /// The call that opens a stream and brings everything with it.
    pub(super) fn subscribe(&mut self) -> Call<'_> {
        for update in &mut self.updates {
            update.is_sent = true;
        }
        Call::Subscribe {
            tasks: self.tasks.iter().map(|(_, info)| info).collect(),
            updates: self.updates.iter().map(|it| &it.status).collect(),
        }
    }

    /// What was made since the call that opened the stream; from now on it is sent.
    pub(super) fn unsent(&mut self) -> Vec<Status> {
        let unsent = self.updates.iter_mut().filter(|it| !it.is_sent);
        let sent = unsent.map(|it| {
            it.is_sent = true;
            it.status.clone()
        });
        sent.collect()
    }

    /// Whether the agent knows everything.
    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// Whether it knows everything of a task.
    pub(super) fn is_clear(&self, task: &str) -> bool {
        !self.updates.iter().any(|it| it.status.task == task)
    }
}
