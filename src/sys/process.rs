//! Processes: clone3, pidfds, exec, and what a new process must not inherit.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions,
    WaitIdStatus, getrlimit, pidfd_open, set_dumpable_behavior, set_parent_process_death_signal,
    setrlimit, waitid,
};
use rustix::thread::set_no_new_privs;
use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It returned this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
}

impl Exit {
    /// The code a shell would show: the own code, or 128 + the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => signal.saturating_add(128),
        }
    }
}

/// Namespaces that a new process gets for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Mounts.
    pub mount: bool,
    /// Process IDs; the new process is 1.
    pub pid: bool,
    /// System V and POSIX message queues and semaphores.
    pub ipc: bool,
    /// Host name.
    pub uts: bool,
    /// The view of the cgroup tree. Not made by [`spawn`]: it begins where a process is when it
    /// makes it, so one that moves to its cgroup itself calls [`leave_cgroup_namespace`] then.
    pub cgroup: bool,
    /// Network devices, addresses, ports.
    pub network: bool,
    /// Users and groups.
    pub user: bool,
}

impl Namespaces {
    fn flags(self) -> u64 {
        let bits = [
            (self.mount, libc::CLONE_NEWNS),
            (self.pid, libc::CLONE_NEWPID),
            (self.ipc, libc::CLONE_NEWIPC),
            (self.uts, libc::CLONE_NEWUTS),
            (self.network, libc::CLONE_NEWNET),
            (self.user, libc::CLONE_NEWUSER),
        ];
        bits.iter()
            .filter(|(wanted, _)| *wanted)
            .fold(0, |all, (_, bit)| all | bit.cast_unsigned() as u64)
    }

    /// Their names, as in `/proc/PID/ns`.
    pub fn names(self) -> Vec<&'static str> {
        let names = [
            (self.mount, "mnt"),
            (self.pid, "pid"),
            (self.ipc, "ipc"),
            (self.uts, "uts"),
            (self.cgroup, "cgroup"),
            (self.network, "net"),
            (self.user, "user"),
        ];
        let wanted = names.into_iter().filter(|(wanted, _)| *wanted);
        wanted.map(|(_, name)| name).collect()
    }
}

/// Makes the cgroups that this process is in the root of its view.
pub fn leave_cgroup_namespace() -> io::Result<()> {
    // SAFETY: unshare takes flags; this one changes nothing but what /proc and cgroup mounts show.
    match unsafe { libc::unshare(libc::CLONE_NEWCGROUP) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A child process, held by a handle that no other process can take over.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    handle: OwnedFd,
}

impl Child {
    /// Its process ID as the host sees it.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Becomes readable when the process ends.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Sends a signal by number, real-time ones included; a process that is gone is fine.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        signal_by_handle(self.handle.as_fd(), number)
    }

    /// Stops it and waits until it stands still or has ended: from then on it reaps nothing. Fails
    /// after a tenth of a second, where the kernel keeps it busy.
    pub fn halt(&self) -> io::Result<()> {
        const STEP: Duration = Duration::from_millis(1);
        self.signal(libc::SIGSTOP)?;
        let either = WaitIdOptions::STOPPED
            | WaitIdOptions::EXITED
            | WaitIdOptions::NOWAIT
            | WaitIdOptions::NOHANG;
        for _ in 0..100 {
            match waitid(WaitId::PidFd(self.handle.as_fd()), either) {
                Ok(Some(_)) => return Ok(()),
                Ok(None) | Err(rustix::io::Errno::INTR) => std::thread::sleep(STEP),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Waits at most so long for the end; whether it has come. Reaps nothing.
    pub fn has_ended(&self, limit: Duration) -> io::Result<bool> {
        wait_for_handle(self.handle.as_fd(), limit)
    }

    /// Waits for the end and reaps the process.
    pub fn wait(&self) -> io::Result<Exit> {
        loop {
            match waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(exit_of(&status)),
                Ok(None) | Err(rustix::io::Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn signal_by_handle(process: BorrowedFd, number: i32) -> io::Result<()> {
    // SAFETY: the call takes integers and a null pointer for "no further information".
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            number,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match io::Error::last_os_error() {
        _ if result == 0 => Ok(()),
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    let low = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(low(code)),
        (None, Some(signal)) => Exit::Signal(low(signal)),
        (None, None) => Exit::Code(u8::MAX),
    }
}

/// include/uapi/linux/sched.h; not in libc for musl.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Runs `body` in a new process with namespaces of its own. The child is a copy, as after fork, so
/// the caller must be single-threaded; what `body` returns is the child's exit code.
pub fn spawn(namespaces: Namespaces, body: impl FnOnce() -> u8) -> io::Result<Child> {
    spawn_into(namespaces, None, body)
}

/// The same, and the new process is born in a cgroup of version 2 (Linux 5.7): moving it there
/// afterwards would wait for all processors.
pub fn spawn_into(
    namespaces: Namespaces,
    cgroup: Option<BorrowedFd>,
    body: impl FnOnce() -> u8,
) -> io::Result<Child> {
    let mut handle: libc::c_int = -1;
    // SAFETY: clone_args is plain integers, for which all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces.flags() | libc::CLONE_PIDFD.cast_unsigned() as u64;
    args.exit_signal = libc::SIGCHLD.cast_unsigned() as u64;
    args.pidfd = &raw mut handle as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: without CLONE_VM the child gets its own copy of memory and stack, so this is fork;
    // `args` is valid for the size given, and `handle` outlives the call.
    let mut result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    };
    // Engines' filters hide clone3, whose flags they cannot see, inside containers.
    if result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        result = older_clone(&args);
    }
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => leave(body()),
        pid => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| io::Error::other("clone3 returned no process ID"))?;
            // SAFETY: the kernel has just opened this descriptor for us; nobody else owns it.
            let handle = unsafe { OwnedFd::from_raw_fd(handle) };
            Ok(Child { pid, handle })
        }
    }
}

/// The same by the older call, which cannot start a process in a cgroup.
fn older_clone(args: &libc::clone_args) -> libc::c_long {
    if args.flags & CLONE_INTO_CGROUP != 0 {
        return -1;
    }
    let flags = args.flags | args.exit_signal;
    let (same_stack, no_tls) = (0_usize, 0_usize);
    // SAFETY: as for clone3: a fork, with a handle written to where `args` says; the arguments that
    // architectures have in different places are zero.
    unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags,
            same_stack,
            args.pidfd,
            no_tls,
            no_tls,
        )
    }
}

/// Ends the process at once: a copy must not run its parent's exit handlers.
pub fn leave(code: u8) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Whether this process has one thread, as `spawn` and namespace calls need.
pub fn is_single_threaded() -> io::Result<bool> {
    // SAFETY: unshare(CLONE_VM) changes nothing in a process with one thread, and is refused with
    // EINVAL in any other (unshare(2)): a question that needs no /proc.
    match unsafe { libc::unshare(libc::CLONE_VM) } {
        0 => Ok(true),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
            error => Err(error),
        },
    }
}

/// Lets this process open as many files as it ever may: a pull holds a few for each layer, and the
/// usual soft limit of 1024 is for programs that call select(2). Not for a process that becomes a
/// container's, which would inherit it.
pub fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // If it may not be, opening fails in its time, and says so.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Asks the kernel to kill us when our parent dies. Must come after the last change of
/// credentials, which clears it (prctl(2), PR_SET_PDEATHSIG).
pub fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Undoes [`die_with_parent`].
pub fn live_without_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(None)?)
}

/// No program run from here gains privileges by set-user-ID bits or file capabilities.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}

/// Hides our memory and descriptors from other processes of the same user.
pub fn become_undumpable() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Undoes [`become_undumpable`]: a user's process cannot be mapped, nor its namespaces be opened,
/// while its files in `/proc` are root's.
pub fn become_dumpable() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::Dumpable)?)
}

/// Whether no program that this process executes can have more privileges than it has.
pub fn has_no_new_privileges() -> bool {
    rustix::thread::no_new_privs().unwrap_or(false)
}

/// Closes every descriptor above standard error but these (Linux 5.9). What stays is closed by exec.
pub fn close_all_but<'a>(needed: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<()> {
    let mut needed: Vec<u32> = needed.map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    needed.sort_unstable();
    let mut first = 3;
    for keep in needed {
        if keep > first {
            close_range(first, keep - 1)?;
        }
        first = first.max(keep + 1);
    }
    close_range(first, libc::c_uint::MAX)
}

/// Closes what this process has as a copy only: a lock that its parent holds would outlive the
/// parent here. Whoever owns the descriptor in this copied process never uses it again.
pub fn close_copy(fd: BorrowedFd) {
    // SAFETY: it is open, since it is borrowed, and its owner is never dropped: this process
    // executes another program or ends.
    unsafe { libc::close(fd.as_raw_fd()) };
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the call reads no memory. Owners of these descriptors in this copied process never
    // use them again: it executes another program or ends.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Leaves the caller's session keyring, whose keys the container could read, for a new one. With
/// the user's quota of keys used up the old one stays: that is no reason not to start.
pub fn leave_session_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for an anonymous keyring; the call touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, anonymous) };
}

/// A program's arguments or environment in the form exec wants.
#[derive(Debug)]
pub struct Words {
    _words: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Words {
    /// Fails if a word contains a NUL byte.
    pub fn new<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>) -> io::Result<Self> {
        let words: Vec<CString> = words
            .into_iter()
            .map(|word| CString::new(word.as_ref()))
            .collect::<Result<_, _>>()?;
        let null = std::ptr::null();
        let pointers = words
            .iter()
            .map(|word| word.as_ptr())
            .chain([null])
            .collect();
        Ok(Self {
            _words: words,
            pointers,
        })
    }
}

/// Replaces this process by a program; returns only if that fails.
pub fn exec(program: &CStr, args: &Words, env: &Words) -> io::Result<Infallible> {
    // SAFETY: all three are NUL-terminated; the pointer arrays end in null and live in `Words`
    // together with the strings they point to.
    unsafe {
        libc::execve(
            program.as_ptr(),
            args.pointers.as_ptr(),
            env.pointers.as_ptr(),
        )
    };
    Err(io::Error::last_os_error())
}

/// Replaces this process by the program that a handle stands for; returns only if that fails.
pub fn exec_handle(program: BorrowedFd, args: &Words, env: &Words) -> io::Result<Infallible> {
    // SAFETY: as for `exec`; the path is a static empty string, so the handle itself is executed.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            args.pointers.as_ptr(),
            env.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(io::Error::last_os_error())
}

/// Takes over a descriptor whose number was handed to this program on its command line.
pub fn adopt(fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl checks the descriptor itself; only a valid one gets past this line.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the program that started us gave it to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Another descriptor for what somebody else's number stands for.
pub fn copy(fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl checks the descriptor itself.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    match copy {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel has just opened it for us; nobody else owns it.
        copy => Ok(unsafe { OwnedFd::from_raw_fd(copy) }),
    }
}

/// Lets a descriptor survive exec.
pub fn keep_across_exec(fd: BorrowedFd) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?)
}

/// A process that is not our child, held by a handle so that no other that gets its number is
/// meant.
#[derive(Debug)]
pub struct Stranger {
    handle: OwnedFd,
}

impl Stranger {
    /// Holds the process that had this number and started then; `None` if it is gone.
    pub fn hold(pid: i32, start_time: Option<u64>) -> io::Result<Option<Self>> {
        let is_meant = || {
            let proc = super::proc::Proc::open();
            proc.is_ok_and(|proc| start_time.is_some() && proc.start_time(pid) == start_time)
        };
        Self::hold_if(pid, is_meant)
    }

    /// `is_still_meant` is asked once the process is held.
    fn hold_if(pid: i32, is_still_meant: impl FnOnce() -> bool) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(pid) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => Ok(is_still_meant().then_some(Self { handle })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a signal by number, real-time ones included; a process that is gone is fine.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        signal_by_handle(self.handle.as_fd(), number)
    }

    /// Waits until it is gone, at most so long; whether it is.
    pub fn wait(&self, limit: Duration) -> io::Result<bool> {
        wait_for_handle(self.handle.as_fd(), limit)
    }
}

impl From<Stranger> for OwnedFd {
    fn from(stranger: Stranger) -> Self {
        stranger.handle
    }
}

fn wait_for_handle(process: BorrowedFd, limit: Duration) -> io::Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        });
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills a process that is not our child and waits until it is gone, at most for some seconds.
/// `is_still_meant` is asked once the process is held by a handle, so that no other process that
/// got its number meanwhile is hit.
pub fn kill_stranger(pid: i32, is_still_meant: impl FnOnce() -> bool) -> io::Result<()> {
    if let Some(process) = Stranger::hold_if(pid, is_still_meant)? {
        process.signal(libc::SIGKILL)?;
        process.wait(Duration::from_secs(5))?;
    }
    Ok(())
}

/// The program that this command starts is killed when the thread dies that starts it.
pub fn ends_with_us(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: one prctl, which allocates nothing and takes no lock.
    unsafe { command.pre_exec(die_with_parent) };
}
