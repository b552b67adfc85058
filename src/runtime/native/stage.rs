//! The container's first process between clone and exec: pid 1 of its namespaces, root of the
//! host, single-threaded, a copy of its parent. It builds the root filesystem while the host is
//! still visible, moves into it, gives up what the command must not have, and becomes the command.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Error, Result};

use super::apparmor;
use super::copies;
use super::ground::Ground;
use super::handles::{Basis, Handles};
use super::hook;
use super::network::join;
use super::own_file::LateFiles;
use super::plan::{Bridged, Plan};
use super::privileges::give_up_privileges;
use super::rootfs::{self, Rootfs};
use super::status::Reporter;
use super::streams::give_pipes;
use crate::error::{Fault, Kind};
use crate::exit;
use crate::spec::{Account, with_home};
use crate::sys::proc::Proc;
use crate::sys::root::is_empty;
use crate::sys::tty::Size;
use crate::sys::{mount, network, process, signal, tty};

/// Nothing but refusing writes.
pub(super) const READ_ONLY: mount::Restrict = mount::Restrict {
    read_only: true,
    no_suid: false,
    no_exec: false,
    no_dev: false,
};

/// All that the stage needs to know.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) plan: &'a Plan,
    pub(super) basis: Basis<'a>,
    pub(super) handles: Handles,
    /// What holds locks of the parent, which are not to outlive it here.
    pub(super) locks: Vec<BorrowedFd<'a>>,
    /// The size of its terminal, if it has one.
    pub(super) size: Option<Size>,
    /// The network of another container.
    pub(super) network: Option<&'a OwnedFd>,
    /// Where the parent writes ucr's own files, if plugins give the container its addresses.
    pub(super) late: Option<&'a LateFiles>,
}

impl Stage<'_> {
    /// Becomes the command; returns an exit code only if that fails, after reporting why.
    pub(super) fn run(self, reporter: &Reporter) -> u8 {
        // Its handles may be closed already, and this process only ends.
        let stage = ManuallyDrop::new(self);
        let error = match stage.enter(reporter) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        reporter.failed(&error);
        exit::FAULT
    }

    fn enter(&self, reporter: &Reporter) -> Result<std::convert::Infallible> {
        // Until the first change of credentials, which undoes it.
        process::die_with_parent()?;
        self.locks
            .iter()
            .for_each(|lock| process::close_copy(*lock));
        rustix::process::setsid()?;
        process::leave_session_keyring();
        // What follows is counted and limited.
        self.basis.cgroups.attach_self()?;
        if self.plan.namespaces.cgroup {
            process::leave_cgroup_namespace().context("make a cgroup namespace")?;
        }
        self.handles.joined.enter()?;
        mount::make_all_private().context("cut the mount namespace off")?;
        let is_carried = |bridged: &Bridged| bridged.way_out.is_some();
        if self.plan.users.is_some() || self.plan.bridged.as_ref().is_some_and(is_carried) {
            reporter.wait_for_users()?;
        }
        // Before the filesystem of devices is made, which shows those of the network.
        if let Some(other) = self.network {
            join(other).context("join the network of a container")?;
        }
        let rootfs = rootfs::build(self, reporter)?;
        // While no label is set, no filter loaded and no privilege given up.
        hook::run(self)?;
        let account = rootfs.account.clone();
        let ground = Ground::new(&rootfs.root, self.plan);
        make_working_directory(&ground, &self.plan.process.working_dir, &account)?;
        self.connect_streams(&rootfs, &account, reporter)?;
        if self.plan.read_only {
            mount::restrict(rootfs.root.as_fd(), READ_ONLY, false)
                .context("write-protect the root filesystem")?;
        }
        mount::enter_root(rootfs.root.as_fd()).context("enter the root filesystem")?;
        drop(rootfs);
        // Whatever ucr's caller left open for it, such as a directory of the host, must be gone
        // before a path of the image is looked up (CVE-2024-21626).
        let needed = [Some(reporter.as_fd()), self.handles.own.descriptor()];
        process::close_all_but(needed.into_iter().flatten())?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        enter_working_directory(&self.plan.process.working_dir)?;
        for limit in &self.plan.ulimits {
            limit.set()?;
        }
        give_up_privileges(self.plan, &account, self.handles.own.descriptor().is_some())?;
        signal::reset()?;
        // After the last change of credentials, which would undo it.
        process::die_with_parent()?;
        reporter.wait_for_start()?;
        let env = with_home(&self.plan.process.env, &account.home);
        let env = self.handles.secrets.extend(&env);
        self.handles.own.become_command(self.plan, &env, reporter)
    }

    /// What is set through the kernel's own files and calls, while we may. `proc` is a handle of
    /// ucr's own, whatever a path leads to (CVE-2025-52881).
    pub(super) fn set_up_kernel(&self, proc: &Proc) -> Result<()> {
        if let Some(name) = &self.plan.hostname {
            rustix::system::sethostname(name.as_bytes()).context("host name")?;
        }
        if self.plan.namespaces.network {
            network::loopback_up().context("loopback device")?;
        }
        // Else it is for ucr's own program inside to hand on.
        let is_next = self.handles.own.descriptor().is_none();
        if let Some(profile) = self.plan.confinement.apparmor.as_ref().filter(|_| is_next) {
            apparmor::confine_next(profile)?;
        }
        for (path, value) in &self.plan.sysctls {
            proc.write(&format!("sys/{path}"), value)
                .with_context(|| path.clone())?;
        }
        Ok(())
    }

    fn connect_streams(
        &self,
        rootfs: &Rootfs,
        account: &Account,
        reporter: &Reporter,
    ) -> Result<()> {
        if !self.plan.tty {
            self.handles.stdin.connect(rootfs.null.as_fd())?;
            copies::connect(&self.handles.streams)?;
            return give_pipes(account.uid, self.plan.mapping.is_some());
        }
        let pair = tty::open_pair(rootfs.devpts.as_fd()).context("open a terminal")?;
        self.size.unwrap_or(Size::USUAL).apply(&pair.slave);
        rootfs.show_console(pair.slave.as_fd())?;
        tty::become_own(pair.slave.as_fd(), account.uid).context("take the terminal")?;
        reporter.hand_over(pair.master.as_fd())
    }
}

/// A missing working directory is made, as Docker does, and belongs to the user. All inside the
/// root filesystem, whatever links the image has (GHSA-q6r4-3wmg-fwcq).
fn make_working_directory(ground: &Ground, path: &str, account: &Account) -> Result<()> {
    use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat};
    let path = Path::new(path);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let what = || format!("working directory '{}'", path.display());
    match ground.root.resolve(path, flags, Mode::empty()) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
        Err(error) => return Err(error).with_context(what),
    }
    let made = ground.directory(path, 0o755).with_context(what)?;
    // Who shares a volume may have put a directory of another in its place, which stays its owner's.
    if !is_empty(made.as_fd()).with_context(what)? {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    chownat(made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
        .map_err(std::io::Error::from)
        .with_context(what)
}

/// Enters it and makes sure that it is inside: a leaked handle of the host's would show here
/// (CVE-2024-21626).
pub(super) fn enter_working_directory(path: &str) -> Result<()> {
    let what = || format!("working directory '{path}'");
    rustix::process::chdir(path)
        .map_err(std::io::Error::from)
        .with_context(what)?;
    match rustix::process::getcwd(Vec::new()) {
        Ok(inside) if inside.to_bytes().starts_with(b"/") => Ok(()),
        _ => Err(Error::new(Fault::new(Kind::Spec, "it is outside the container")).context(what())),
    }
}
