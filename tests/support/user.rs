//! An ordinary user, who is in no file of the machine's: ucr is started in a mount namespace with
//! files of the test's own in the place of /etc/passwd, /etc/subuid and /etc/subgid, which
//! newuidmap reads there too. Nothing has to be cleaned up, whatever becomes of the test.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::need;
use super::scratch::Scratch;

/// The variable that makes [`super::ucr::Ucr::new`] an ordinary user's: `user`, or `single`.
pub const VARIABLE: &str = "UCR_TEST_AS";

/// Far from what useradd gives out, and from each other.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// How many IDs a user has beside its own.
pub const COUNT: u32 = 65_536;

/// Who runs ucr.
#[derive(Clone, Debug)]
pub struct User {
    /// Its ID, which is also its group's.
    pub uid: u32,
    /// The first of its subordinate IDs, if it has some.
    pub first: Option<u32>,
    /// Commands of the shell, run as root in its mount namespace before ucr is.
    pub before: String,
    /// Words that start ucr, put before those that make it the user's.
    pub around: Vec<String>,
}

impl User {
    /// One with subordinate IDs.
    pub fn new() -> Self {
        need::root();
        need::program("newuidmap", "uidmap");
        let number = std::process::id() % 1000 * 20 + NEXT.fetch_add(1, Ordering::Relaxed) % 20;
        Self {
            uid: 1_000_000 + number,
            first: Some(200_000_000 + number * COUNT),
            before: String::new(),
            around: Vec::new(),
        }
    }

    /// One without any.
    pub fn single() -> Self {
        Self {
            first: None,
            ..Self::new()
        }
    }

    /// What the variable says.
    pub fn from_environment() -> Option<Self> {
        match std::env::var(VARIABLE).ok()?.as_str() {
            "user" => Some(Self::new()),
            "single" => Some(Self::single()),
            other => panic!("{VARIABLE}={other}: it is user or single"),
        }
    }

    /// With commands of the shell that root runs before, in the user's mount namespace.
    #[must_use]
    pub fn before(mut self, script: &str) -> Self {
        self.before = script.to_owned();
        self
    }

    /// Gives the user a directory.
    pub fn own(&self, directory: &Path) {
        chown(directory, Some(self.uid), Some(self.uid)).expect("chown to the user");
    }

    /// Writes the files that are shown in the place of the machine's.
    pub fn prepare(&self, scratch: &Scratch) {
        scratch.dir("etc");
        let home = scratch.join("home");
        let line = format!("tester:x:{}:{0}::{}:/bin/sh\n", self.uid, home.display());
        scratch.file("etc/passwd", format!("root:x:0:0::/root:/bin/sh\n{line}"));
        let range = |first| format!("tester:{first}:{COUNT}\n");
        for name in ["etc/subuid", "etc/subgid"] {
            scratch.file(name, self.first.map_or_else(String::new, range));
        }
        scratch.file("ucr", "");
        self.own(scratch.path());
        self.own(&home);
    }

    /// A program as this user.
    pub fn command(&self, scratch: &Scratch, binary: &Path) -> Command {
        // Its directory may be one that only root can enter.
        let shown = scratch.join("ucr");
        let own = |name: &str| scratch.join(name).display().to_string();
        let mut script = String::from("set -e\n");
        for (source, target) in [
            (own("etc/passwd"), "/etc/passwd".to_owned()),
            (own("etc/subuid"), "/etc/subuid".to_owned()),
            (own("etc/subgid"), "/etc/subgid".to_owned()),
            (binary.display().to_string(), shown.display().to_string()),
        ] {
            script += &format!("mount --bind '{source}' '{target}'\n");
        }
        script += &self.before;
        let id = self.uid;
        script += &format!("\nexec setpriv --reuid {id} --regid {id} --clear-groups \"$@\"");
        let around = self.around.iter().map(String::as_str);
        let unshare = ["unshare", "--mount", "--propagation", "slave", "sh", "-c"];
        let mut words = around.chain(unshare).map(OsStr::new);
        let mut command = Command::new(words.next().expect("there is one"));
        command.args(words).arg(script).arg("sh").arg(shown);
        command
    }

    /// What one of the user's IDs is on the machine.
    pub fn outside(&self, id: u32) -> u32 {
        match (id, self.first) {
            (0, _) => self.uid,
            (id, Some(first)) => first + id - 1,
            (_, None) => panic!("this user has no other IDs"),
        }
    }

    /// What one of the machine's IDs is to the user.
    pub fn inside(&self, id: u32) -> u32 {
        match self.first {
            _ if id == self.uid => 0,
            Some(first) if id >= first && id - first < COUNT => id - first + 1,
            _ => panic!("{id} is not the user's"),
        }
    }

    /// The processes that run as the user or one of its subordinate IDs.
    pub fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else {
                continue;
            };
            let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
            let uid: u32 = uid
                .and_then(|line| line.split_whitespace().next()?.parse().ok())
                .expect("a process has a user");
            let is_own = uid == self.uid;
            let is_sub = |first| uid >= first && uid - first < COUNT;
            if is_own || self.first.is_some_and(is_sub) {
                found.push(status.lines().next().unwrap_or_default().to_owned());
            }
        }
        found
    }
}
