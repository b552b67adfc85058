//! The two views of the machine's cgroups, each a mount namespace that this process goes to before
//! it starts a tool.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::tool::View;

/// Handles of both namespaces.
#[derive(Debug)]
pub struct Views {
    hybrid: File,
    v2: File,
}

impl Views {
    /// Makes the second one; this process must have one thread and be in the first.
    pub fn make() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup && echo ready && exec cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        wait_for_word(&mut holder);
        let of = |pid: &str| File::open(format!("/proc/{pid}/ns/mnt")).expect("a namespace");
        let (hybrid, v2) = (of("self"), of(&holder.id().to_string()));
        // Without input it ends.
        drop(holder.stdin.take());
        holder.wait().expect("wait");
        Self { hybrid, v2 }
    }

    /// Goes there; what is started from now on sees it.
    pub fn enter(&self, view: View) {
        let namespace = match view {
            View::Hybrid => &self.hybrid,
            View::V2 => &self.v2,
        };
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))
            .expect("enter a mount namespace");
    }
}

fn wait_for_word(child: &mut Child) {
    use std::io::{BufRead, BufReader};
    let mut word = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut word).expect("read");
    assert_eq!(word, "ready\n", "no view of version 2 alone");
}
