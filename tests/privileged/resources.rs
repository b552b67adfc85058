//! Limits by the flags of `ucr run`, seen from inside and seen to bite.

use std::time::{Duration, Instant};

use super::world::World;

fn is_v1() -> bool {
    std::path::Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
}

/// A process that wants more than there is is killed, and ucr says why.
#[test]
fn memory() {
    let world = World::small();
    for flags in [
        &["-m", "32m"][..],
        &["-m", "32m", "--memory-swap", "32m", "--init"],
    ] {
        let done = world.run(flags, &["tail", "/dev/zero"]).expect_code(137);
        assert!(
            done.stderr
                .contains("out of memory: the kernel killed 1 process"),
            "{}",
            done.stderr
        );
        // A child of the command's, too.
        let done = world
            .run(flags, &["sh", "-c", "tail /dev/zero; echo $?"])
            .ok();
        assert_eq!(done.text(), "137");
        assert!(done.stderr.contains("out of memory"), "{}", done.stderr);
    }
    // What fits is left alone.
    let done = world
        .run(
            &["-m", "64m"],
            &["sh", "-c", "head -c 8000000 /dev/zero | tail -c 1 | wc -c"],
        )
        .ok();
    assert_eq!((done.text(), done.stderr.as_str()), ("1", ""));
    world.run(&["-m", "1k"], &["true"]).refused(&["memory"]);
    world
        .run(&["-m", "64m", "--memory-swap", "32m"], &["true"])
        .refused(&["swap"]);
    world.assert_clean();
}

#[test]
fn processes() {
    let world = World::small();
    let bomb =
        "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo unreached";
    let start = Instant::now();
    let done = world.run(&["--pids-limit", "20"], &["sh", "-c", bomb]);
    assert!(!done.stdout.contains("unreached"), "{}", done.stdout);
    assert!(start.elapsed() < Duration::from_secs(60));
    world
        .run(&["--pids-limit", "-1"], &["sh", "-c", "sleep 0 & wait"])
        .ok();
    world.assert_clean();
}

/// Half a processor: two seconds of work take four, or nearly.
#[test]
fn processor_time() {
    let world = World::small();
    let spin = "end=$(($(date +%s) + 3)); while [ $(date +%s) -lt $end ]; do :; done; \
                cut -d ' ' -f 14-17 /proc/self/stat >/dev/null; cat /proc/1/stat";
    let ticks = |flags: &[&str]| -> u64 {
        let stat = world.run(flags, &["sh", "-c", spin]).ok().stdout;
        let fields: Vec<u64> = stat
            .split_whitespace()
            .skip(13)
            .take(4)
            .map(|n| n.parse().unwrap())
            .collect();
        fields.iter().sum()
    };
    // In hundredths of a second, of three seconds; the children are counted, too.
    let throttled = ticks(&["--cpus", "0.2"]);
    assert!(throttled < 130, "{throttled} ticks");
    world
        .run(&["--cpus", "1000"], &["true"])
        .refused(&["--cpus"]);
    world.assert_clean();
}

#[test]
fn limits_of_processes() {
    let world = World::small();
    let show = "ulimit -n; ulimit -Hn; ulimit -c";
    let default = world.script(&[], show);
    assert!(
        default.starts_with("1024\n") && default.ends_with("\n0"),
        "{default}"
    );
    let flags = ["--ulimit", "nofile=100:200", "--ulimit", "core=0"];
    assert_eq!(world.script(&flags, show), "100\n200\n0");
    for flags in [
        &["--oom-score-adj", "500"][..],
        &["--oom-score-adj", "500", "--userns", "auto"],
    ] {
        assert_eq!(world.script(flags, "cat /proc/self/oom_score_adj"), "500");
    }
    assert_eq!(
        world.script(
            &["--shm-size", "1m"],
            "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d ' ' -f 2"
        ),
        "1024"
    );
    world
        .run(&["--ulimit", "nofile=5:3"], &["true"])
        .refused(&["nofile"]);
    world
        .run(&["--ulimit", "nosuch=5"], &["true"])
        .refused(&["nosuch"]);
    world
        .run(&["--oom-score-adj", "2000"], &["true"])
        .refused(&["oom"]);
    world.assert_clean();
}

/// The container sees its own cgroups only, and cannot write to them.
#[test]
fn what_is_seen_inside() {
    assert!(
        is_v1(),
        "this test is for version 1; tests/vm has the one for version 2"
    );
    let world = World::small();
    let flags = [
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "--cpuset-cpus",
        "0",
    ];
    let script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us \
                  cpu/cpu.shares cpuset/cpuset.cpus pids/pids.max; cut -d : -f 3 /proc/self/cgroup | sort -u; \
                  (echo 100 >pids/pids.max) 2>/dev/null || echo ro; mkdir pids/x 2>/dev/null || echo ro";
    assert_eq!(
        world.script(&flags, script),
        "67108864\n50000\n512\n0\n2048\n/\nro\nro"
    );
    // Only the hierarchies with a limit are touched.
    assert_eq!(world.script(&[], "ls /sys/fs/cgroup"), "devices\npids");
    world.assert_clean();
}
