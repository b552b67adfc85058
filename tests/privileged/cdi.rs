//! Devices by CDI name, with made-up descriptions. Which descriptions are refused, tables beside
//! the code show; here is what a container gets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::layer::Layer;
use crate::support::samples;
use crate::support::scratch::Scratch;
use crate::support::ucr::children;

use super::devices::{SHOW, node, try_both};
use super::world::World;

/// A directory for descriptions with one in it, and its path.
fn described(host: &Scratch, name: &str, text: &str) -> String {
    let directory = host.dir(Path::new(name).parent().unwrap());
    host.file(name, text);
    directory.display().to_string()
}

/// What nvidia-ctk writes, in its order and style, for two cards that are /dev/zero and FUSE; hooks
/// are left out.
fn nvidia(host: &Scratch) -> String {
    let zero = node(host, "zero", "c 1 5", 0o600, (0, 0));
    let fuse = node(host, "fuse", "c 10 229", 0o600, (0, 0));
    host.dir("lib");
    let library = host.file("lib/libcuda.so.550.1", "cuda");
    let text = format!(
        "---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  deviceNodes:
  - path: /dev/nvidiactl
    hostPath: {zero}
  mounts:
  - containerPath: /usr/lib/libcuda.so.550.1
    hostPath: {library}
    options:
    - ro
    - nosuid
    - nodev
    - rbind
    - rprivate
devices:
- name: \"0\"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      hostPath: {zero}
- name: \"1\"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia1
      hostPath: {fuse}
      permissions: r
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      hostPath: {zero}
    - path: /dev/nvidia1
      hostPath: {fuse}
      permissions: r
",
        zero = zero.display(),
        fuse = fuse.display(),
        library = library.display()
    );
    described(host, "cdi/nvidia.yaml", &text)
}

const CARDS: &str = "cd /dev; echo $(ls -d nvidia*)";

#[test]
fn gpus() {
    let world = World::small();
    let host = Scratch::new();
    let directory = nvidia(&host);
    let rows = [
        (["--gpus", "all"], "nvidia0 nvidia1 nvidiactl"),
        (["--gpus", "1"], "nvidia0 nvidiactl"),
        (["--gpus", "2"], "nvidia0 nvidia1 nvidiactl"),
        (["--gpus", "device=1"], "nvidia1 nvidiactl"),
        (["--device", "nvidia.com/gpu=0"], "nvidia0 nvidiactl"),
    ];
    for (words, expected) in rows {
        let flags = [&words[..], &["--cdi-spec-dir", &directory]].concat();
        assert_eq!(world.script(&flags, CARDS), expected, "{words:?}");
        let by_variable = world
            .command(&words, &["sh", "-c", CARDS])
            .env("UCR_CDI_DIRS", format!("/nowhere:{directory}"))
            .run()
            .ok();
        assert_eq!(by_variable.text(), expected, "{words:?}");
    }
    let flags = ["--gpus", "all", "--cdi-spec-dir", &directory];
    let script = format!(
        "{SHOW} /dev/nvidia0 /dev/nvidia1; head -c 3 /dev/nvidia0 | wc -c; {}; \
         cat /usr/lib/libcuda*; (echo x >/usr/lib/libcuda.so.550.1) 2>/dev/null || echo; \
         echo $NVIDIA_VISIBLE_DEVICES",
        try_both("/dev/nvidia1")
    );
    assert_eq!(
        world.script(&flags, &script),
        "character special file 1:5 666 0:0\ncharacter special file a:e5 666 0:0\n3\nread\n\
         sh: can't create /dev/nvidia1: Operation not permitted\ncuda\nvoid"
    );
    assert_eq!(
        fs::read_to_string(host.join("lib/libcuda.so.550.1")).unwrap(),
        "cuda"
    );
    world.assert_clean();
}

#[test]
fn a_device_is_as_its_file_says() {
    let world = World::small();
    let host = Scratch::new();
    let (data, tools) = (host.dir("data"), host.dir("tools"));
    host.file("data/x", "data");
    host.file("tools/run", "#!/bin/sh\n");
    let text = format!(
        r#"{{"cdiVersion":"1.0.0","kind":"example.com/card","devices":[
          {{"name":"one","containerEdits":{{
            "deviceNodes":[
              {{"path":"/dev/card/one","type":"c","major":1,"minor":5,"fileMode":416,"uid":1815,"gid":77}},
              {{"path":"/opt/card","hostPath":"/dev/zero"}}],
            "mounts":[
              {{"hostPath":"{}","containerPath":"/card/data","options":["rw","rbind"]}},
              {{"hostPath":"{}","containerPath":"/card/tools","type":"bind","options":["ro","noexec","bind"]}}],
            "env":["CARD=one","PATH=/bin:/card"],
            "additionalGids":[0,77,1843]}}}}]}}"#,
        data.display(),
        tools.display()
    );
    let directory = described(&host, "cdi/card.json", &text);
    let flags = [
        "--cdi-spec-dir",
        &directory,
        "--device",
        "example.com/card=one",
        "-u",
        "ada",
        "-e",
        "CARD=mine",
    ];
    let script = format!(
        "{SHOW} /dev/card/one; head -c 2 /dev/card/one | wc -c; head -c 2 /opt/card | wc -c
         cat /card/data/x; echo; grep -o ' /card/[a-z]* r[ow],[a-z,]*' /proc/self/mountinfo
         id -G; echo $CARD $PATH"
    );
    let found = world.script(&flags, &script);
    let rows: Vec<&str> = found.lines().collect();
    assert_eq!(
        rows[..4],
        ["character special file 1:5 640 1815:77", "2", "2", "data"]
    );
    assert!(rows[4].starts_with(" /card/data rw,nodev"), "{found}");
    assert!(
        rows[5].starts_with(" /card/tools ro,nodev,noexec"),
        "{found}"
    );
    // The image's files have ada in 1816 and 1843; a group is there once.
    assert_eq!(rows[6..], ["1816 77 1843", "one /bin:/card"]);
    // With users of its own the host's node is shown, so there must be one.
    let mapped = [&flags[..4], &["--userns", "auto"]].concat();
    world
        .run(&mapped, &["true"])
        .refused(&["/dev/card/one", "No such file"]);
    world.assert_clean();
}

#[test]
fn a_dry_run_shows_what_a_device_changes() {
    let world = World::small();
    let host = Scratch::new();
    let directory = nvidia(&host);
    let flags = ["--dry-run", "--gpus", "1", "--cdi-spec-dir", &directory];
    let plan = world.run(&flags, &["true"]).ok().stdout;
    let library = "/usr/lib/libcuda.so.550.1";
    for line in [
        format!("cdi          nvidia.com/gpu=0 from {directory}/nvidia.yaml"),
        "device       /dev/nvidia0 c 1:5 0666 0:0 rwm".to_owned(),
        format!(
            "volume       {}{library} on {library}",
            host.join("lib").display()
        )
        .replace("/lib/usr/lib/", "/lib/"),
        "env          NVIDIA_VISIBLE_DEVICES=void".to_owned(),
    ] {
        assert!(plan.lines().any(|found| found == line), "{line} in\n{plan}");
    }
}

#[test]
fn directories_and_conflicts() {
    let world = World::small();
    let host = Scratch::new();
    let text = |value: &str, names: &[&str]| {
        let devices: String = names
            .iter()
            .map(|name| format!("- name: {name}\n  containerEdits: {{env: [FROM={value}]}}\n"))
            .collect();
        format!("cdiVersion: 0.8.0\nkind: example.com/card\ndevices:\n{devices}")
    };
    let low = described(
        &host,
        "low/a.yaml",
        &text("low-a", &["both", "twice", "high-twice"]),
    );
    described(&host, "low/b.yaml", &text("low-b", &["twice"]));
    let high = described(
        &host,
        "high/a.yaml",
        &text("high-a", &["both", "high-twice"]),
    );
    described(&host, "high/b.yaml", &text("high-b", &["high-twice"]));
    let run = |first: &str, second: &str, name: &str| {
        let device = format!("example.com/card={name}");
        let flags = [
            "--cdi-spec-dir",
            first,
            "--cdi-spec-dir",
            second,
            "--device",
            &device,
        ];
        world.run(&flags, &["sh", "-c", "echo $FROM"])
    };
    assert_eq!(run(&low, &high, "both").ok().text(), "high-a");
    assert_eq!(run(&high, &low, "both").ok().text(), "low-a");
    run(&low, &high, "twice").refused(&["both", "low/a.yaml", "low/b.yaml", "remove one"]);
    run(&low, &high, "high-twice").refused(&["high/a.yaml", "high/b.yaml"]);
    run(&low, &high, "none").refused(&["card=none'", "there is both, high-twice, twice"]);
    world.assert_clean();
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let world = World::small();
    let host = Scratch::new();
    let directory = host.dir("cdi").display().to_string();
    let of = |edits: &str| {
        format!(
            "cdiVersion: 0.8.0\nkind: v.com/c\ndevices: [{{name: x}}]\ncontainerEdits: {edits}\n"
        )
    };
    let rows = [
        (
            of("{intelRdt: {closID: x}}"),
            "v.yaml: containerEdits.intelRdt: it is not supported",
        ),
        (
            of("{mounts: [{hostPath: /etc, containerPath: /x, options: [ro, uid=7]}]}"),
            "containerEdits.mounts[0].options[1]: 'uid=7' is not supported",
        ),
        (
            of("{mounts: [{hostPath: /nowhere, containerPath: /x}]}"),
            "volume source /nowhere: No such file",
        ),
        (
            of("{deviceNodes: [{path: /dev/nowhere}]}"),
            "deviceNodes[0].path: /dev/nowhere: No such file",
        ),
        (
            of("{deviceNodes: [{path: /dev/../etc/x, hostPath: /dev/zero}]}"),
            "has '..' in it",
        ),
        (of("{colour: blue}"), "containerEdits.colour: unknown field"),
        (of("&a [*a]"), "anchors and aliases"),
        ("kind: v.com/c".into(), "missing field `cdiVersion`"),
        ("a: [".repeat(10_000), "v.yaml: "),
        (" ".repeat(2 << 20), "more than 1048576 bytes"),
    ];
    for (text, words) in rows {
        host.file("cdi/v.yaml", &text);
        let flags = ["--cdi-spec-dir", &directory, "--device", "v.com/c=x"];
        world.run(&flags, &["true"]).refused(&[words]);
        // Whoever wants no such device is not troubled.
        world.run(&flags[..2], &["true"]).ok();
    }
    let none = ["--cdi-spec-dir", "/nowhere", "--gpus", "all"];
    world.run(&none, &["true"]).refused(&[
        "nvidia.com/gpu=all",
        "no CDI files",
        "nvidia-ctk cdi generate",
    ]);
    world.assert_clean();
}

/// The file says where; the image's links do not change on which side.
#[test]
fn links_of_the_image_lead_nowhere_else() {
    let host = Scratch::new();
    let outside = host.dir("outside");
    let layer = Layer::new()
        .symlink("opt", outside.to_str().unwrap())
        .symlink("kernel", "/proc");
    let world = World::of(&samples::small().layer(layer));
    let of = |place: &str| {
        format!(
            "cdiVersion: 0.8.0\nkind: v.com/c\ndevices:\n- name: x\n  containerEdits:\n    \
             deviceNodes: [{{path: {place}/node, hostPath: /dev/zero}}]\n    \
             mounts: [{{hostPath: /etc, containerPath: {place}/mount}}]\n"
        )
    };
    let directory = described(&host, "cdi/v.yaml", &of("/opt"));
    let flags = ["--cdi-spec-dir", &directory, "--device", "v.com/c=x"];
    let script =
        "head -c 2 /opt/node | wc -c; test -e /opt/mount/hostname || test -e /opt/mount/passwd";
    assert_eq!(world.script(&flags, script), "2");
    assert_eq!(children(&outside), [] as [std::path::PathBuf; 0]);
    host.file("cdi/v.yaml", of("/kernel"));
    world.run(&flags, &["true"]).refused(&["/kernel/node"]);
    assert!(Path::new("/proc/self").exists());
    world.assert_clean();
}

/// A host's program that makes a file in the container's root and says what it was given.
const HOOK: &str = r#"#!/bin/sh
set -e
state=$(cat)
bundle=${state#*'"bundle":"'}; bundle=${bundle%%'"'*}
config=$(cat config.json)
root=${config#*'"path":"'}; root=${root%%'"'*}
test "$PWD" = "$bundle" && test "$root" = "$bundle/rootfs"
{ echo "$0 $*"; env | grep -v ^PWD= | sort; id -u; echo "$state" | grep -o '"status":"[a-z]*"'
  ls -d /proc/self/fd/* | wc -l; } >"$root/made"
ln -s made "$root/link"
echo said
exit "${CODE:-0}"
"#;

fn hooked(host: &Scratch, hook: &str) -> String {
    let program = host.file("hook", HOOK);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!(
        "cdiVersion: 0.6.0\nkind: v.com/c\ndevices:\n- name: x\ncontainerEdits:\n  hooks:\n  - {{{}}}\n",
        hook.replace("PROGRAM", &program.display().to_string())
    );
    described(host, "cdi/v.yaml", &text)
}

/// CVE-2024-0132 and CVE-2025-23266: a hook gets nothing of the image's into its environment, and
/// runs before anything of the image does.
#[test]
fn a_hook_changes_the_root_and_sees_nothing_of_the_image() {
    let host = Scratch::new();
    let image = samples::small()
        .env(&[
            "LD_PRELOAD=/evil.so",
            "PATH=/bin",
            "BASH_ENV=/evil",
            "ENV=/evil",
        ])
        .workdir("/tmp");
    let world = World::of(&image);
    let directory = hooked(
        &host,
        "hookName: createContainer, path: PROGRAM, args: [own-name, links, 7], env: [DEBUG=0]",
    );
    let flags = ["--cdi-spec-dir", &directory, "--device", "v.com/c=x"];
    for more in [
        &[][..],
        &["--read-only", "-u", "ada", "-e", "LD_AUDIT=/evil.so"],
    ] {
        let flags = [&flags, more].concat();
        let done = world.run(&flags, &["cat", "/link"]).ok();
        let program = host.join("hook").display().to_string();
        assert_eq!(
            done.stdout,
            format!(
                "{program} links 7\nDEBUG=0\n\
                 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n0\n\
                 \"status\":\"creating\"\n3\n"
            )
        );
        assert!(done.stderr.ends_with("said\n"), "{}", done.stderr);
    }
    let plan = world.run(&[&flags[..], &["--dry-run"]].concat(), &["true"]);
    let line = format!("hook         {} links 7\n", host.join("hook").display());
    assert!(plan.ok().stdout.contains(&line));
    world
        .run(&[&flags[..], &["--userns", "auto"]].concat(), &["true"])
        .refused(&["v.com/c=x", "cannot be run with --userns"]);
    world.assert_clean();
}

#[test]
fn a_hook_that_fails_is_the_end() {
    let world = World::small();
    let host = Scratch::new();
    host.file("no-program", "x");
    let rows = [
        ("path: PROGRAM, env: [CODE=3]", "hook: it ended with code 3"),
        ("path: /nowhere/x", "hook /nowhere/x: No such file"),
        ("path: /etc/passwd", "hook /etc/passwd: it is not a program"),
        (
            "path: /bin/sleep, args: [sleep, 60], timeout: 1",
            "took too long",
        ),
        (
            "path: /bin/sh, args: [sh, -c, kill -9 $$]",
            "signal 9 killed it",
        ),
    ];
    for (hook, words) in rows {
        let directory = hooked(&host, &format!("hookName: createContainer, {hook}"));
        let flags = ["--cdi-spec-dir", &directory, "--device", "v.com/c=x"];
        world
            .run(&flags, &["echo", "started"])
            .refused(&["device 'v.com/c=x'", words]);
    }
    let directory = hooked(&host, "hookName: poststop, path: PROGRAM");
    world
        .run(
            &["--cdi-spec-dir", &directory, "--device", "v.com/c=x"],
            &["true"],
        )
        .refused(&["v.yaml: containerEdits.hooks[0].hookName: 'poststop' is not supported"]);
    world.assert_clean();
}
