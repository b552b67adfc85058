//! Limits of single disks, and rules for devices that are none of the container's.

use std::fs;

use super::{World, compare};

/// Of a disk with a scheduler that knows weights, for as long as the test lasts.
#[test]
fn disks() {
    let world = World::small();
    let scheduler = Scheduler::set("loop7", "bfq");
    let rates = [
        "--device-read-bps",
        "/dev/loop7:1mb",
        "--device-write-bps",
        "/dev/loop7:2mb",
        "--device-read-iops",
        "/dev/loop7:30",
        "--device-write-iops",
        "/dev/loop7:40",
    ];
    let files = "cd /sys/fs/cgroup/blkio; for f in read_bps write_bps read_iops write_iops; do \
                 cat blkio.throttle.${f}_device; done";
    let weight = ["--blkio-weight-device", "/dev/loop7:200"];
    compare(
        &world,
        &[
            (&rates, files, "7:7 1048576\n7:7 2097152\n7:7 30\n7:7 40"),
            (
                &weight,
                "grep 7:7 /sys/fs/cgroup/blkio/blkio.bfq.weight_device",
                "7:7 200",
            ),
        ],
    );
    drop(scheduler);
    for (flags, word) in [
        (["--device-read-bps", "/dev/null:1"], "no block device"),
        (["--device-read-bps", "/dev/no-such:1"], "/dev/no-such"),
        (
            ["--device-read-bps", "loop7:1"],
            "--device-read-bps 'loop7:1'",
        ),
        (
            ["--blkio-weight-device", "/dev/loop7:9"],
            "--blkio-weight-device /dev/loop7",
        ),
    ] {
        world.run(&flags, &["true"]).refused(&[word]);
    }
}

/// The scheduler of a disk, until it is dropped.
struct Scheduler {
    file: String,
    before: String,
}

impl Scheduler {
    fn set(disk: &str, name: &str) -> Self {
        let file = format!("/sys/block/{disk}/queue/scheduler");
        let found = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let before = found.split(['[', ']']).nth(1).unwrap_or("none").to_owned();
        fs::write(&file, name).unwrap_or_else(|error| panic!("{file}: {error}"));
        Self { file, before }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        let _ = fs::write(&self.file, &self.before);
    }
}

/// A node may be opened that is none of the container's own; others still may not.
#[test]
fn device_rules() {
    let world = World::small();
    let script = "mknod /dev/a c 10 237 && mknod /dev/b c 10 200; for n in a b; do \
                  (: </dev/$n) 2>/dev/null && echo $n; done; true";
    let rule = ["--cap-add", "MKNOD", "--device-cgroup-rule"];
    compare(
        &world,
        &[
            (&["--cap-add", "MKNOD"], script, ""),
            (&[&rule[..], &["c 10:237 rw"]].concat(), script, "a"),
            (&[&rule[..], &["c 10:* rmw"]].concat(), script, "a\nb"),
            (&[&rule[..], &["a *:* rwm"]].concat(), script, "a\nb"),
        ],
    );
}
