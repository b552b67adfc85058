//! Programs of the host that CDI files want run on a finished root filesystem: `createContainer`
//! hooks of the OCI runtime specification, which NVIDIA's files use to make links to libraries.
//!
//! They run as root of the host, in the container's namespaces and cgroups, before the root is
//! entered and before anything of the image has run, so that nobody in the container can race them
//! (CVE-2024-0132). Their environment is fixed but for what the CDI file says: no word of the image
//! gets into it (CVE-2025-23266, a library of the image in `LD_PRELOAD`). Their working directory
//! is the container's private one, with a `config.json` that names the root and nothing else.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, Mode, memfd_create};
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr};
use serde_json::json;

use super::cdi::Hook;
use super::stage::Stage;
use crate::error::{Fault, Kind};
use crate::sys::process::{
    Child, Exit, Namespaces, Words, close_all_but, die_with_parent, exec, spawn,
};
use crate::sys::signal;

/// The runtime specification whose words are used.
const OCI_VERSION: &str = "1.2.0";

/// Where they find other programs, whatever ucr's own environment says.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs them one after the other; one that fails is the last.
pub(super) fn run(stage: &Stage) -> Result<()> {
    let hooks = &stage.plan.hooks;
    if hooks.is_empty() {
        return Ok(());
    }
    let directory = stage.basis.directory.path();
    describe(directory, stage.plan.read_only)?;
    let state = json!({
        "ociVersion": OCI_VERSION,
        "id": directory.file_name().map(|name| name.to_string_lossy()),
        "status": "creating",
        // As seen from where the hook runs.
        "pid": rustix::process::getpid().as_raw_nonzero().get(),
        "bundle": directory,
    });
    let state = serde_json::to_vec(&state)?;
    for hook in hooks {
        run_one(hook, directory, &state)
            .with_context(|| format!("device '{}': hook {}", hook.device, hook.path.display()))?;
    }
    Ok(())
}

fn describe(directory: &Path, read_only: bool) -> Result<()> {
    let root = json!({ "path": directory.join("rootfs"), "readonly": read_only });
    let config = json!({ "ociVersion": OCI_VERSION, "root": root });
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(directory.join("config.json"))?;
    Ok(file.write_all(&serde_json::to_vec(&config)?)?)
}

fn run_one(hook: &Hook, directory: &Path, state: &[u8]) -> Result<()> {
    let metadata = fs::metadata(&hook.path)?;
    if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
        return Err(Fault::new(Kind::Spec, "it is not a program").into());
    }
    let mut input = File::from(memfd_create("state", MemfdFlags::CLOEXEC)?);
    input.write_all(state)?;
    input.rewind()?;
    let child = spawn(Namespaces::default(), || {
        match become_hook(hook, directory, &input) {
            Ok(never) => match never {},
            // As shells have it for a program that cannot be executed.
            Err(_) => 126,
        }
    })?;
    match wait(&child, hook.timeout_seconds)? {
        Some(Exit::Code(0)) => Ok(()),
        Some(Exit::Code(code)) => fail(format!("it ended with code {code}")),
        Some(Exit::Signal(number)) => fail(format!("signal {number} killed it")),
        None => fail("it took too long and was killed".to_owned()),
    }
}

fn fail(why: String) -> Result<()> {
    Err(Fault::new(Kind::Spec, why)
        .hint("what it says itself is above")
        .into())
}

fn become_hook(hook: &Hook, directory: &Path, input: &File) -> Result<std::convert::Infallible> {
    die_with_parent()?;
    dup2_stdin(input.as_fd())?;
    // Its words are for whoever runs ucr; standard output is the command's.
    dup2_stdout(stderr())?;
    close_all_but(std::iter::empty())?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::chdir(directory)?;
    signal::reset()?;
    let path = hook.path.as_os_str().as_bytes();
    let args = match hook.args.is_empty() {
        true => Words::new([path])?,
        false => Words::new(&hook.args)?,
    };
    let env = std::iter::once(PATH).chain(hook.env.iter().map(String::as_str));
    Ok(exec(&CString::new(path)?, &args, &Words::new(env)?)?)
}

/// The specification sets no limit where the file has none.
fn wait(child: &Child, seconds: Option<u32>) -> Result<Option<Exit>> {
    if let Some(seconds) = seconds {
        let limit = Timespec::try_from(Duration::from_secs(seconds.into()))?;
        let mut handle = [PollFd::from_borrowed_fd(child.handle(), PollFlags::IN)];
        if poll(&mut handle, Some(&limit))? == 0 {
            child.signal(libc::SIGKILL)?;
            child.wait()?;
            return Ok(None);
        }
    }
    Ok(Some(child.wait()?))
}
