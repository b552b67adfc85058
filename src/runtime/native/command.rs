//! Becoming the command: looked for in the container's own `PATH`, in its own root, and told apart
//! by errno when it cannot be executed.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};

use super::plan::Plan;
use super::seccomp::Filter;
use super::status::Reporter;
use crate::error::{Fault, Kind};
use crate::runtime::interpreter::{self, Identity};
use crate::spec::Mount;
use crate::sys::mount;
use crate::sys::proc::Proc;
use crate::sys::process::{Words, exec, exec_handle, keep_across_exec};

/// The name under which ucr runs inside a container.
pub const INSIDE_NAME: &str = "ucr-init";

/// What ucr does inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Be pid 1 and have the command as a child.
    Init,
    /// Execute the command at once: while it is opened, `/proc/self/exe` is a read-only copy.
    Relay,
}

impl Role {
    /// The word for it on ucr's command line inside.
    pub fn name(self) -> &'static str {
        match self {
            Role::Init => "init",
            Role::Relay => "relay",
        }
    }
}

/// ucr's own program file, which nothing in a container may execute from the host's filesystem: it
/// would run with inside input and could be changed through `/proc/self/exe` (CVE-2019-5736).
#[derive(Debug)]
pub(super) struct OwnProgram {
    identity: Identity,
    inside: Option<(Role, OwnedFd)>,
}

impl OwnProgram {
    /// Finds it, and takes a read-only handle along where it is needed inside. In the parent,
    /// because the program's mount is none of a new mount namespace's.
    ///
    /// Without mounts (and directories in place of an image) that others reach nobody can write to the root filesystem before the command
    /// runs, so a look at what would be executed is enough. With them somebody might change it
    /// after the look, so what is executed is opened by the copy; as where the host has programs for
    /// formats of its own (binfmt_misc), which the kernel looks for inside and no look foresees.
    pub(super) fn find(plan: &Plan) -> Result<Self> {
        let program = Proc::open().and_then(|proc| proc.own_program());
        let program = program.context("find ucr's own program")?;
        let mut mounts = plan.mounts.iter();
        let is_reached_by_others = plan.rootfs.is_some() || mounts.any(Mount::is_reached_by_others);
        let role = match (plan.init, is_reached_by_others) {
            (true, _) => Some(Role::Init),
            (false, true) => Some(Role::Relay),
            (false, false) if has_foreign_formats() => Some(Role::Relay),
            (false, false) => None,
        };
        Self::copied(&program, role)
    }

    /// The same, where others reach the root filesystem in any case.
    pub(super) fn relay() -> Result<Self> {
        let program = Proc::open().and_then(|proc| proc.own_program());
        Self::copied(
            &program.context("find ucr's own program")?,
            Some(Role::Relay),
        )
    }

    fn copied(program: &OwnedFd, role: Option<Role>) -> Result<Self> {
        let found = rustix::fs::fstat(program)?;
        let copy = |role| Ok::<_, io::Error>((role, mount::read_only_program(program.as_fd())?));
        let inside = role
            .map(copy)
            .transpose()
            .context("copy ucr's own program")?;
        Ok(Self {
            identity: (found.st_dev, found.st_ino),
            inside,
        })
    }

    /// The descriptor that must stay open until the command is executed.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inside.as_ref().map(|(_, copy)| copy.as_fd())
    }

    /// Executes the command, or the copy of ucr that will.
    pub(super) fn become_command(
        &self,
        plan: &Plan,
        env: &[Vec<u8>],
        reporter: &Reporter,
    ) -> Result<Infallible> {
        // With all privileges it is loaded already.
        let late = plan.confinement.no_new_privileges;
        let filter = plan.filter.as_ref().filter(|_| late);
        let Some((role, copy)) = &self.inside else {
            if let Some(filter) = filter {
                filter.load()?;
            }
            return execute(&plan.process.argv, env, Some(self.identity));
        };
        keep_across_exec(reporter.as_fd())?;
        let channel = reporter.as_fd().as_raw_fd().to_string();
        let filter = filter.map(Filter::to_memory).transpose()?;
        let filter = match &filter {
            Some(memory) => {
                keep_across_exec(memory.as_fd())?;
                memory.as_raw_fd().to_string()
            }
            None => String::new(),
        };
        let label = plan.confinement.apparmor.as_deref().unwrap_or_default();
        let own = [INSIDE_NAME, role.name(), &channel, &filter, label];
        let argv = own
            .into_iter()
            .chain(plan.process.argv.iter().map(String::as_str));
        exec_handle(copy.as_fd(), &Words::new(argv)?, &Words::new(env)?)
            .context("execute ucr inside the container")
    }
}

/// Whether this kernel executes more than scripts and programs.
fn has_foreign_formats() -> bool {
    let names = fs::read_dir("/proc/sys/fs/binfmt_misc");
    let mut names = names.into_iter().flatten().flatten();
    names.any(|entry| entry.file_name() != "register" && entry.file_name() != "status")
}

/// Executes `argv` with `env`, looking for it in the `PATH` of `env`. Fails with
/// [`Kind::NoCommand`] or [`Kind::NotExecutable`].
pub(super) fn execute(
    argv: &[String],
    env: &[Vec<u8>],
    forbidden: Option<Identity>,
) -> Result<Infallible> {
    let (args, variables) = (Words::new(argv)?, Words::new(env)?);
    let name = argv.first().map_or("", String::as_str);
    let mut denied = None;
    for path in candidates(name, env) {
        if forbidden.is_some_and(|own| interpreter::leads_to(Path::new(&path), own)) {
            let message = format!("command '{name}' would execute ucr itself");
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

fn candidates(name: &str, env: &[Vec<u8>]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let path = env
        .iter()
        .find_map(|variable| std::str::from_utf8(variable.strip_prefix(b"PATH=")?).ok())
        .unwrap_or_default();
    let directories = path
        .split(':')
        .map(|directory| if directory.is_empty() { "." } else { directory });
    directories
        .map(|directory| format!("{directory}/{name}"))
        .collect()
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
    let fault = match interpreter::named_by(Path::new(path)).first() {
        Some(interpreter) => {
            let interpreter = interpreter.display();
            format!("command '{path}' needs '{interpreter}', which is not in the image")
        }
        None => format!("command '{path}' needs something that is not in the image"),
    };
    Fault::new(Kind::NoCommand, fault)
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
