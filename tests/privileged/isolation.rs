//! What a container may do and see: capabilities, identities, namespaces, hidden paths, and each
//! switch that changes them (reference/runtime.md, section 10, items 59 to 69 and 80).

use std::fs;

use crate::support::image::Image;
use crate::support::samples;

use super::world::World;

fn status(world: &World, flags: &[&str], field: &str) -> String {
    let script = format!("grep ^{field}: /proc/self/status");
    let line = world.script(flags, &script);
    line.split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

/// Ten by default, nothing inherited; users have none but what was asked for by name.
#[test]
fn capabilities() {
    let world = World::small();
    const TEN: &str = "00000000000405fb";
    const NONE: &str = "0000000000000000";
    for (field, expected) in [
        ("CapInh", NONE),
        ("CapAmb", NONE),
        ("CapPrm", TEN),
        ("CapEff", TEN),
        ("CapBnd", TEN),
    ] {
        assert_eq!(status(&world, &[], field), expected, "{field}");
        assert_eq!(
            status(&world, &["--init"], field),
            expected,
            "--init {field}"
        );
    }
    for (field, expected) in [
        ("CapPrm", NONE),
        ("CapEff", NONE),
        ("CapAmb", NONE),
        ("CapBnd", TEN),
    ] {
        assert_eq!(
            status(&world, &["-u", "ada"], field),
            expected,
            "ada {field}"
        );
    }
    let raw = ["-u", "ada", "--cap-add", "net_raw", "--cap-drop", "ALL"];
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(&world, &raw, field), "0000000000002000", "{field}");
    }
    assert_eq!(status(&world, &["--cap-drop", "all"], "CapBnd"), NONE);
    let ours = status(&world, &["--cap-add", "ALL"], "CapBnd");
    let host = fs::read_to_string("/proc/self/status").unwrap();
    assert!(
        host.contains(&format!("CapPrm:\t{ours}")),
        "{ours} is not what we have"
    );
    world
        .run(&["--cap-add", "NOSUCH"], &["true"])
        .refused(&["NOSUCH", "capability"]);
    world.assert_clean();
}

/// Set-user-ID programs have no effect, unless that is asked for.
#[test]
fn no_new_privileges() {
    let layer = samples::busybox_layer();
    let busybox = fs::read("/bin/busybox").unwrap();
    // busybox has applets that say whether they got what a set-user-ID bit promises.
    let image = Image::new().layer(layer.program("suid/crontab", busybox).mode(0o4755));
    let world = World::of(&image);
    let complains = |flags: &[&str]| {
        let done = world.run(flags, &["/suid/crontab", "-l"]);
        done.stderr.contains("must be suid")
    };
    assert!(complains(&["-u", "1000"]));
    let flags = ["-u", "1000", "--security-opt", "no-new-privileges=false"];
    assert!(!complains(&flags));
    assert_eq!(status(&world, &[], "NoNewPrivs"), "1");
    assert_eq!(status(&world, &[], "Seccomp"), "2");
    let without = ["--security-opt", "no-new-privileges:false"];
    assert_eq!(status(&world, &without, "NoNewPrivs"), "0");
    assert_eq!(status(&world, &without, "Seccomp"), "2");
    world.assert_clean();
}

/// The user inside is another one outside; the image's files belong to it.
#[test]
fn users_of_its_own() {
    let world = World::small();
    let map = ["--userns", "0:100000:65536"];
    let script = "id -u; cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; \
                  stat -c %u:%g / /bin/busybox; touch /made /tmp/made; stat -c %u /made; \
                  cat /proc/self/setgroups; echo x >/dev/null; chown 7:8 /made && stat -c %u:%g /made";
    assert_eq!(
        world.script(&map, script),
        "0\n 0 100000 65536\n 0 100000 65536\n0:0\n0:0\n0\nallow\n7:8"
    );
    let sleeper = world.command(&map, &["sleep", "30"]).spawn();
    let limit = std::time::Duration::from_secs(20);
    let pid_of = || {
        let listed = world.ucr.run(["ps", "--format", "json"]).ok().json();
        listed[0]["pid"].as_i64()
    };
    let is_running = |pid: i64| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep"))
    };
    sleeper.wait_until("the container", limit, || pid_of().is_some_and(is_running));
    let outside = fs::read_to_string(format!("/proc/{}/status", pid_of().unwrap())).unwrap();
    assert!(outside.contains("Uid:\t100000\t"), "{outside}");
    sleeper.signal(nix::sys::signal::Signal::SIGKILL);
    sleeper.finish(limit);
    // Two at once have different ranges.
    let script = "cut -c 12-22 /proc/self/uid_map; sleep 0.5";
    let first = world
        .command(&["--userns", "auto"], &["sh", "-c", script])
        .spawn();
    let second = world.script(&["--userns", "auto"], script);
    let first = first.finish(limit).ok().stdout;
    assert_ne!(first.trim(), second.trim());
    // On a network of its own its root may use what belongs to it.
    let flags = ["--userns", "0:100000:65536", "--network", "none"];
    assert_eq!(
        world.script(
            &flags,
            "hostname other 2>/dev/null || echo no; ls /sys/class/net"
        ),
        "no\nlo"
    );
    world
        .run(&["--userns", "keep-id"], &["true"])
        .refused(&["keep-id"]);
    // An ID that has no meaning inside is named, not the system call that fails.
    for (flags, id) in [
        (&["--userns", "0:100000:9", "-u", "9"][..], "no ID 9"),
        (&["--userns", "0:100000:9", "-u", "8:9"], "no ID 9"),
        (&["--userns", "auto", "-u", "65536"], "no ID 65536"),
    ] {
        world.run(flags, &["true"]).refused(&["--userns", id]);
    }
    world.assert_clean();
}

/// Nothing but a loopback device, which is up; names of its own.
#[test]
fn no_network() {
    let world = World::small();
    let none = ["--network", "none"];
    let script = "ls /sys/class/net; ip addr show lo | grep -c 'inet 127.0.0.1'; \
                  cat /proc/sys/net/ipv4/ping_group_range | tr '\\t' ' '; \
                  cat /proc/sys/net/ipv4/ip_unprivileged_port_start; \
                  [ $(hostname) = $(cat /etc/hostname) ] && [ $(hostname) = $HOSTNAME ] && echo same; \
                  grep -c localhost /etc/hosts; ip route | wc -l";
    assert_eq!(
        world.script(&none, script),
        "lo\n1\n0 2147483647\n0\nsame\n2\n0"
    );
    assert_eq!(
        world.script(&["--network", "none", "--hostname", "box.x"], "hostname"),
        "box.x"
    );
    assert_eq!(
        world.script(&["--hostname", "box"], "hostname; cat /etc/hostname"),
        "box\nbox"
    );
    assert_eq!(
        world.script(&["--net=host"], "hostname"),
        world.script(&[], "hostname")
    );
    world
        .run(&["--network", "web"], &["true"])
        .refused(&["web"]);
    world.assert_clean();
}

/// Writable are /dev, /dev/shm, /dev/mqueue and what is mounted.
#[test]
fn read_only_root() {
    let world = World::small();
    let script = "touch /x 2>/dev/null || echo no; for d in /dev /dev/shm /t; do touch $d/x && echo $d; done; \
                  touch /etc/x 2>/dev/null || echo no; (echo y >>/etc/hosts) 2>/dev/null || echo ro";
    assert_eq!(
        world.script(&["--read-only", "--tmpfs", "/t"], script),
        "no\n/dev\n/dev/shm\n/t\nno\nro"
    );
    world.assert_clean();
}

/// Everything is lifted but the namespaces.
#[test]
fn privileged() {
    let world = World::small();
    let script = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | cut -f 2; echo $$; \
                  [ -w /proc/sys/kernel/domainname ] && echo sys; ls /dev/loop-control; \
                  head -c 1 /proc/timer_list | wc -c; mkdir /m && mount -t tmpfs t /m && echo mounted; \
                  touch /sys/fs/cgroup 2>/dev/null; grep -c ' /sys sysfs rw' /proc/mounts";
    assert_eq!(
        world.script(&["--privileged"], script),
        "0\n0\n1\nsys\n/dev/loop-control\n1\nmounted\n1"
    );
    let own =
        |kind: &str| world.script(&["--privileged"], &format!("readlink /proc/self/ns/{kind}"));
    for kind in ["mnt", "pid", "ipc", "uts", "cgroup"] {
        let host = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(own(kind), host.to_str().unwrap(), "{kind}");
    }
    world.assert_clean();
}

/// Masked files read as empty, masked directories are empty, the rest of the kernel's knobs cannot
/// be turned; `systempaths=unconfined` shows them.
#[test]
fn hidden_paths() {
    let world = World::small();
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do \
                    [ -e $f ] && head -c 1 $f | wc -c; done | sort -u; \
                  ls -A /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v : | wc -w; \
                  for f in /proc/sys/kernel/domainname /proc/sysrq-trigger /proc/irq/0/smp_affinity; do \
                    [ -e $f ] && (echo x >$f) 2>/dev/null && echo written $f; done; echo end";
    assert_eq!(world.script(&[], script), "0\n0\nend");
    let open = ["--security-opt", "systempaths=unconfined"];
    assert_eq!(
        world.script(&open, "head -c 1 /proc/timer_list | wc -c"),
        "1"
    );
    world.assert_clean();
}

/// Groups of the user's, and those that were added; the caller's are not among them.
#[test]
fn groups() {
    let world = World::small();
    let line = |flags: &[&str]| world.script(flags, "grep ^Groups: /proc/self/status | cut -f 2");
    assert_eq!(line(&["-u", "4711"]), "0");
    assert_eq!(line(&["-u", "ada"]), "1816 1843");
    assert_eq!(
        line(&["-u", "ada", "--group-add", "77", "--group-add", "engines"]),
        "77 1816 1843"
    );
    assert_eq!(
        line(&["-u", "5:6", "--group-add", "4294967294"]),
        "6 4294967294"
    );
    world
        .run(&["--group-add", "4294967295"], &["true"])
        .refused(&["4294967295"]);
    world
        .run(&["--group-add", "nobody-here"], &["true"])
        .refused(&["nobody-here"]);
    world.assert_clean();
}

/// What this host does not have is refused, not dropped.
#[test]
fn labels() {
    let world = World::small();
    let has = |path: &str| fs::read_to_string(path).is_ok_and(|text| text.starts_with('Y'));
    if !has("/sys/module/apparmor/parameters/enabled") {
        let flags = ["--security-opt", "apparmor=docker-default"];
        world
            .run(&flags, &["true"])
            .refused(&["apparmor", "does not run AppArmor"]);
    }
    let flags = ["--security-opt", "label=type:container_t"];
    world.run(&flags, &["true"]).refused(&["label", "SELinux"]);
    world
        .run(&["--security-opt", "label=disable"], &["true"])
        .ok();
    world
        .run(&["--security-opt", "apparmor=unconfined"], &["true"])
        .ok();
    world.assert_clean();
}

/// ucr in a container: in a privileged one it runs containers, in another one it says why not.
#[test]
fn nested() {
    let world = World::small();
    let binary = format!("{}:/ucr:ro", crate::support::ucr::Ucr::binary().display());
    let layout = world
        .image
        .trim_start_matches("oci:")
        .rsplit_once(':')
        .unwrap()
        .0;
    let image = format!("{layout}:/image:ro");
    let flags = ["-v", &binary, "-v", &image, "--tmpfs", "/inner"];
    let inner = "/ucr --root /inner/root --state /inner/state run -q oci:/image:sample \
                 sh -c 'echo $$; grep CapBnd /proc/self/status | cut -f 2'";
    let privileged = [&["--privileged"], &flags[..]].concat();
    assert_eq!(world.script(&privileged, inner), "1\n00000000000405fb");
    let refused = world.run(&flags, &["sh", "-c", inner]);
    refused.refused(&["CAP_SYS_ADMIN", "--privileged"]);
    world.assert_clean();
}
