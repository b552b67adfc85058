//! The thread that drives the async runtime: it takes futures and gives their values to callers
//! that block. What is not done when it is dropped is dropped with it.

use std::thread::JoinHandle;

use anyhow::Result;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::{Fault, Kind};

/// Runs futures on its own thread until it is dropped; dropping waits for the thread.
pub(super) struct Worker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start() -> Result<Self> {
        let failed = |error: std::io::Error| {
            Fault::new(Kind::Kernel, format!("start the network thread: {error}"))
        };
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("ucr-net".into())
            // Ends by `stop`, or because its sender is gone; both mean the same.
            .spawn(move || {
                let _ = runtime.block_on(stopped);
            })
            .map_err(failed)?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Waits for the outcome of a future.
    pub(super) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.handle.spawn(async move {
            // The caller below waits; it cannot have gone away.
            let _ = sender.send(future.await);
        });
        receiver.blocking_recv().unwrap_or_else(|_| {
            Err(Fault::new(Kind::Interrupted, "the network thread ended").into())
        })
    }

    /// Lets a future run beside the others.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(future);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}
