//! A network for a container of an ordinary user, who may make no devices on the machine: a program
//! that carries what is sent on a device inside by sockets of its own outside. pasta, which keeps
//! addresses as they are, or else slirp4netns, which translates them.
//!
//! The program is a child of ucr, in ucr's user namespace, and ends with it, however ucr ends. It is
//! told of the container's network by a mount of the namespace on a file: of the two, pasta may not
//! look into another process's `/proc`. Nothing inside reaches the machine's loopback; the
//! price is that UDP from there, and only from there, gets no answer (slirp4netns, pasta of 2023).

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::error::{Fault, Kind};
use crate::sys::proc::Proc;
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
/// Largest answer of slirp4netns that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 16;

/// A port of the machine that leads to one of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The machine's address; `None` for all.
    pub address: Option<IpAddr>,
    /// The machine's port.
    pub host: u16,
    /// The container's port.
    pub container: u16,
    /// UDP; else TCP.
    pub udp: bool,
}

/// A program that can carry a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Of the package passt.
    Pasta(PathBuf),
    /// Of the package of that name.
    Slirp4netns(PathBuf),
}

impl Carrier {
    /// The better one of those that a `PATH` leads to. Fails with [`Kind::Unsupported`] where there
    /// is none, or neither would work.
    pub fn find(path: &OsStr) -> Result<Self, Fault> {
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
            Self::Slirp4netns(_) => Some(Ipv4Addr::new(10, 0, 2, 3).into()),
        }
    }

    /// Connects the network namespace of a process, and returns when it is connected and all ports
    /// lead there. `directory` is a private one of the container's. The process must be dumpable,
    /// and this one have a single thread.
    pub fn start(&self, pid: i32, directory: &Path, forwards: &[Forward]) -> Result<Carried> {
        let what = || format!("network: start {}", self.program().display());
        let namespace = Mounted::new(pid, directory).with_context(what)?;
        let carried = match self {
            Self::Pasta(_) => self.start_pasta(namespace, forwards),
            Self::Slirp4netns(_) => self.start_slirp(namespace, forwards),
        };
        carried.with_context(what)
    }

    fn program(&self) -> &Path {
        match self {
            Self::Pasta(path) | Self::Slirp4netns(path) => path,
        }
    }

    fn start_pasta(&self, namespace: Mounted, forwards: &[Forward]) -> Result<Carried> {
        let ready = namespace.directory.join("pasta.pid");
        let mut words: Vec<OsString> = words_of("pasta --foreground --quiet --stderr --config-net");
        // Nothing of the machine's loopback is seen inside.
        words.extend(words_of("--no-map-gw --netns-only -T none -U none --pid"));
        words.push(ready.clone().into());
        words.extend(pasta_ports(forwards));
        words.extend(["--netns".into(), namespace.place.clone().into()]);
        let carried = Carried::start(self.program(), &words, namespace, None, &[])?;
        let is_ready = || fs::metadata(&ready).is_ok_and(|found| found.len() > 0);
        carried.wait_until(&is_ready)?;
        Ok(carried)
    }

    fn start_slirp(&self, namespace: Mounted, forwards: &[Forward]) -> Result<Carried> {
        for forward in forwards {
            if let Some(IpAddr::V6(address)) = forward.address {
                let message = format!("slirp4netns cannot publish a port of {address}");
                return Err(unsupported(&message)
                    .hint("name an IPv4 address, or apt install passt, which can")
                    .into());
            }
        }
        let (ready, say) = io::pipe()?;
        // It ends when the other end is closed, by whatever end of ours.
        let (exit, hold) = io::pipe()?;
        let mut words: Vec<OsString> = words_of("slirp4netns --configure --mtu=65520");
        words.extend(words_of(
            "--disable-host-loopback --enable-sandbox --enable-seccomp",
        ));
        // Relative: the name of a socket has 107 bytes at most.
        words.extend(words_of("--netns-type=path --api-socket slirp.sock"));
        words.push(format!("--ready-fd={}", say.as_raw_fd()).into());
        words.push(format!("--exit-fd={}", exit.as_raw_fd()).into());
        words.extend([namespace.place.clone().into(), "tap0".into()]);
        let given = [say.as_fd(), exit.as_fd()];
        let carried = Carried::start(self.program(), &words, namespace, Some(hold), &given)?;
        drop((say, exit));
        carried.wait_for(&ready)?;
        forwards.iter().try_for_each(|it| carried.forward(it))?;
        Ok(carried)
    }
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

/// What publishes these ports and no other.
fn pasta_ports(forwards: &[Forward]) -> Vec<OsString> {
    let mut words = Vec::new();
    for (option, udp) in [("-t", false), ("-u", true)] {
        let before = words.len();
        for forward in forwards.iter().filter(|forward| forward.udp == udp) {
            let ports = format!("{}:{}", forward.host, forward.container);
            let spec = match forward.address {
                Some(address) => format!("{address}/{ports}"),
                None => ports,
            };
            words.extend([option.into(), spec.into()]);
        }
        if words.len() == before {
            words.extend([option.into(), "none".into()]);
        }
    }
    words
}

/// A network namespace under a name in our mount namespace.
#[derive(Debug)]
struct Mounted {
    directory: PathBuf,
    place: PathBuf,
}

impl Mounted {
    fn new(pid: i32, directory: &Path) -> Result<Self> {
        let mounted = Self {
            directory: directory.to_owned(),
            place: directory.join("netns"),
        };
        let place = File::create(&mounted.place)?;
        let namespace = Proc::open()?.open_file(&format!("{pid}/ns/net"))?;
        let tree = mount::clone_handle(namespace.as_fd())?;
        mount::attach(tree.as_fd(), place.as_fd())?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // It goes with our mount namespace, too.
        let _ = mount::detach(&self.place);
        for name in ["netns", "pasta.pid", "slirp.sock", "network.log"] {
            let _ = fs::remove_file(self.directory.join(name));
        }
    }
}

/// A network that is being carried; it ends when this is dropped.
#[derive(Debug)]
pub struct Carried {
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
        Fault::new(Kind::Unsupported, why.trim().to_owned()).into()
    }

    /// Asks slirp4netns for a port.
    fn forward(&self, forward: &Forward) -> Result<()> {
        let directory = File::open(&self.namespace.directory)?;
        let socket = Path::new(&mount::proc_path(directory.as_fd())).join("slirp.sock");
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let address = forward.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let request = json!({ "execute": "add_hostfwd", "arguments": {
            "proto": if forward.udp { "udp" } else { "tcp" },
            "host_addr": address.to_string(),
            "host_port": forward.host,
            "guest_port": forward.container,
        }});
        stream.write_all(request.to_string().as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match &answer["return"] {
            Value::Null => {
                let why = answer["error"]["desc"]
                    .as_str()
                    .unwrap_or("no reason given");
                let message = format!("publish port {}: {why}", forward.host);
                Err(Fault::new(Kind::Unsupported, message)
                    .hint("another program may have the port; below 1024 it needs root")
                    .into())
            }
            _ => Ok(()),
        }
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
    fn only_what_was_asked_for_is_published() {
        let forward = |address: Option<&str>, host, container, udp| Forward {
            address: address.map(|text| text.parse().unwrap()),
            host,
            container,
            udp,
        };
        let rows = [
            (vec![], "-t none -u none"),
            (vec![forward(None, 8080, 80, false)], "-t 8080:80 -u none"),
            (
                vec![
                    forward(Some("127.0.0.1"), 53, 5353, true),
                    forward(Some("::1"), 1, 2, false),
                    forward(None, 3, 4, false),
                ],
                "-t ::1/1:2 -t 3:4 -u 127.0.0.1/53:5353",
            ),
        ];
        for (forwards, expected) in rows {
            let words = pasta_ports(&forwards).join(OsStr::new(" "));
            assert_eq!(words, expected);
        }
    }

    #[test]
    fn nothing_to_be_found_is_a_refusal_with_a_remedy() {
        let fault = Carrier::find(OsStr::new("/nowhere:relative:")).unwrap_err();
        let error = anyhow::Error::new(fault);
        assert_eq!(crate::error::kind(&error), Kind::Unsupported);
        let hint = crate::error::hint(&error).unwrap();
        assert!(hint.contains("apt install passt"), "{hint}");
    }
}
