//! Namespaces of other containers: taken by the parent from their first processes, entered by the
//! stage, or, for processes, by the parent for the moment in which it starts the stage.
//!
//! Whoever is joined sees the stage before it has given anything up. ucr is not dumpable, and a
//! container has no CAP_SYS_PTRACE: it can look at neither its memory nor its descriptors, which
//! are gone with exec (CVE-2016-9962).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, openat};

use super::plan::Plan;
use super::status::{self, Message, Reporter};
use crate::error::{Fault, Kind};
use crate::runtime::{ContainerRecord, Started, State};
use crate::spec::IpcMode;
use crate::store::Store;
use crate::sys::mount;
use crate::sys::namespace::{self, enter};
use crate::sys::proc::Proc;
use crate::sys::process::{Namespaces, die_with_parent, spawn};
use crate::sys::root::Root;

/// How long another container may take to have a root filesystem of its own.
const PATIENCE: Duration = Duration::from_secs(5);

/// include/uapi/linux/magic.h
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Open namespaces of other containers.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Where the first process is started.
    pub(super) pid: Option<OwnedFd>,
    ipc: Option<OwnedFd>,
    /// The other's `/dev/shm`.
    pub(super) shm: Option<OwnedFd>,
}

impl Joined {
    /// Opens those of the plan. Fails with [`Kind::NotFound`] where the other container is not
    /// running, and with [`Kind::Spec`] where it does not share what is to be joined.
    pub(super) fn open(plan: &Plan, state: &State, store: &Store) -> Result<Self> {
        if plan.joins.is_empty() {
            return Ok(Self::default());
        }
        let running = state.running(store)?;
        let proc = Proc::open()?;
        let other = |flag: &str, id: &str| -> Result<Other> {
            let found = running.iter().find(|found| found.record.id == id);
            let found = found.ok_or_else(|| gone(flag, id))?;
            Ok(Other {
                flag: flag.to_owned(),
                record: found.record.clone(),
                process: found.process().ok_or_else(|| gone(flag, id))?,
            })
        };
        let mut joined = Self::default();
        if let Some(id) = &plan.joins.pid {
            joined.pid = Some(other("--pid", id)?.open(&proc, namespace::Kind::Pid)?);
        }
        if let Some(id) = &plan.joins.ipc {
            let other = other("--ipc", id)?;
            other.shares_ipc()?;
            joined.ipc = Some(other.open(&proc, namespace::Kind::Ipc)?);
            joined.shm = Some(other.shared_memory(&proc)?);
        }
        Ok(joined)
    }

    /// Enters those that a process enters itself.
    pub(super) fn enter(&self) -> Result<()> {
        match &self.ipc {
            Some(ipc) => enter(ipc.as_fd(), namespace::Kind::Ipc)
                .context("enter the other container's IPC namespace"),
            None => Ok(()),
        }
    }
}

fn gone(flag: &str, id: &str) -> Fault {
    let message = format!("{flag} container:{id}: no such container is running");
    Fault::new(Kind::NotFound, message).hint("'ucr ps' shows those that are")
}

/// A container to join, and why.
struct Other {
    flag: String,
    record: ContainerRecord,
    process: Started,
}

impl Other {
    /// A namespace of its first process: of no other that got its number since.
    fn open(&self, proc: &Proc, kind: namespace::Kind) -> Result<OwnedFd> {
        let Started {
            pid, start_time, ..
        } = self.process;
        let handle = proc.open_file(&format!("{pid}/ns/{}", kind.name()));
        let is_same = start_time.is_some() && proc.start_time(pid) == start_time;
        match handle {
            Ok(handle) if is_same => Ok(handle),
            Err(error) if is_same => {
                Err(error).with_context(|| format!("{} container:{}", self.flag, self.record.id))
            }
            _ => Err(gone(&self.flag, &self.record.id).into()),
        }
    }

    fn shares_ipc(&self) -> Result<()> {
        match self.record.spec.sharing.ipc {
            Some(IpcMode::Shareable | IpcMode::Host | IpcMode::Container(_)) => Ok(()),
            None | Some(IpcMode::Private | IpcMode::None) => {
                let id = &self.record.id;
                let message =
                    format!("--ipc container:{id}: that container keeps its own to itself");
                Err(Fault::new(Kind::Spec, message)
                    .hint("start that one with --ipc shareable")
                    .into())
            }
        }
    }

    /// Its `/dev/shm`, as a child sees it that joins its mounts: no mount of another mount
    /// namespace can be copied from outside.
    fn shared_memory(&self, proc: &Proc) -> Result<OwnedFd> {
        self.wait_for_root(proc)?;
        let mounts = self.open(proc, namespace::Kind::Mount)?;
        let (ours, theirs) = status::channel()?;
        let child = spawn(Namespaces::default(), move || {
            match take_shared_memory(&mounts, &theirs) {
                Ok(()) => 0,
                Err(error) => {
                    theirs.failed(&error);
                    1
                }
            }
        })?;
        let said = ours.next()?;
        child.wait()?;
        let id = &self.record.id;
        match said {
            Message::Handle(tree) => Ok(tree),
            Message::Failed(error) => {
                Err(error).with_context(|| format!("--ipc container:{id}: its /dev/shm"))
            }
            Message::Closed => anyhow::bail!("internal: what shares memory ended without a word"),
        }
    }

    fn wait_for_root(&self, proc: &Proc) -> Result<()> {
        match has_own_root(proc, self.process.pid)? {
            true => Ok(()),
            false => {
                let id = &self.record.id;
                let message =
                    format!("--ipc container:{id}: that container is still being started");
                Err(Fault::new(Kind::NotFound, message).into())
            }
        }
    }
}

/// Whether a container's first process has a root filesystem of its own: while it is being started
/// it has the host's, which nobody must take for the container's. Waits for it, with patience.
pub(super) fn has_own_root(proc: &Proc, pid: i32) -> Result<bool> {
    let root = |path: &str| identity(proc.open_directory(path)?.as_fd());
    let own = root("self/root")?;
    let deadline = Instant::now() + PATIENCE;
    while root(&format!("{pid}/root"))? == own {
        if Instant::now() > deadline {
            return Ok(false);
        }
        sleep(Duration::from_millis(5));
    }
    Ok(true)
}

/// The root directory of a container's first process, when it has one of its own. Until then it has
/// the host's, which nobody means: fails with [`Kind::NotFound`] if that lasts.
pub(super) fn root_of(proc: &Proc, pid: i32) -> Result<Root> {
    if !has_own_root(proc, pid)? {
        return Err(still_starting().into());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let root = proc.open_as(&format!("{pid}/root"), flags, Mode::empty())?;
    if identity(root.as_fd())? == own_root()? {
        return Err(still_starting().into());
    }
    Ok(Root::from_fd(root))
}

pub(super) fn still_starting() -> Fault {
    Fault::new(Kind::NotFound, "the container is still being started").hint("try again")
}

/// The root directory that this process has: another one after it entered a container's mounts,
/// unless that container still had the host's, or had them on top of its own.
pub(super) fn own_root() -> Result<Identity> {
    identity(Root::open(Path::new("/"))?.as_fd())
}

/// A root directory, and the filesystem of its devices: where the former is the host's own also
/// inside, the latter is not.
pub(super) type Identity = (u64, u64, Option<u64>);

fn identity(directory: BorrowedFd) -> Result<Identity> {
    let found = fstat(directory)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let devices = openat(directory, "dev", flags, Mode::empty()).ok();
    let devices = devices.map(fstat).transpose()?;
    Ok((found.st_dev, found.st_ino, devices.map(|it| it.st_dev)))
}

fn take_shared_memory(mounts: &OwnedFd, reporter: &Reporter) -> Result<()> {
    die_with_parent()?;
    let host = own_root()?;
    enter(mounts.as_fd(), namespace::Kind::Mount)?;
    if own_root()? == host {
        let message = "that container is still being started";
        return Err(Fault::new(Kind::NotFound, message).into());
    }
    let root = Root::open(Path::new("/"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let found = root.resolve(Path::new("/dev/shm"), flags, Mode::empty())?;
    // The type is narrower on some architectures.
    #[allow(clippy::unnecessary_cast, reason = "it is i64 on this one")]
    let kind = fstatfs(&found)?.f_type as i64;
    if kind != TMPFS_MAGIC {
        return Err(Fault::new(Kind::Spec, "it is no memory").into());
    }
    reporter.hand_over(mount::clone_handle(found.as_fd())?.as_fd())
}
