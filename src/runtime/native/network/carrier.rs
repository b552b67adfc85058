//! A network for a container of an ordinary user, who may make no devices on the machine: a program
//! that carries what is sent on a device inside by sockets of its own outside. pasta, or else
//! slirp4netns. Whatever carries it, a container has the same addresses, which are known before it
//! starts, and reaches the machine at those that others know it by; its loopback it does not reach.
//!
//! The program is a child of ucr, in ucr's user namespace, and ends with it, however ucr ends. It is
//! told of the container's network by a mount of the namespace on a file: of the two, pasta may not
//! look into another process's `/proc`. Published ports are not its business.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::lease::Addresses;
use super::link::INSIDE;
use crate::error::{Fault, Kind};
use crate::spec::Mac;
use crate::sys::process::{
    Child, Namespaces, Words, close_all_but, die_with_parent, exec, keep_across_exec, spawn,
};
use crate::sys::{mount, signal};

/// How long the program may take until the network is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked for: pasta says that it is ready by writing a file.
const POLL: Duration = Duration::from_millis(1);
/// What both open, and many machines let only root.
const TUN: &str = "/dev/net/tun";
/// What slirp4netns gives, and is not easily talked out of.
const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
/// Beside those of the built-in bridge.
const IP6: Ipv6Addr = Ipv6Addr::new(0xfd75, 0x6372, 0, 1, 0, 0, 0, 0x100);
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd75, 0x6372, 0, 1, 0, 0, 0, 2);

/// How the containers of a user who may make no devices get out of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WayOut {
    /// By which program.
    pub carrier: Carrier,
    /// The machine's address towards others.
    pub host: Option<Ipv4Addr>,
    /// The same of version 6.
    pub host6: Option<Ipv6Addr>,
}

/// A program that can carry a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// Of the package passt.
    Pasta(PathBuf),
    /// Of the package of that name.
    Slirp4netns(PathBuf),
}

impl WayOut {
    /// Finds the better program of those that a `PATH` leads to. Fails with [`Kind::Unsupported`]
    /// where there is none, or neither would work.
    pub fn find(path: &OsStr) -> Result<Self, Fault> {
        let carrier = Carrier::find(path)?;
        let (v4, v6) = (
            Ipv4Addr::new(192, 0, 2, 1),
            Ipv6Addr::from(0x2001_0db8 << 96),
        );
        Ok(Self {
            carrier,
            host: match own_address(v4.into()) {
                Some(IpAddr::V4(address)) => Some(address),
                _ => None,
            },
            host6: match own_address(v6.into()) {
                Some(IpAddr::V6(address)) => Some(address),
                _ => None,
            },
        })
    }

    /// The container's addresses.
    pub(super) fn addresses(&self) -> Addresses {
        let has_v6 = self.host6.is_some() && matches!(self.carrier, Carrier::Pasta(_));
        Addresses {
            ip: IP,
            ip6: has_v6.then_some(IP6),
        }
    }

    /// Connects a network namespace, and returns when it is connected. `directory` is a private one
    /// of the container's. This process must have a single thread.
    pub(super) fn start(
        &self,
        namespace: BorrowedFd,
        directory: &Path,
        mac: Mac,
    ) -> Result<Carried> {
        let what = || format!("network: start {}", self.carrier.program().display());
        let namespace = Mounted::new(namespace, directory).with_context(what)?;
        let carried = match &self.carrier {
            Carrier::Pasta(path) => self.start_pasta(path, namespace, mac),
            Carrier::Slirp4netns(path) => start_slirp(path, namespace, mac),
        };
        carried.with_context(what)
    }

    fn start_pasta(&self, program: &Path, namespace: Mounted, mac: Mac) -> Result<Carried> {
        let ready = namespace.directory.join("pasta.pid");
        let mut words: Vec<OsString> = words_of("pasta --foreground --quiet --stderr --config-net");
        // Nothing of the machine's loopback is seen inside, and no port leads there by itself.
        words.extend(words_of("--no-map-gw --netns-only"));
        words.extend(words_of("-t none -u none -T none -U none"));
        words.extend(words_of(&format!("-I {INSIDE} --ns-mac-addr {mac}")));
        words.extend(words_of(&format!("-a {IP} -n 24 -g {GATEWAY}")));
        match self.addresses().ip6 {
            Some(ip6) => words.extend(words_of(&format!("-a {ip6} -g {GATEWAY6}"))),
            None => words.push("--ipv4-only".into()),
        }
        words.extend(["--pid".into(), ready.clone().into()]);
        words.extend(["--netns".into(), namespace.place.clone().into()]);
        let carried = Carried::start(program, &words, namespace, None, &[])?;
        let is_ready = || fs::metadata(&ready).is_ok_and(|found| found.len() > 0);
        carried.wait_until(&is_ready)?;
        Ok(carried)
    }
}

/// The address of ours that something is sent from which goes there; nothing is sent.
fn own_address(there: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match there {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(there, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

impl Carrier {
    fn find(path: &OsStr) -> Result<Self, Fault> {
        let found = |name: &str| {
            let mut candidates = std::env::split_paths(path).map(|part| part.join(name));
            candidates.find(|candidate| candidate.is_absolute() && candidate.is_file())
        };
        let carrier = match (found("pasta"), found("slirp4netns")) {
            (Some(pasta), _) => Self::Pasta(pasta),
            (None, Some(slirp)) => Self::Slirp4netns(slirp),
            (None, None) => {
                return Err(unsupported("neither pasta nor slirp4netns is installed")
                    .hint("apt install passt, or say --network none or --network host"));
            }
        };
        let tun = OpenOptions::new().read(true).write(true).open(TUN);
        tun.map(|_| carrier)
            .map_err(|error| unsupported(&format!("{TUN}: {error}")).hint(hint_for_tun(&error)))
    }

    /// Whom the container can ask for names, if the program answers itself.
    pub fn name_server(&self) -> Option<IpAddr> {
        match self {
            Self::Pasta(_) => None,
            Self::Slirp4netns(_) => Some(NAME_SERVER.into()),
        }
    }

    /// Where it is.
    pub fn program(&self) -> &Path {
        match self {
            Self::Pasta(path) | Self::Slirp4netns(path) => path,
        }
    }
}

fn start_slirp(program: &Path, namespace: Mounted, mac: Mac) -> Result<Carried> {
    let (ready, say) = io::pipe()?;
    // It ends when the other end is closed, by whatever end of ours.
    let (exit, hold) = io::pipe()?;
    let mut words: Vec<OsString> = words_of("slirp4netns --configure --mtu=65520");
    words.extend(words_of(
        "--disable-host-loopback --enable-sandbox --enable-seccomp --netns-type=path",
    ));
    words.push(format!("--macaddress={mac}").into());
    words.push(format!("--ready-fd={}", say.as_raw_fd()).into());
    words.push(format!("--exit-fd={}", exit.as_raw_fd()).into());
    words.extend([namespace.place.clone().into(), INSIDE.into()]);
    let given = [say.as_fd(), exit.as_fd()];
    let carried = Carried::start(program, &words, namespace, Some(hold), &given)?;
    drop((say, exit));
    carried.wait_for(&ready)?;
    Ok(carried)
}

fn unsupported(why: &str) -> Fault {
    Fault::new(Kind::Unsupported, format!("a network without root: {why}"))
}

fn hint_for_tun(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "as root: modprobe tun; or say --network none or --network host",
        _ => "as root: chmod 666 /dev/net/tun; or say --network none or --network host",
    }
}

fn words_of(text: &str) -> Vec<OsString> {
    text.split(' ').map(Into::into).collect()
}

/// A network namespace under a name in our mount namespace.
#[derive(Debug)]
struct Mounted {
    directory: PathBuf,
    place: PathBuf,
}

impl Mounted {
    fn new(namespace: BorrowedFd, directory: &Path) -> Result<Self> {
        let mounted = Self {
            directory: directory.to_owned(),
            place: directory.join("netns"),
        };
        let place = File::create(&mounted.place)?;
        let tree = mount::clone_handle(namespace)?;
        mount::attach(tree.as_fd(), place.as_fd())?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It goes with our mount namespace, too.
        let _ = mount::detach(&self.place);
        for name in ["netns", "pasta.pid", "network.log"] {
            let _ = fs::remove_file(self.directory.join(name));
        }
    }
}

/// A network that is being carried; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Carried {
    child: Child,
    namespace: Mounted,
    _hold: Option<PipeWriter>,
}

impl Carried {
    fn start(
        program: &Path,
        words: &[OsString],
        namespace: Mounted,
        hold: Option<PipeWriter>,
        given: &[BorrowedFd],
    ) -> Result<Self> {
        let directory = File::open(&namespace.directory)?;
        let log = File::create(namespace.directory.join("network.log"))?;
        let null = File::open("/dev/null")?;
        let path = CString::new(program.as_os_str().as_bytes())?;
        let args = Words::new(words.iter().map(|word| word.as_bytes()))?;
        let env = Words::new(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])?;
        let run = || -> Result<()> {
            die_with_parent()?;
            // Ctrl-C is for the container to hear of.
            rustix::process::setsid()?;
            rustix::stdio::dup2_stdin(&null)?;
            rustix::stdio::dup2_stdout(&log)?;
            rustix::stdio::dup2_stderr(&log)?;
            rustix::process::fchdir(&directory)?;
            close_all_but(given.iter().copied())?;
            given.iter().try_for_each(|fd| keep_across_exec(*fd))?;
            // pasta of 2023 does not start where SIGPIPE is ignored, as it is by Rust.
            signal::reset()?;
            exec(&path, &args, &env).map(|never| match never {})?
        };
        let child = spawn(Namespaces::default(), || match run() {
            Ok(()) => 0,
            Err(error) => {
                // The log is its standard error by now.
                let _ = writeln!(io::stderr(), "{}", crate::error::render(&error));
                1
            }
        })?;
        Ok(Self {
            child,
            namespace,
            _hold: hold,
        })
    }

    /// Whether it ends within that time.
    fn ends_within(&self, time: Duration) -> Result<bool> {
        let handle = self.child.handle();
        let mut fds = [PollFd::new(&handle, PollFlags::IN)];
        Ok(poll(&mut fds, Some(&Timespec::try_from(time)?))? > 0)
    }

    fn wait_until(&self, is_ready: &dyn Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_ready() {
            if self.ends_within(Duration::ZERO)? || start.elapsed() > PATIENCE {
                return Err(self.failed());
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn wait_for(&self, mut ready: &PipeReader) -> Result<()> {
        let mut fds = [PollFd::new(&ready, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE)?;
        // With nobody left to write, reading ends at once.
        if poll(&mut fds, Some(&patience))? > 0 && ready.read(&mut [0])? > 0 {
            return Ok(());
        }
        Err(self.failed())
    }

    /// What it said last.
    fn failed(&self) -> anyhow::Error {
        let said = fs::read(self.namespace.directory.join("network.log")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().rev().find(|line| !line.contains("syslog"));
        let why = line.unwrap_or("it is not ready after 10 s and says nothing");
        Fault::new(Kind::Unsupported, why.trim().to_owned())
            .hint("--network none and --network host do without it")
            .into()
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.signal(libc::SIGKILL);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_be_found_is_a_refusal_with_a_remedy() {
        let fault = Carrier::find(OsStr::new("/nowhere:relative:")).unwrap_err();
        let error = anyhow::Error::new(fault);
        assert_eq!(crate::error::kind(&error), Kind::Unsupported);
        let hint = crate::error::hint(&error).unwrap();
        assert!(hint.contains("apt install passt"), "{hint}");
    }
}
