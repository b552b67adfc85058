//! Which device nodes a container may open and make: by the list of version 1, and by a program
//! where version 2 is all that there is.

use std::time::Duration;

use crate::support::{need, process};

use super::world::World;

const LIMIT: Duration = Duration::from_secs(60);

/// Ordinarily, and where the tree of version 2 is in the place of all others.
const PLACES: [&str; 2] = [
    r#"exec "$@""#,
    r#"v2=$(awk '$(NF-2) == "cgroup2" {print $5; exit}' /proc/self/mountinfo)
       exec unshare -m sh -c 'mount --bind "$0" /sys/fs/cgroup && exec "$@"' "${v2:?}" "$@""#,
];

/// What is made means nothing unless it is on the list; what is given for reading is not written to.
#[test]
fn what_is_not_on_the_list_is_refused() {
    need::program("unshare", "util-linux");
    let world = World::small();
    let script = "mknod /dev/disk b 7 0; (: </dev/disk) 2>&1; mknod /dev/zero2 c 1 5 && head -c 1 /dev/zero2 | wc -c; \
                  (: </dev/loop-control) && echo read; (: >/dev/loop-control) 2>&1; \
                  (: <>/dev/given) && echo both; (echo >/dev/full) 2>/dev/null || echo full";
    let flags = ["--cap-add", "MKNOD", "--device", "/dev/loop-control:r"];
    let more = ["--device", "/dev/net/tun:/dev/given:rw"];
    for place in PLACES {
        let mut command = world.ucr.by_shell(place);
        command.arg("run").args(flags).args(more).arg(&world.image);
        command.args(["sh", "-c", script]);
        let done = process::run(&mut command, b"", LIMIT).ok();
        assert_eq!(
            done.stdout,
            "sh: can't open /dev/disk: Operation not permitted\n1\nread\n\
             sh: can't create /dev/loop-control: Operation not permitted\nboth\nfull\n",
            "{place}: {}",
            done.stderr
        );
    }
    world.assert_clean();
}

/// A list that cannot be had is a fault for those who need it, and a note for the others.
#[test]
fn without_cgroups_there_is_no_list() {
    let world = World::small();
    let without =
        r#"exec unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"' sh "$@""#;
    let run = |flags: &[&str]| {
        let mut command = world.ucr.by_shell(without);
        command.arg("run").args(flags).arg(&world.image).arg("true");
        process::run(&mut command, b"", LIMIT)
    };
    let noted = run(&["--verbose"]).ok();
    assert!(
        noted.stderr.contains("no default limit of devices"),
        "{}",
        noted.stderr
    );
    for flags in [["--cap-add", "MKNOD"], ["--device", "/dev/null"]] {
        run(&flags).refused(&[flags[0], "devices", "best-effort"]);
        run(&[flags[0], flags[1], "--cgroups", "best-effort"]).ok();
    }
    world.assert_clean();
}
