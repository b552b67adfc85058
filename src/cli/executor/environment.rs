//! The agent's variables, which nobody else is to see: a process's first environment can be read
//! in `/proc` for as long as it lives, and is what every program gets that it starts.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use zeroize::Zeroizing;

use crate::executor::environment::{self as variables, Configuration, is_private, is_read};
use crate::sys::process::{adopt, keep_across_exec};

/// Where the variables are, once they are in memory instead.
const HANDED_OVER: &str = "UCR_EXECUTOR_FD";

/// What the agent says, not read yet.
pub(super) struct Variables(OwnedFd);

/// The first time this program starts itself again without them in its environment.
pub(super) fn variables() -> Result<Variables> {
    let own = |name: &str| std::env::var(name).ok();
    let number = own(HANDED_OVER).and_then(|number| number.parse().ok());
    match number.filter(|number| *number > 2) {
        Some(number) => Ok(Variables(adopt(number).context(HANDED_OVER)?)),
        None => {
            // What is wrong with them is said before.
            variables::configuration(&own)?;
            let Err(error) = start_again();
            Err(error.context("start again without the agent's variables"))
        }
    }
}

impl Variables {
    /// Reads and forgets them.
    pub(super) fn configuration(self) -> Result<Configuration> {
        let mut text = Zeroizing::new(Vec::new());
        File::from(self.0).read_to_end(&mut text)?;
        let all: BTreeMap<String, String> = serde_json::from_slice(&text)?;
        let all = all.into_iter();
        let all: BTreeMap<_, _> = all.map(|(name, it)| (name, Zeroizing::new(it))).collect();
        let get = |name: &str| all.get(name).map(|value| value.to_string());
        Ok(variables::configuration(&get)?)
    }
}

fn start_again() -> Result<Infallible> {
    let all = || std::env::vars_os();
    let is = |name: &std::ffi::OsString, what: fn(&str) -> bool| name.to_str().is_some_and(what);
    let others = all().filter(|(name, _)| !is(name, is_private));
    let own = all().filter(|(name, _)| is(name, is_read));
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let own: BTreeMap<String, String> = own.filter_map(text).collect();
    let mut memory = File::from(memfd_create("variables", MemfdFlags::CLOEXEC)?);
    memory.write_all(&Zeroizing::new(serde_json::to_vec(&own)?))?;
    memory.rewind()?;
    keep_across_exec(memory.as_fd())?;
    let mut words = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(words.next().unwrap_or_else(|| "ucr".into()));
    command.args(words).env_clear().envs(others);
    command.env(HANDED_OVER, memory.as_raw_fd().to_string());
    Err(command.exec().into())
}
