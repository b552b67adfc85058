//! Another command in a running container: in its namespaces and cgroups, with no more rights than
//! its own command has.
//!
//! The container may be hostile and sees this process come, so nothing of the host is left in it
//! when it enters: no descriptor, no directory (CVE-2024-21626), and what opens the command there is
//! a read-only copy of ucr (CVE-2019-5736) that nobody can look into.

use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::cgroup;
use super::command::OwnProgram;
use super::console::{Console, Owner};
use super::copies::{self, Inside};
use super::join::{Identity, has_own_root, own_root, still_starting};
use super::monitor::{Io, Monitor};
use super::privileges::give_up_privileges;
use super::stage::enter_working_directory;
use super::status::{self, Listener, Reporter};
use super::streams::{Stdin, give_pipes};
use super::{HostFacts, Plan, plan};
use crate::bundle::account;
use crate::error::{Fault, Kind};
use crate::exit;
use crate::image::ImageConfig;
use crate::runtime::{Container, ContainerRecord};
use crate::spec::{Account, ContainerSpec, Endpoint, Naming, Process, Sharing, with_home};
use crate::sys::namespace::Others;
use crate::sys::proc::Proc;
use crate::sys::process::{self, Child, Exit, Namespaces, spawn};
use crate::sys::root::Root;
use crate::sys::tty::Size;
use crate::sys::{mount, signal, tty};

/// What is to be executed, and how it differs from the container's own command.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<String>,
    /// Replaces its user.
    pub user: Option<String>,
    /// Replaces its working directory.
    pub working_dir: Option<String>,
    /// Lift the isolation as for a privileged container.
    pub privileged: bool,
    /// Give it a terminal of its own.
    pub tty: bool,
    /// Our standard input is its.
    pub stdin: bool,
}

/// Whose streams it has.
#[derive(Debug)]
pub enum Streams {
    /// This process's.
    Own,
    /// A console's, with somebody attached or not.
    Console(Option<Owner>, Option<Size>),
}

/// Everything the new process needs.
struct Entry {
    plan: Plan,
    others: Others,
    cgroups: Vec<OwnedFd>,
    own: OwnProgram,
    stdin: Stdin,
    streams: Inside,
    null: OwnedFd,
    size: Option<Size>,
    /// What the root directory is outside.
    host_root: Identity,
}

/// Runs a command in a container to its end. `started` is called when it is executed.
pub fn exec(
    container: &Container,
    command: &Command,
    streams: Streams,
    started: &dyn Fn() -> Result<()>,
) -> Result<Exit> {
    let plan = decide(&container.record, command)?;
    let monitor = Monitor::prepare()?;
    let (console, size) = match streams {
        Streams::Own => (None, None),
        Streams::Console(owner, size) => {
            let mut console = Console::new(command.tty)?;
            owner.map_or(Ok(()), |owner| console.adopt(owner))?;
            (Some(console), size)
        }
    };
    let mut console = console;
    let (inside, copies) = match &mut console {
        _ if command.tty => Default::default(),
        Some(console) => (console.make_pipes(command.stdin)?, Vec::new()),
        None => copies::prepare(&plan)?,
    };
    let (child, listener) = enter(container, plan, inside, size)?;
    let io = Io {
        copies,
        console: console.as_mut(),
        health: None,
        forwarders: Vec::new(),
    };
    let exit = monitor.attend(&child, listener, io, started);
    if exit.is_err() {
        child.signal(libc::SIGKILL)?;
        let _ = child.wait();
    }
    if let Some(mut console) = console {
        console.drain();
        if let Ok(exit) = exit {
            console.close(exit, 0);
        }
    }
    exit
}

/// Starts it: the child is among the container's processes.
pub(super) fn enter(
    container: &Container,
    plan: Plan,
    streams: Inside,
    size: Option<Size>,
) -> Result<(Child, Listener)> {
    let gone = || {
        let message = format!("container {} is not running", container.record.name());
        Fault::new(Kind::NotFound, message)
    };
    let started = container.process().ok_or_else(gone)?;
    let others = Others::of(started.pid, started.start_time)?.ok_or_else(gone)?;
    // Else the command would be executed on the host's root filesystem.
    if !has_own_root(&Proc::open()?, started.pid).map_err(|_| gone())? {
        return Err(still_starting().into());
    }
    let null = openat(
        CWD,
        "/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let entry = Entry {
        own: OwnProgram::relay()?,
        stdin: Stdin::prepare(&plan)?,
        cgroups: cgroup::entrances(&container.record.cgroups)?,
        plan,
        others,
        streams,
        null,
        size,
        host_root: own_root()?,
    };
    entry
        .others
        .join_processes()
        .context("enter the container's processes")?;
    let (listener, reporter) = status::channel()?;
    let child = spawn(Namespaces::default(), move || entry.run(&reporter));
    Ok((child.context("start a process")?, listener))
}

/// The same rules as for the container's own command, on what it became: what its image said is in
/// its record.
pub(super) fn decide(record: &ContainerRecord, command: &Command) -> Result<Plan> {
    let mut security = record.spec.security.clone();
    security.privileged |= command.privileged;
    let spec = ContainerSpec {
        entrypoint: Some(Vec::new()),
        args: command.argv.clone(),
        env: command.env.clone(),
        working_dir: command.working_dir.clone(),
        user: command.user.clone(),
        tty: command.tty,
        stdin: command.stdin,
        init: false,
        security,
        mounts: Vec::new(),
        devices: Vec::new(),
        secrets: Vec::new(),
        sandbox: None,
        health: None,
        // What it is on and whom it shares with was decided, and is entered as it is: whoever else
        // belongs to it may be gone.
        network: None,
        more_networks: Vec::new(),
        endpoint: Endpoint::default(),
        hostname: None,
        naming: Naming::default(),
        sharing: Sharing::default(),
        sysctls: Default::default(),
        ..record.spec.clone()
    };
    let host = HostFacts::read(&spec, &[] as &[PathBuf])?;
    plan(&spec, &became(record.process.clone()), &host, &record.id)
}

/// What the container became, in the form of an image's configuration.
fn became(process: Process) -> ImageConfig {
    ImageConfig {
        cmd: process.argv,
        env: process.env,
        user: process.user,
        working_dir: Some(process.working_dir),
        ..ImageConfig::none()
    }
}

impl Entry {
    /// Becomes the command; returns an exit code only if that fails, after reporting why.
    fn run(self, reporter: &Reporter) -> u8 {
        let entry = ManuallyDrop::new(self);
        let Err(error) = entry.enter(reporter);
        reporter.failed(&error);
        exit::FAULT
    }

    fn enter(&self, reporter: &Reporter) -> Result<Infallible> {
        process::die_with_parent()?;
        rustix::process::setsid()?;
        process::leave_session_keyring();
        for cgroup in &self.cgroups {
            crate::sys::cgroup::write(cgroup.as_fd(), "0")
                .context("enter the container's cgroup")?;
        }
        self.others
            .join()
            .context("enter the container's namespaces")?;
        if own_root()? == self.host_root {
            return Err(still_starting().into());
        }
        let root = Root::open(Path::new("/"))?;
        let plan = &self.plan;
        let account = account(&root, plan.process.user.as_deref(), &plan.groups)?;
        if self.others.have_users() {
            super::rootfs::become_root_inside()?;
        }
        self.connect_streams(&root, &account, reporter)?;
        drop(root);
        let needed = [Some(reporter.as_fd()), self.own.descriptor()];
        process::close_all_but(needed.into_iter().flatten())?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        for limit in &plan.ulimits {
            limit.set()?;
        }
        enter_working_directory(&plan.process.working_dir)?;
        give_up_privileges(plan, &account, self.own.descriptor().is_some())?;
        signal::reset()?;
        // After the last change of credentials, which would undo it.
        process::die_with_parent()?;
        let env = with_home(&plan.process.env, &account.home);
        let env: Vec<Vec<u8>> = env.into_iter().map(String::into_bytes).collect();
        self.own.become_command(plan, &env, reporter)
    }

    fn connect_streams(&self, root: &Root, account: &Account, reporter: &Reporter) -> Result<()> {
        if !self.plan.tty {
            self.stdin.connect(self.null.as_fd())?;
            copies::connect(&self.streams)?;
            // Inside a namespace of users those of the host are nobody's to give.
            let are_mapped = self.others.have_users() || self.plan.mapping.is_some();
            return give_pipes(account.uid, are_mapped);
        }
        // Whatever is at that place: a terminal comes from a devpts or from nowhere.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let devpts = root.resolve(Path::new("dev/pts"), flags, Mode::empty());
        let devpts = devpts.context("open the container's /dev/pts")?;
        if !mount::is_devpts(devpts.as_fd())? {
            return Err(Fault::new(Kind::Spec, "the container's /dev/pts has no terminals").into());
        }
        let pair = tty::open_pair(devpts.as_fd()).context("open a terminal")?;
        self.size.unwrap_or(Size::USUAL).apply(&pair.slave);
        tty::become_own(pair.slave.as_fd(), account.uid).context("take the terminal")?;
        reporter.hand_over(pair.master.as_fd())
    }
}
