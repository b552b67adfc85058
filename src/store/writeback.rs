//! Making a pull durable: one wait for the disk, and most of the work done before it.
//!
//! A pull syncs once, before it names anything. Left to that moment, the writing would be a phase
//! of its own, as long as half the unpacking and without work for a second processor. So a thread
//! writes back what has come so far, whenever enough has come together.
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
const BATCH: u64 = 16 << 20;

/// Writes the store back to its disk in the background.
#[derive(Debug)]
pub struct Writeback {
    fetched: AtomicU64,
    due: SyncSender<()>,
    thread: JoinHandle<io::Result<File>>,
}

impl Store {
    /// Starts the thread, which does nothing yet.
    pub fn writeback(&self) -> Result<Writeback> {
        let disk = File::open(&self.root)?;
        // One request may wait for the one that is served: it is for all bytes so far.
        let (due, requests) = sync_channel::<()>(1);
        let serve = move || {
            while requests.recv().is_ok() {
                rustix::fs::syncfs(&disk)?;
            }
            Ok(disk)
        };
        let thread = std::thread::Builder::new().name("writeback".into());
        Ok(Writeback {
            fetched: AtomicU64::new(0),
            due,
            thread: thread.spawn(serve).context("start a thread")?,
        })
    }
}

impl Writeback {
    /// Says that this many more bytes were fetched; what they become is written at about that time.
    pub fn fetched(&self, bytes: u64) {
        if self.fetched.fetch_add(bytes, Ordering::Relaxed) + bytes >= BATCH {
            self.fetched.store(0, Ordering::Relaxed);
            // Full means that a sync is due already, disconnected that one failed: `finish` tells.
            let _ = self.due.try_send(());
        }
    }

    /// Makes everything durable that was written to the store before this call.
    pub fn finish(self) -> Result<()> {
        drop(self.due);
        let disk = match self.thread.join() {
            Ok(disk) => disk.context("sync the store")?,
            Err(_) => return Err(anyhow!("the thread that syncs the store panicked")),
        };
        rustix::fs::syncfs(disk).context("sync the store")
    }
}
