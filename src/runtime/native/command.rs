//! Becoming the command: looked for in the container's own `PATH`, in its own root, and told apart
//! by errno when it cannot be executed.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result};

use super::plan::Plan;
use super::status::Reporter;
use crate::error::{Fault, Kind};
use crate::spec::{Account, with_home};
use crate::sys::mount;
use crate::sys::proc::Proc;
use crate::sys::process::{Words, exec, exec_handle, keep_across_exec};

/// The name under which ucr is the built-in init.
pub const INIT_NAME: &str = "ucr-init";

/// ucr's own program file, which no image may execute: it would run outside code with inside
/// input, and could be written to through `/proc/self/exe` (CVE-2019-5736).
#[derive(Debug)]
pub(super) struct OwnProgram {
    identity: (u64, u64),
    init: Option<OwnedFd>,
}

impl OwnProgram {
    /// Finds it; `for_init` takes a read-only handle along. In the parent, because the program's
    /// mount is none of a new mount namespace's.
    pub(super) fn find(for_init: bool) -> Result<Self> {
        let program = Proc::open().and_then(|proc| proc.own_program());
        let program = program.context("find ucr's own program")?;
        let found = rustix::fs::fstat(&program)?;
        let init = for_init.then(|| mount::read_only_program(program.as_fd()));
        let init = init.transpose().context("prepare the init")?;
        Ok(Self {
            identity: (found.st_dev, found.st_ino),
            init,
        })
    }

    /// Executes the command, or the init that will.
    pub(super) fn become_command(
        &self,
        plan: &Plan,
        account: &Account,
        reporter: &Reporter,
    ) -> Result<Infallible> {
        let env = with_home(&plan.process.env, &account.home);
        let Some(init) = &self.init else {
            return execute(&plan.process.argv, &env, Some(self.identity));
        };
        keep_across_exec(reporter.as_fd())?;
        let channel = reporter.as_fd().as_raw_fd().to_string();
        let own = [INIT_NAME, &channel];
        let argv = own
            .into_iter()
            .chain(plan.process.argv.iter().map(String::as_str));
        exec_handle(init.as_fd(), &Words::new(argv)?, &Words::new(&env)?)
            .context("execute the built-in init")
    }
}

/// Executes `argv` with `env`, looking for it in the `PATH` of `env`. Fails with
/// [`Kind::NoCommand`] or [`Kind::NotExecutable`].
pub(super) fn execute(
    argv: &[String],
    env: &[String],
    forbidden: Option<(u64, u64)>,
) -> Result<Infallible> {
    let (args, variables) = (Words::new(argv)?, Words::new(env)?);
    let name = argv.first().map_or("", String::as_str);
    let mut denied = None;
    for path in candidates(name, env) {
        if is_forbidden(&path, forbidden) {
            let message = format!("'{name}' is ucr itself");
            return Err(Fault::new(Kind::NotExecutable, message).into());
        }
        let Err(error) = exec(&CString::new(path.as_str())?, &args, &variables);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) if fs::symlink_metadata(&path).is_err() => (),
            Some(libc::ENOENT) => return Err(no_interpreter(&path).into()),
            // Like a shell: another directory may have one that can be executed.
            Some(libc::EACCES) if !name.contains('/') => denied = Some((path, error)),
            _ => return Err(not_executable(&path, &error).into()),
        }
    }
    match denied {
        Some((path, error)) => Err(not_executable(&path, &error).into()),
        None => Err(not_found(name).into()),
    }
}

fn candidates(name: &str, env: &[String]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let path = env
        .iter()
        .find_map(|variable| variable.strip_prefix("PATH="))
        .unwrap_or_default();
    let directories = path
        .split(':')
        .map(|directory| if directory.is_empty() { "." } else { directory });
    directories
        .map(|directory| format!("{directory}/{name}"))
        .collect()
}

fn is_forbidden(path: &str, forbidden: Option<(u64, u64)>) -> bool {
    let found = fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    forbidden.is_some() && found.ok() == forbidden
}

fn not_found(name: &str) -> Fault {
    let place = if name.contains('/') {
        "the image"
    } else {
        "the container's PATH"
    };
    Fault::new(
        Kind::NoCommand,
        format!("command '{name}' is not in {place}"),
    )
}

/// The file is there, but what it needs to start is not.
fn no_interpreter(path: &str) -> Fault {
    let fault = match interpreter(path) {
        Some(interpreter) => {
            format!("command '{path}' needs '{interpreter}', which is not in the image")
        }
        None => format!("command '{path}' needs a dynamic loader that is not in the image"),
    };
    Fault::new(Kind::NoCommand, fault)
}

fn interpreter(path: &str) -> Option<String> {
    let mut head = Vec::new();
    File::open(path)
        .ok()?
        .take(256)
        .read_to_end(&mut head)
        .ok()?;
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().next().map(str::to_owned)
}

fn not_executable(path: &str, error: &io::Error) -> Fault {
    let why = match error.raw_os_error() {
        Some(libc::ENOEXEC) => {
            "it is no program for this machine, nor a script with '#!'".to_owned()
        }
        Some(libc::EACCES) if fs::metadata(path).is_ok_and(|found| found.is_dir()) => {
            "it is a directory".to_owned()
        }
        _ => error.to_string(),
    };
    Fault::new(
        Kind::NotExecutable,
        format!("command '{path}' cannot be executed: {why}"),
    )
}
