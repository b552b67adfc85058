//! What the flags of `docker run` do, seen from inside the container. `tests/data/docker-run-flags.md`
//! says which test here, or elsewhere, is about which flag.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::process::Running;

use super::world::World;

mod around;
mod disks;
mod life;
mod shared;

const LIMIT: Duration = Duration::from_secs(60);

/// Flags, a script, and what it prints.
type Row<'a> = (&'a [&'a str], &'a str, &'a str);

#[track_caller]
fn compare(world: &World, rows: &[Row]) {
    for (flags, script, expected) in rows {
        assert_eq!(world.script(flags, script), *expected, "{flags:?}");
    }
    world.assert_clean();
}

/// A container that says when it is ready and lives until it is told to end.
struct Other<'a> {
    world: &'a World,
    id: String,
    running: Option<Running>,
    end: PathBuf,
}

impl<'a> Other<'a> {
    /// Starts one that runs `script` first.
    #[track_caller]
    fn start(world: &'a World, flags: &[&str], script: &str) -> Self {
        let signs = world.ucr.scratch().dir("signs");
        for name in ["id", "ready", "end"] {
            let _ = fs::remove_file(signs.join(name));
        }
        let (volume, file) = (format!("{}:/signs", signs.display()), signs.join("id"));
        let cidfile = file.to_str().unwrap().to_owned();
        let own = ["--cidfile", &cidfile, "-v", &volume];
        let script =
            format!("{script}\ntouch /signs/ready; while ! [ -e /signs/end ]; do sleep 0.05; done");
        let flags = [&own, flags].concat();
        let running = world.command(&flags, &["sh", "-c", &script]).spawn();
        let ready = signs.join("ready");
        running.wait_until("its being ready", LIMIT, || ready.exists());
        Self {
            world,
            id: fs::read_to_string(file).unwrap(),
            running: Some(running),
            end: signs.join("end"),
        }
    }

    /// What a container prints that has something of this one.
    #[track_caller]
    fn seen(&self, flags: &[&str], script: &str) -> String {
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| flag.replace("ID", &self.id))
            .collect();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        self.world.script(&flags, script)
    }
}

impl Drop for Other<'_> {
    fn drop(&mut self) {
        let _ = fs::write(&self.end, "");
        if let Some(running) = self.running.take() {
            running.finish(LIMIT).ok();
        }
    }
}

#[test]
fn names() {
    let world = World::small();
    let conf = "grep -v ^# /etc/resolv.conf";
    let hosts = "grep -c . /etc/hosts; tail -n 2 /etc/hosts";
    let own = fs::read_to_string("/etc/hosts").unwrap();
    let count = own.lines().filter(|line| !line.is_empty()).count() + 2;
    compare(
        &world,
        &[
            (
                &[
                    "--dns",
                    "192.0.2.1",
                    "--dns",
                    "2001:db8::1",
                    "--dns-search",
                    "x.test",
                    "--dns-option",
                    "ndots:3",
                ],
                conf,
                "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch x.test\noptions ndots:3",
            ),
            (
                &[
                    "--dns",
                    "192.0.2.1",
                    "--dns-search",
                    ".",
                    "--dns-opt",
                    "a",
                    "--network",
                    "none",
                ],
                conf,
                "nameserver 192.0.2.1\noptions a",
            ),
            (
                &[
                    "--add-host",
                    "db:192.0.2.7",
                    "--add-host",
                    "me=host-gateway",
                ],
                hosts,
                &format!("{count}\n192.0.2.7\tdb\n127.0.0.1\tme"),
            ),
            (&["--add-host", "a:[::1]"], "tail -n 1 /etc/hosts", "::1\ta"),
            (
                &[
                    "-h",
                    "box",
                    "--domainname",
                    "test.example",
                    "--network",
                    "none",
                ],
                "hostname; cat /etc/hostname /proc/sys/kernel/domainname; tail -n 1 /etc/hosts",
                "box\nbox\ntest.example\n127.0.1.1\tbox.test.example box",
            ),
            (&["--hostname=box"], "hostname; echo $HOSTNAME", "box\nbox"),
        ],
    );
    for (flags, words) in [
        (&["--dns", "x"][..], &["--dns"][..]),
        (&["--dns-search", "a b"], &["--dns-search 'a b'"]),
        (&["--add-host", "a"], &["--add-host 'a'"]),
        (
            &["--add-host", "a:host-gateway", "--network", "none"],
            &["a:host-gateway"],
        ),
        (&["-h", "a b"], &["host name 'a b'"]),
        (&["--domainname", ""], &["domain name ''"]),
        (&["-h", "-t"], &["--hostname"]),
    ] {
        world.run(flags, &["true"]).refused(words);
    }
}

/// The kernel's files inside say what was asked for.
#[test]
fn limits() {
    let world = World::small();
    let read = |file: &str| format!("cat /sys/fs/cgroup/{file}");
    let memory = read("memory/memory.limit_in_bytes");
    let total = read("memory/memory.memsw.limit_in_bytes");
    let swap = ["-m", "64m", "--memory-swap", "96m"];
    let bfq = "cat /sys/fs/cgroup/blkio/blkio.bfq.weight";
    compare(
        &world,
        &[
            (&["--memory", "64m"], &memory, "67108864"),
            (&swap, &format!("{memory}; {total}"), "67108864\n100663296"),
            (
                &["--memory-reservation", "32m"],
                &read("memory/memory.soft_limit_in_bytes"),
                "33554432",
            ),
            (
                &["--memory-swappiness", "7"],
                &read("memory/memory.swappiness"),
                "7",
            ),
            (
                &["--oom-kill-disable"],
                &read("memory/memory.oom_control | head -n 1"),
                "oom_kill_disable 1",
            ),
            (&["--cpus", "1.5"], &read("cpu/cpu.cfs_quota_us"), "150000"),
            (
                &["--cpu-period", "50000"],
                &read("cpu/cpu.cfs_period_us"),
                "50000",
            ),
            (
                &["--cpu-quota", "20000"],
                &read("cpu/cpu.cfs_quota_us"),
                "20000",
            ),
            (&["--cpu-shares", "512"], &read("cpu/cpu.shares"), "512"),
            (
                &["--cpu-rt-period", "500000", "--cpu-rt-runtime", "1000"],
                "cd /sys/fs/cgroup/cpu; cat cpu.rt_period_us cpu.rt_runtime_us",
                "500000\n1000",
            ),
            (
                &["--cpuset-cpus", "0"],
                "grep Cpus_allowed_list /proc/self/status | tr -d '\\t'",
                "Cpus_allowed_list:0",
            ),
            (
                &["--cpuset-mems", "0"],
                "grep Mems_allowed_list /proc/self/status | tr -d '\\t'",
                "Mems_allowed_list:0",
            ),
            (&["--pids-limit", "17"], &read("pids/pids.max"), "17"),
            (&["--blkio-weight", "300"], bfq, "300"),
            (
                &["--ulimit", "nofile=100:200", "--ulimit", "core=0"],
                "ulimit -n; ulimit -Hn; ulimit -c",
                "100\n200\n0",
            ),
            (
                &["--oom-score-adj", "77"],
                "cat /proc/self/oom_score_adj",
                "77",
            ),
            (
                &["--shm-size", "1m"],
                "grep /dev/shm /proc/mounts | tr , '\\n' | grep -o size=.*k",
                "size=1024k",
            ),
        ],
    );
    for (flags, word) in [
        (["--memory-swappiness", "101"], "--memory-swappiness 101"),
        (["--cpu-rt-runtime", "99999999"], "--cpu-rt-runtime"),
        (["--device-cgroup-rule", "x"], "--device-cgroup-rule 'x'"),
    ] {
        world.run(&flags, &["true"]).refused(&[word]);
    }
}

#[test]
fn rights() {
    let world = World::small();
    let caps = |file: &str| format!("grep {file}: /proc/self/status | tr -d '\\t'");
    let filter = "grep Seccomp: /proc/self/status | tr -d '\\t'";
    let user = "id -u; id -g; id -G";
    compare(
        &world,
        &[
            (
                &["--cap-drop", "ALL", "--cap-add", "NET_RAW"],
                &caps("CapBnd"),
                "CapBnd:0000000000002000",
            ),
            (
                &["--security-opt", "seccomp=unconfined"],
                filter,
                "Seccomp:0",
            ),
            (
                &["--security-opt", "no-new-privileges=false"],
                "grep NoNewPrivs /proc/self/status | tr -d '\\t'",
                "NoNewPrivs:0",
            ),
            (
                &["--user", "ada", "--group-add", "77"],
                user,
                "1815\n1816\n1816 77 1843",
            ),
            (
                &["--userns", "0:300000:1000"],
                "tr -s ' ' </proc/self/uid_map",
                " 0 300000 1000",
            ),
            (
                &["--read-only"],
                "touch /x 2>&1; touch /dev/shm/x && echo shm",
                "touch: /x: Read-only file system\nshm",
            ),
        ],
    );
}

#[test]
fn the_command() {
    let world = World::small();
    compare(
        &world,
        &[
            (
                &["--env", "A=b c", "-e", "E="],
                "echo \"$A\" ${E-unset}",
                "b c",
            ),
            (&["--workdir", "/made/here"], "pwd", "/made/here"),
            (
                &["--init"],
                "[ $$ != 1 ] && head -c 8 /proc/1/cmdline",
                "ucr-init",
            ),
        ],
    );
    let done = world.run(&["--entrypoint", "echo"], &["a", "b"]).ok();
    assert_eq!(done.text(), "a b");
    let tty = on_terminal(&world, &["--tty"], "tty");
    assert_eq!(tty, "/dev/pts/0\n");
    let cat = |flags: &[&str]| {
        world
            .command(flags, &["cat"])
            .stdin("typed")
            .run()
            .ok()
            .stdout
    };
    assert_eq!(
        (cat(&[]).as_str(), cat(&["--interactive"]).as_str()),
        ("", "typed")
    );
}

/// Through a terminal, whose line ends are two characters.
fn on_terminal(world: &World, flags: &[&str], script: &str) -> String {
    let done = world.run(flags, &["sh", "-c", script]).ok();
    done.stdout.replace("\r\n", "\n")
}

#[test]
fn files_of_words() {
    let world = World::small();
    let scratch = world.ucr.scratch();
    let variables = scratch.file("variables", "# no\nA=file\nB=\"x y\"\n");
    let flags = ["--env-file", variables.to_str().unwrap(), "-e", "A=flag"];
    assert_eq!(
        world.script(&flags, "echo $A; echo \"$B\""),
        "flag\n\"x y\""
    );
}

#[test]
fn networks() {
    let world = World::small();
    let names = "ip -o link | grep -v -c 'lo:'";
    let own = world.script(
        &["--network", "none"],
        &format!("{names}; readlink /proc/self/ns/net"),
    );
    let host = fs::read_link("/proc/self/ns/net").unwrap();
    assert!(
        own.starts_with("0\n") && !own.ends_with(host.to_str().unwrap()),
        "{own}"
    );
    let shared = world.script(&["--net", "host"], "readlink /proc/self/ns/net");
    assert_eq!(shared, host.to_str().unwrap());
}

/// Options about the image have their effect before there is an inside.
#[test]
fn platforms() {
    let world = World::small();
    assert_eq!(
        world.script(&["--platform", "linux/amd64"], "uname -m"),
        "x86_64"
    );
    let flags = ["--platform", "linux/s390x", "--pull", "never"];
    world.run(&flags, &["true"]).refused(&["not in the store"]);
    let done = world
        .run(&["--quiet", "--pull", "always"], &["echo", "x"])
        .ok();
    assert_eq!((done.text(), done.stderr.as_str()), ("x", ""));
}

#[test]
fn nothing_stays() {
    let world = World::small();
    assert_eq!(world.script(&["--rm"], "touch /x; ls /x"), "/x");
    assert_eq!(world.script(&["--rm"], "ls /x 2>/dev/null; true"), "");
    world.assert_clean();
}
