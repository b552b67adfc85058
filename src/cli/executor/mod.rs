//! `ucr executor`: what a Mesos agent starts so that its tasks run under ucr.

#[expect(dead_code, reason = "the executor that starts it is being written")]
mod warden;
