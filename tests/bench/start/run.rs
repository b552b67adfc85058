//! One start, with its time.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::report::Sample;

/// Longer than any start takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Where a command's output goes.
const LOG: &str = "/run/log";

/// Runs a command to its end, which must be code 0; `wall` and `bare` are the same.
pub fn timed(command: &mut Command) -> Sample {
    let log = File::create(LOG).expect("a log");
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("dup"))
        .stderr(log);
    let cpu = cpu();
    let start = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    if !ended(&child) {
        let _ = child.kill();
        panic!("{command:?} still runs after {LIMIT:?}: {}", tail());
    }
    let status = child.wait().expect("wait");
    let wall = start.elapsed().as_secs_f64() * 1e3;
    assert!(status.success(), "{command:?}: {status}: {}", tail());
    let cpu = self::cpu() - cpu;
    reap();
    Sample {
        wall,
        bare: wall,
        cpu,
    }
}

fn ended(child: &Child) -> bool {
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).expect("pidfd_open");
    let limit = Timespec::try_from(LIMIT).expect("a sane duration");
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit)).expect("poll") > 0
}

fn tail() -> String {
    let log = fs::read(LOG).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<_> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Milliseconds of those that were waited for.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    let ms = |time: TimeVal| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3;
    ms(usage.user_time()) + ms(usage.system_time())
}

/// We are PID 1 here, so what loses its parent is ours to wait for.
fn reap() {
    while matches!(
        waitpid(None, Some(WaitPidFlag::WNOHANG)),
        Ok(status) if status != WaitStatus::StillAlive
    ) {}
}
