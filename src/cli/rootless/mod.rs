//! Running without root: before a command works with images or containers it moves into a user
//! namespace in which its user is root, so that all that follows is the same code.
//!
//! ```text
//! subordinate IDs, newuidmap    0 is the user, 1 and up are theirs from /etc/subuid and /etc/subgid
//! else                          0 is the user, and there is nobody else
//! ```
//!
//! The process itself moves: a child that stays behind runs newuidmap and newgidmap on it and ends,
//! so no other process is left around. It must have one thread. What has to be done as the user
//! that owns the namespaces of other invocations, such as ending what they left, comes before.

mod refusal;
mod subordinate;

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::process::{getgid, getuid};

use super::context::Context;
use super::environment;
use crate::error::render;
use crate::runtime::Started;
use crate::sys::proc::Proc;
use crate::sys::process::{
    Namespaces, become_dumpable, become_undumpable, die_with_parent, has_no_new_privileges, spawn,
};
use crate::sys::users;
use refusal::refusal;
use subordinate::{Account, Subordinate};

/// In which user namespace a command of an ordinary user works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// The machine's: it needs nothing that only root can, or has to be where the namespaces of
    /// other invocations can be reached from.
    Machine,
    /// One of its own.
    Own,
    /// That of the ucr that a process belongs to.
    Of(i32),
}

impl Users {
    /// Where the ucr of a container works, if that runs; else a command about it has its own.
    pub(super) fn of_container(context: &Context, name: &str) -> Result<Self> {
        let container = context.state()?.find(&context.store()?, name)?;
        let proc = Proc::open()?;
        // What has its number by now may be anybody's; then it is not running, which is said later.
        let is_it =
            |it: &Started| it.start_time.is_some() && proc.start_time(it.pid) == it.start_time;
        let started = container.process().filter(is_it);
        Ok(started.map_or(Self::Own, |started| Self::Of(started.pid)))
    }
}

/// Moves there. Returns why the user is alone there, if so, and what would help.
pub(super) fn enter(users: Users) -> Result<Option<String>> {
    match users {
        Users::Machine => Ok(None),
        Users::Own => enter_own(),
        Users::Of(pid) => {
            users::enter_user_namespace_of(pid)
                .with_context(|| format!("join the user namespace of process {pid}"))?;
            Ok(None)
        }
    }
}

fn enter_own() -> Result<Option<String>> {
    let choice = Choice::find()?;
    // What is newuidmap's to map must show its user as its owner in /proc.
    become_dumpable()?;
    let moved = match &choice {
        Choice::Many(maps) => move_with_help(maps),
        Choice::Alone(_) => move_alone(),
    };
    become_undumpable()?;
    moved?;
    Ok(match choice {
        Choice::Many(_) => None,
        Choice::Alone(why) => Some(why),
    })
}

/// What the namespace will have.
enum Choice {
    Many(Maps),
    /// Why there is nobody else, and what would help.
    Alone(String),
}

/// What newuidmap and newgidmap are to be run with.
struct Maps {
    programs: [PathBuf; 2],
    ranges: [Vec<users::Range>; 2],
}

impl Choice {
    fn find() -> Result<Self> {
        let account = Account::of(getuid().as_raw());
        let (uids, gids) = (Subordinate::read("uid")?, Subordinate::read("gid")?);
        let ranges = [(uids, getuid().as_raw()), (gids, getgid().as_raw())];
        let mut maps = Vec::new();
        for (ids, own) in ranges {
            match ids.map(&account, own) {
                Some(map) => maps.push(map),
                None => return Ok(Self::Alone(ids.missing(&account))),
            }
        }
        if !account.has_name() {
            let why = "your user ID has no name here (/etc/passwd), which newuidmap wants to know";
            return Ok(Self::Alone(why.to_owned()));
        }
        if has_no_new_privileges() {
            let why = "ucr was started with no_new_privs, so that newuidmap has no effect";
            return Ok(Self::Alone(why.to_owned()));
        }
        let programs = ["newuidmap", "newgidmap"].map(find_program);
        let ([Some(uids), Some(gids)], [uid_map, gid_map]) =
            (programs, <[_; 2]>::try_from(maps).unwrap_or_default())
        else {
            let why = "newuidmap and newgidmap are not installed: apt install uidmap, or \
                       dnf install shadow-utils";
            return Ok(Self::Alone(why.to_owned()));
        };
        Ok(Self::Many(Maps {
            programs: [uids, gids],
            ranges: [uid_map, gid_map],
        }))
    }
}

/// Also where a user's PATH does not lead.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = environment::variable("PATH").unwrap_or_default();
    let directories = path.split(':').chain(["/usr/bin", "/bin", "/usr/sbin"]);
    let directories = directories.filter(|directory| directory.starts_with('/'));
    let mut candidates = directories.map(|directory| PathBuf::from(directory).join(name));
    candidates.find(|candidate| candidate.is_file())
}

fn move_alone() -> Result<()> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let moved = users::leave().and_then(|()| users::map_alone(uid, gid));
    moved.map_err(|error| refusal(&error, &setting).into())
}

/// A child stays where newuidmap has its rights, and runs it on this process.
fn move_with_help(maps: &Maps) -> Result<()> {
    let (wait, mut go) = io::pipe()?;
    let (mut said, say) = io::pipe()?;
    let own = std::process::id();
    let help = || match map_from_outside(own, maps, &wait) {
        Ok(()) => 0,
        Err(error) => {
            report(&say, &render(&error));
            1
        }
    };
    let helper = spawn(Namespaces::default(), help).context("start a helper")?;
    if let Err(error) = users::leave() {
        helper.signal(libc::SIGKILL)?;
        helper.wait()?;
        return Err(refusal(&error, &setting).into());
    }
    go.write_all(&[0])?;
    helper.wait()?;
    // It has ended: with our own copy closed, reading does too.
    drop(say);
    let mut message = String::new();
    said.read_to_string(&mut message)?;
    if users::own_mapping()?.is_some_and(|mapping| mapping.has(0, 0)) {
        return Ok(());
    }
    Err(refusal::not_mapped(&message).into())
}

fn report(mut say: &PipeWriter, message: &str) {
    // If nobody reads it, nobody needs it.
    let _ = say.write_all(message.as_bytes());
}

fn map_from_outside(pid: u32, maps: &Maps, mut wait: &PipeReader) -> Result<()> {
    die_with_parent()?;
    wait.read_exact(&mut [0])?;
    for (program, ranges) in maps.programs.iter().zip(&maps.ranges) {
        let mut command = Command::new(program);
        command.arg(pid.to_string());
        for (inside, outside, count) in ranges {
            command.args([inside, outside, count].map(u32::to_string));
        }
        let name = program.display();
        let done = command.output().with_context(|| name.to_string())?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!("{name}: {}", said.trim());
        }
    }
    Ok(())
}

/// A setting of the kernel's.
fn setting(name: &str) -> Option<String> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}
