//! Events and calls of Mesos's v1 executor API as JSON (reference/mesos-ucr.md, sections 5.4 and
//! 5.5, reference/mesos-live.md, section 2). Pure.
//!
//! JSON as protobuf has it: bytes are base64, enumerations are names, whole numbers of 64 bits may
//! be text, and what is not known is ignored, as newer agents say more.

mod call;
mod event;
mod proto;
mod status;
#[cfg(test)]
mod tests;

pub use call::{Call, Identity};
pub use event::{Event, Subscribed, TASK_KILLING_STATE, Task};
pub use proto::{Uuid, is_id};
pub use status::{CheckStatus, Reason, State, Status};
