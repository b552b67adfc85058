//! Making a pull durable: one wait for the disk, and most of the work done before it.
//!
//! A pull syncs once, before it names anything. Left to that moment, the writing would be a phase
//! of its own, as long as half the unpacking and without work for a second processor. So a thread
//! writes back what has come so far, whenever enough has come together.
//!
//! Who does not want to wait at all gets layers that are valid until the next boot: the kernel has
//! their bytes, but nobody knows whether the disk has.
//!
//! All syncs go through one descriptor that is opened before the first byte is written: `syncfs`
//! tells the errors of writeback since then, each once (Linux 5.8).

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

use super::Store;

/// How many bytes are fetched from one writeback to the next. Each costs a journal commit.
const BATCH: u64 = 8 << 20;

/// How long what is published stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Also after a loss of power.
    Synced,
    /// Until the next boot; nothing waits for the disk.
    ThisBoot,
}

/// Writes the store back to its disk in the background.
#[derive(Debug)]
pub struct Writeback {
    fetched: AtomicU64,
    /// `None` if nothing is to be written back.
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    due: SyncSender<()>,
    handle: JoinHandle<io::Result<File>>,
}

impl Store {
    /// Starts the thread, which does nothing yet.
    pub fn writeback(&self, durability: Durability) -> Result<Writeback> {
        let thread = match durability {
            Durability::Synced => Some(Thread::start(File::open(&self.root)?)?),
            Durability::ThisBoot => None,
        };
        Ok(Writeback {
            fetched: AtomicU64::new(0),
            thread,
        })
    }
}

impl Writeback {
    /// Says that this many more bytes were fetched; what they become is written at about that time.
    pub fn fetched(&self, bytes: u64) {
        if self.fetched.fetch_add(bytes, Ordering::Relaxed) + bytes >= BATCH {
            self.fetched.store(0, Ordering::Relaxed);
            if let Some(thread) = &self.thread {
                // Full means that a sync is due already, closed that one failed: `finish` tells.
                let _ = thread.due.try_send(());
            }
        }
    }

    /// Whether what was written so far stays valid.
    pub fn durability(&self) -> Durability {
        match self.thread {
            Some(_) => Durability::Synced,
            None => Durability::ThisBoot,
        }
    }

    /// Makes everything durable that was written to the store before this call.
    pub fn finish(self) -> Result<()> {
        match self.thread {
            Some(thread) => thread.finish().context("sync the store"),
            None => Ok(()),
        }
    }
}

impl Thread {
    fn start(disk: File) -> Result<Self> {
        // One request may wait for the one that is served: it is for all bytes so far.
        let (due, requests) = sync_channel::<()>(1);
        let serve = move || {
            while requests.recv().is_ok() {
                rustix::fs::syncfs(&disk)?;
            }
            Ok(disk)
        };
        let thread = std::thread::Builder::new().name("writeback".into());
        let handle = thread.spawn(serve).context("start a thread")?;
        Ok(Self { due, handle })
    }

    fn finish(self) -> Result<()> {
        drop(self.due);
        let disk = match self.handle.join() {
            Ok(disk) => disk?,
            Err(_) => return Err(anyhow!("the thread panicked")),
        };
        Ok(rustix::fs::syncfs(disk)?)
    }
}
