//! What has to be undone: a file in the state directory, written before the first plugin runs and
//! removed after the last, locked by whoever watches the container. With it the next command undoes
//! what a ucr left that was killed: the list as it was, and what the plugins said.
//!
//! Beside it a mount keeps the network namespace, whose path the plugins are told: they find what to
//! remove in it (Debian's bridge plugin leaves its firewall rules behind where it is gone), and the
//! number of a process that ended may be another's by now.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, openat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::list::List;
use super::plugin::Patience;
use super::request::Wishes;
use super::version::Version;
use super::work::Work;
use crate::store::{Lock, Patience as ForLock};
use crate::sys::process::is_single_threaded;
use crate::sys::{self, mount};

/// Largest file that is read back, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// How long a plugin may take that undoes what a dead ucr left: somebody waits for something else.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Longest time until what failed is tried again, in seconds.
const MAX_PAUSE: u64 = 3600;

/// Where it is written down.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Rooms {
    /// What has to be undone.
    pub(in crate::runtime) undo: PathBuf,
    /// Network namespaces.
    pub(in crate::runtime) namespaces: PathBuf,
}

/// How a container was connected.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) container: String,
    /// The name of its file.
    pub(super) room: String,
    /// What its end is called inside.
    pub(super) device: String,
    pub(super) namespace: PathBuf,
    pub(super) list: List,
    pub(super) version: Version,
    pub(super) wishes: Wishes,
    /// Where the plugins are.
    pub(super) plugins: Vec<PathBuf>,
    /// Where those find other programs.
    pub(super) path: String,
    pub(super) seconds: u64,
}

/// What came later.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Later {
    /// What the plugins said in the end.
    Result(Value),
    /// It could not be undone at that time.
    Failed(u64),
}

/// All that a file says.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) written: Written,
    pub(super) result: Option<Value>,
    failures: u32,
    failed_at: u64,
}

/// A connection that has to be undone.
#[derive(Debug)]
pub(super) struct Attachment {
    path: PathBuf,
    // Let go of when all is done.
    lock: Lock,
    pub(super) known: Known,
}

impl Attachment {
    /// Writes it down and keeps the namespace. What is left of an earlier start is undone first.
    pub(super) fn begin(rooms: &Rooms, written: Written, namespace: impl AsFd) -> Result<Self> {
        sys::make_private(&rooms.undo)?;
        sys::make_private(&rooms.namespaces)?;
        let path = rooms.undo.join(&written.room);
        let lock = Lock::exclusive(&path, ForLock::Wait)?.context("internal: no lock")?;
        if let Some(left) = read(&path)? {
            left.undo(left.written.patience())?;
        }
        fs::write(&path, serde_json::to_vec(&written)?)
            .with_context(|| format!("write {}", path.display()))?;
        let known = Known {
            written,
            result: None,
            failures: 0,
            failed_at: 0,
        };
        let attachment = Self { path, lock, known };
        keep(&attachment.known.written.namespace, namespace)
            .context("keep the network namespace")?;
        Ok(attachment)
    }

    /// Notes what the plugins said in the end.
    pub(super) fn finish(&mut self, result: Value) -> Result<()> {
        append(&self.path, &Later::Result(result.clone()))?;
        self.known.result = Some(result);
        Ok(())
    }

    /// Undoes it. What fails is tried again by a later command.
    pub(super) fn undo(self, time: Duration, count: usize) -> Result<()> {
        let undone = self.known.undo_first(time, count);
        forget_or_note(&self.path, undone)?;
        drop(self.lock);
        Ok(())
    }
}

impl Written {
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Known {
    fn undo(&self, time: Duration) -> Result<()> {
        self.undo_first(time, self.written.list.plugins.len())
    }

    /// Undoes what so many plugins did, the last one first.
    fn undo_first(&self, time: Duration, count: usize) -> Result<()> {
        let patience = Patience {
            time,
            is_over: &|| Ok(false),
        };
        let place = &self.written.namespace;
        // It was kept in another namespace of mounts, which is gone or not ours: an agent of Mesos gives
        // each task one. Plugins are content with a namespace that is gone, not with a mere file.
        if !mount::is_mount_point(place)? {
            forget(place)?;
        }
        let work = Work::new(&self.written);
        let result = self.result.as_ref();
        work.del(count, result, &patience)?;
        mount::detach(place)?;
        Ok(forget(place)?)
    }

    /// Each failure doubles the time until the next try.
    fn is_due(&self) -> bool {
        let pause = 1_u64.checked_shl(self.failures).unwrap_or(MAX_PAUSE);
        self.failures == 0 || sys::now() >= self.failed_at + pause.min(MAX_PAUSE)
    }
}

fn forget(place: &Path) -> std::io::Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn forget_or_note(path: &Path, undone: Result<()>) -> Result<()> {
    match &undone {
        Ok(()) => fs::remove_file(path)?,
        Err(_) => append(path, &Later::Failed(sys::now()))?,
    }
    undone
}

/// The name of the file about one of a container's networks. The first has the container's own, and
/// those after it follow it in the order of names.
pub(super) fn room(container: &str, number: usize) -> String {
    match number {
        0 => container.to_owned(),
        number => format!("{container}.{number:03}"),
    }
}

/// What is written in a file.
pub(super) fn of(rooms: &Rooms, room: &str) -> Result<Option<Known>> {
    read(&rooms.undo.join(room))
}

/// Undoes what dead ones left.
pub(in crate::runtime) fn heal(rooms: &Rooms) {
    let entries = fs::read_dir(&rooms.undo).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    // Of one container the last network first.
    paths.sort();
    for path in paths.into_iter().rev() {
        // What cannot be undone now is tried again by a later command; nor can a process with
        // several threads start plugins.
        if is_single_threaded().unwrap_or(false)
            && let Ok(Some(_dead)) = Lock::exclusive(&path, ForLock::Try)
        {
            let _ = heal_one(&path);
        }
    }
}

fn heal_one(path: &Path) -> Result<()> {
    match read(path)? {
        // Nothing was done before all of it was written.
        None => Ok(fs::remove_file(path)?),
        Some(left) if left.is_due() => {
            let time = left.written.patience().min(MAX_TIME);
            forget_or_note(path, left.undo(time))
        }
        Some(_) => Ok(()),
    }
}

fn keep(place: &Path, namespace: impl AsFd) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(place)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = openat(rustix::fs::CWD, place, flags, Mode::empty())?;
    let tree = mount::clone_handle(namespace.as_fd())?;
    Ok(mount::attach(tree.as_fd(), target.as_fd())?)
}

fn append(path: &Path, later: &Later) -> Result<()> {
    let mut line = serde_json::to_vec(later)?;
    line.insert(0, b'\n');
    let file = OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| file.write_all(&line))
        .with_context(|| format!("write {}", path.display()))
}

fn read(path: &Path) -> Result<Option<Known>> {
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_FILE => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    Ok(parse(&fs::read(path)?))
}

/// What is behind the last whole line was being written.
fn parse(bytes: &[u8]) -> Option<Known> {
    let mut documents = serde_json::Deserializer::from_slice(bytes);
    let mut known = Known {
        written: Written::deserialize(&mut documents).ok()?,
        result: None,
        failures: 0,
        failed_at: 0,
    };
    while let Ok(later) = Later::deserialize(&mut documents) {
        match later {
            Later::Result(result) => known.result = Some(result),
            Later::Failed(at) => {
                known.failures += 1;
                known.failed_at = at;
            }
        }
    }
    Some(known)
}
