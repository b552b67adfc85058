//! Signals: blocked and read from a descriptor in the process that watches, reset in the one that
//! executes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Requests to end.
const ENDS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// All signals, read one by one instead of interrupting.
#[derive(Debug)]
pub struct Inbox {
    descriptor: SignalFd,
    ends: SignalFd,
}

impl Inbox {
    /// Blocks every signal that can be blocked and opens the descriptor.
    pub fn open() -> io::Result<Self> {
        let mut all = every_signal();
        // Faults of our own must still kill us.
        for fault in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGILL,
            Signal::SIGFPE,
            Signal::SIGABRT,
        ] {
            all.remove(fault);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let mut ends = SigSet::empty();
        ENDS.iter().for_each(|signal| ends.add(*signal));
        Ok(Self {
            descriptor: SignalFd::with_flags(&all, flags)?,
            ends: SignalFd::with_flags(&ends, flags)?,
        })
    }

    /// Is readable while a request to end waits, which [`Self::next`] takes.
    pub fn ends(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }

    /// The next signal's number, if one is waiting.
    pub fn next(&self) -> io::Result<Option<i32>> {
        Ok(self.next_from()?.map(|(number, _)| number))
    }

    /// The same, and whether a process sent it: what a terminal sends, all of its processes get.
    pub fn next_from(&self) -> io::Result<Option<(i32, bool)>> {
        let Some(info) = self.descriptor.read_signal()? else {
            return Ok(None);
        };
        let is_sent = info.ssi_code != libc::SI_KERNEL;
        Ok(i32::try_from(info.ssi_signo)
            .ok()
            .map(|number| (number, is_sent)))
    }
}

/// Requests to end, held back while this lives. One that came acts when it is dropped.
#[derive(Debug)]
pub struct HeldEnds {
    descriptor: SignalFd,
    before: SigSet,
}

impl HeldEnds {
    /// Begins to hold them back.
    pub fn hold() -> io::Result<Self> {
        let mut ends = SigSet::empty();
        ENDS.iter().for_each(|signal| ends.add(*signal));
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&ends, flags)?;
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ends), Some(&mut before))?;
        Ok(Self { descriptor, before })
    }
}

impl AsFd for HeldEnds {
    /// Is readable when one came.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for HeldEnds {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// All that the kernel has: the C library leaves out those that it uses between threads, of which
/// we have one. What musl keeps as its third is the first real-time signal of everybody else.
fn every_signal() -> SigSet {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to one set, which may be written to.
    unsafe { set.as_mut_ptr().write_bytes(0xff, 1) };
    // SAFETY: a set is nothing but bits, for which all ones are a valid value.
    let set = unsafe { set.assume_init() };
    // SAFETY: the bits of numbers that no signal has are ignored by the kernel.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Inbox {
    fn as_raw_fd(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }
}

/// Lets every signal through again, in a copy of a process that reads them from its [`Inbox`].
pub fn unblock() -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// Gives a process that is about to exec the state a program expects: no handler, nothing ignored
/// (Rust's runtime ignores SIGPIPE), nothing blocked.
pub fn reset() -> io::Result<()> {
    for number in Signal::iterator() {
        if matches!(number, Signal::SIGKILL | Signal::SIGSTOP) {
            continue;
        }
        // SAFETY: the default disposition runs no code of ours.
        unsafe { signal(number, SigHandler::SigDfl) }?;
    }
    reset_realtime()?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// Real-time signals may have been ignored by whoever started us; glibc's posix_spawn does that to
/// two of its own. C libraries refuse to touch theirs, so the kernel is asked.
fn reset_realtime() -> io::Result<()> {
    const FIRST: i64 = 32;
    const LAST: i64 = 64;
    /// `struct sigaction` of the kernel, whatever the order of its fields: SIG_DFL and no flags.
    const DEFAULT: [u64; 4] = [0; 4];
    const SET_SIZE: usize = 8;
    let nothing = std::ptr::null_mut::<u64>();
    for number in FIRST..=LAST {
        let new = DEFAULT.as_ptr();
        // SAFETY: the kernel reads as much as is there; the default runs no code of ours.
        if unsafe { libc::syscall(libc::SYS_rt_sigaction, number, new, nothing, SET_SIZE) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether a signal that ucr gets is meant for the container: all but those about ucr itself and
/// its place in a shell's jobs.
pub fn is_forwarded(number: i32) -> bool {
    let own = [libc::SIGCHLD, libc::SIGPIPE, libc::SIGURG, libc::SIGCONT];
    !own.contains(&number) && !is_job_control(number)
}

/// Whether a signal asks us to stop until a shell lets us go on.
pub fn is_job_control(number: i32) -> bool {
    matches!(number, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
}

/// Stops this process, as the default action of job control would.
pub fn stop_ourselves() -> io::Result<()> {
    Ok(nix::sys::signal::raise(Signal::SIGSTOP)?)
}

/// Sends a signal by number, real-time ones included.
pub fn send(process: rustix::process::Pid, number: i32) -> io::Result<()> {
    // SAFETY: kill takes two integers.
    match unsafe { libc::kill(process.as_raw_nonzero().get(), number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
