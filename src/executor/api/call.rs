//! What the executor says.

use serde::Serialize;
use serde::ser::SerializeStruct;
use serde_json::Value;

use super::Status;
use super::proto::{Bytes, Id};

/// Who says it: stands in every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `framework_id`.
    pub framework: String,
    /// `executor_id`.
    pub executor: String,
}

/// Something that the executor says.
#[derive(Clone, Debug)]
pub enum Call<'a> {
    /// Opens the stream of events.
    Subscribe {
        /// Tasks of which no update was acknowledged, as the agent described them.
        tasks: Vec<&'a Value>,
        /// Updates that were not acknowledged, oldest first.
        updates: Vec<&'a Status>,
    },
    /// A task is in another state.
    Update(&'a Status),
    /// Something between executor and framework.
    Message(&'a [u8]),
    /// Nothing; keeps connections from being forgotten.
    Heartbeat,
}

#[derive(Serialize)]
struct Subscribe<'a> {
    unacknowledged_tasks: &'a [&'a Value],
    unacknowledged_updates: Vec<Update<'a>>,
}

#[derive(Serialize)]
struct Update<'a> {
    status: &'a Status,
}

#[derive(Serialize)]
struct Message<'a> {
    data: &'a Bytes,
}

struct Whole<'a>(&'a Call<'a>, &'a Identity);

impl<'a> Serialize for Whole<'a> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(call, identity) = self;
        let mut out = to.serialize_struct("Call", 4)?;
        out.serialize_field("type", call.kind())?;
        out.serialize_field("framework_id", &Id(identity.framework.clone()))?;
        out.serialize_field("executor_id", &Id(identity.executor.clone()))?;
        match call {
            Call::Subscribe { tasks, updates } => {
                let update = |status: &&'a Status| Update { status };
                out.serialize_field(
                    "subscribe",
                    &Subscribe {
                        unacknowledged_tasks: tasks,
                        unacknowledged_updates: updates.iter().map(update).collect(),
                    },
                )?;
            }
            Call::Update(status) => out.serialize_field("update", &Update { status })?,
            Call::Message(data) => {
                let data = &Bytes(data.to_vec());
                out.serialize_field("message", &Message { data })?;
            }
            Call::Heartbeat => (),
        }
        out.end()
    }
}

impl Call<'_> {
    /// `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Update(_) => "UPDATE",
            Self::Message(_) => "MESSAGE",
            Self::Heartbeat => "HEARTBEAT",
        }
    }

    /// The body of the request.
    pub fn to_json(&self, identity: &Identity) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Whole(self, identity))
    }
}
