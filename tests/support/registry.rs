//! A real docker-registry (Debian's, 2.8) on a loopback port that the kernel picks.
//!
//! Images are loaded by skopeo through a second docker-registry over the same directory, without
//! authentication (the "dock"), so that how a test reads is not mixed with how it was filled.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::layout::Layout;
use super::need;
use super::process::{self, Running};
use super::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(30);

/// Who may pull.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody.
    Open,
    /// Who knows this user and password: `WWW-Authenticate: Basic`, realm `ucr-basic`.
    Basic {
        /// The only user.
        user: String,
        /// Their password.
        password: String,
    },
    /// As this `auth:` section of its configuration says; for tokens, see `TokenServer`.
    Section(String),
}

/// One request that the registry has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// GET, HEAD…
    pub method: String,
    /// With the query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

/// A running registry; both processes stop on drop.
#[derive(Debug)]
pub struct Registry {
    front: Server,
    dock: Option<Server>,
    scratch: Scratch,
}

#[derive(Debug)]
struct Server {
    process: Running,
    address: String,
}

impl Registry {
    /// A registry without authentication.
    pub fn open() -> Self {
        Self::start(&Access::Open)
    }

    /// A registry that wants a user and a password.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::start(&Access::Basic {
            user: user.into(),
            password: password.into(),
        })
    }

    /// Starts it and waits until it listens.
    pub fn start(access: &Access) -> Self {
        let scratch = Scratch::new();
        let front = Server::start(&scratch, "front.yml", &auth(&scratch, access));
        let locked = !matches!(access, Access::Open);
        let dock = locked.then(|| Server::start(&scratch, "dock.yml", ""));
        Self {
            front,
            dock,
            scratch,
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.front.address
    }

    /// The name of an image on this registry.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address())
    }

    /// Loads an image, all platforms of it, byte for byte; gives its reference here.
    pub fn push(&self, layout: &Layout, tag: &str, name: &str) -> String {
        let scratch = Scratch::new();
        let directory = layout.export(tag, &scratch.dir("export"));
        let dock = self.dock.as_ref().unwrap_or(&self.front);
        let target = format!("docker://{}/{name}", dock.address);
        process::tool(
            Command::new(need::program("skopeo", "skopeo"))
                .args([
                    "--insecure-policy",
                    "copy",
                    "--quiet",
                    "--all",
                    "--preserve-digests",
                ])
                .args(["--dest-tls-verify=false", &directory, &target]),
        );
        self.reference(name)
    }

    /// The file in which the registry keeps a blob, to damage it.
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
        let blobs = self.scratch.join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// The requests that its log has so far, but those of `push`.
    pub fn requests(&self) -> Vec<Request> {
        let log = self.front.process.stdout_so_far();
        log.lines().filter_map(request).collect()
    }

    /// Stops it, so that its log is complete, and gives all requests but those of `push`.
    pub fn stop(self) -> Vec<Request> {
        self.front.process.signal(Signal::SIGINT);
        assert!(
            self.front.process.ended_within(LIMIT),
            "docker-registry does not stop"
        );
        self.requests()
    }
}

/// How often each blob was fetched.
pub fn blob_fetches(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        let fetched = request.method == "GET" && request.status < 300;
        if let (true, Some((_, digest))) = (fetched, request.path.split_once("/blobs/")) {
            *counts.entry(digest.to_owned()).or_default() += 1;
        }
    }
    counts
}

impl Server {
    fn start(scratch: &Scratch, name: &str, auth: &str) -> Self {
        let data = scratch.join("data");
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             http: {{addr: '127.0.0.1:0', secret: loopback}}\n{auth}",
            data.display()
        );
        let config = scratch.file(name, config);
        let program = need::program("docker-registry", "docker-registry");
        let mut command = Command::new(program);
        command.env_clear().arg("serve").arg(config);
        let process = process::spawn(&mut command, b"");
        let mut address = None;
        process.wait_until("line 'listening on'", LIMIT, || {
            address = listening(&process.stderr_so_far());
            address.is_some()
        });
        Self {
            process,
            address: address.expect("just seen"),
        }
    }
}

/// The address in `msg="listening on 127.0.0.1:40657"`.
fn listening(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let (address, _) = rest.split_once('"')?;
    Some(address.to_owned())
}

/// A line of the access log (Apache's combined format), if it is not skopeo's.
fn request(line: &str) -> Option<Request> {
    let mut quoted = line.split('"');
    let (mut words, status) = (quoted.nth(1)?.split(' '), quoted.next()?);
    if line.contains("\"skopeo/") {
        return None;
    }
    Some(Request {
        method: words.next()?.into(),
        path: words.next()?.into(),
        status: status.split_whitespace().next()?.parse().ok()?,
    })
}

fn auth(scratch: &Scratch, access: &Access) -> String {
    match access {
        Access::Open => String::new(),
        Access::Basic { user, password } => {
            let path = htpasswd(scratch, user, password);
            format!(
                "auth: {{htpasswd: {{realm: ucr-basic, path: {}}}}}\n",
                path.display()
            )
        }
        Access::Section(text) => text.clone(),
    }
}

fn htpasswd(scratch: &Scratch, user: &str, password: &str) -> PathBuf {
    let program = need::program("htpasswd", "apache2-utils");
    let line = process::tool(Command::new(program).args(["-Bbn", user, password]));
    scratch.file("htpasswd", line)
}

/// Overwrites one byte in the middle of a file.
pub fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(file, bytes).expect("write the damaged file");
}

/// Cuts a file in the middle.
pub fn cut(file: &Path) {
    let length = fs::metadata(file).expect("stat").len();
    let opened = fs::OpenOptions::new().write(true).open(file).expect("open");
    opened.set_len(length / 2).expect("truncate");
}
