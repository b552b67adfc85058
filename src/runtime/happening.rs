//! What happens to a container, for whoever started it.

use super::HealthStatus;

/// What a note begins with that tells of a limit which was asked for and is missing.
pub const IGNORED: &str = "ignored: ";

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// Something for the curious.
    Note(&'a str),
    /// It has an ID, and is about to be started.
    Created {
        /// Its ID.
        id: &'a str,
    },
    /// Its command is executed.
    Started {
        /// Its ID.
        id: &'a str,
        /// Its first process as the host sees it.
        pid: i32,
    },
    /// Its health is another than it was.
    Health {
        /// Its ID.
        id: &'a str,
        /// What the checks say.
        status: HealthStatus,
    },
}
