//! Network namespaces for tests. A thread is in a network namespace of its own, as are the threads
//! and processes that it starts, and a socket stays in the one it was opened in.

use std::fs::File;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::need;
use super::process::tool;

/// Runs a test with a network that is nobody else's.
pub fn alone<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("unshare");
        tool(Command::new(need::program("ip", "iproute2")).args(["link", "set", "lo", "up"]));
        test()
    })
}

/// Does something in another network namespace.
pub fn inside<T: Send>(namespace: &File, act: impl FnOnce() -> T + Send) -> T {
    on_thread(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("setns");
        act()
    })
}

/// A new network namespace with nothing in it, and nobody.
pub fn empty() -> File {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("unshare");
        File::open("/proc/thread-self/ns/net").expect("a network namespace")
    })
}

fn on_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| scope.spawn(act).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
