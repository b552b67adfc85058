//! Checks of a running task as Marathon and Mesos mean them: health checks, which may kill it,
//! readiness checks, and the generic check, which only tells.
//!
//! `plan` says what is checked, `probe` finds out once, in a process of its own, `verdict` says what
//! that means, `tally` counts, and `watch` does all of it in time. Of what is not asked for nothing is started: without
//! checks there is no [`Watch`].

mod plan;
mod probe;
mod tally;
mod verdict;
mod watch;

pub use plan::{
    Check, Command, Family, Http, IpVersion, KillRule, Pace, Patience, Place, Probe, Question,
    Role, Scheme, Subject, Target, Timing,
};
pub use probe::RunCommand;
pub use tally::{Standing, State, overall};
pub use verdict::Report;
pub use watch::{Event, Task, Watch};
