//! Containers by document: `run --spec`, `--dry-run`, what `inspect` gives back; secrets and files
//! of variables, which are in none of them.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::World;

const LIMIT: Duration = Duration::from_secs(30);

/// Flags of every kind, and a command that shows what they did.
const FLAGS: &[&str] = &[
    "-e",
    "A=1",
    "-w",
    "/tmp",
    "-u",
    "ada",
    "--group-add",
    "77",
    "--hostname",
    "box",
    "--read-only",
    "--tmpfs",
    "/scratch:size=1m",
    "--cap-add",
    "NET_RAW",
    "--cap-drop",
    "KILL",
    "--network",
    "none",
    "--ulimit",
    "nofile=100:200",
];
const SHOW: &str = "echo $A; pwd; id -u; id -G; hostname; touch /x 2>/dev/null || echo ro; \
                    grep -E 'Cap(Bnd|Amb)' /proc/self/status; ulimit -n; ulimit -Hn; echo ready";

/// With a limit that only root can set here.
fn flags(world: &World) -> Vec<&'static str> {
    let limit: &[&str] = match world.ucr.user() {
        None => &["--pids-limit", "50"],
        Some(_) => &[],
    };
    [FLAGS, limit].concat()
}

#[test]
fn what_inspect_shows_can_be_run_again() {
    let world = World::small();
    let script = format!("{SHOW}; while :; do sleep 0.1; done");
    let running = world
        .command(&flags(&world), &["sh", "-c", &script])
        .spawn();
    running.wait_until("'ready'", LIMIT, || {
        running.stdout_so_far().contains("ready")
    });
    let listed = world.ucr.run(["ps", "--format", "json"]).ok().json();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    let shown = world.ucr.run(["inspect", &id]).ok().json();
    let first = running.stdout_so_far();
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.finish(LIMIT);

    let mut spec = shown["spec"].clone();
    assert_eq!(spec["version"], 1);
    spec["args"] = json!(["sh", "-c", SHOW]);
    let text = serde_json::to_vec(&spec).unwrap();
    let again = world
        .ucr
        .cmd(["run", "--spec", "-"])
        .stdin(text.clone())
        .run();
    assert_eq!(again.ok().stdout, first);
    assert!(
        first.starts_with("1\n/tmp\n1815\n1816 77 1843\nbox\nro\n"),
        "{first}"
    );

    // From a file, and the same plan that the flags make.
    let file = world.ucr.scratch().file("spec.json", &text);
    let file = file.to_str().unwrap();
    let of_file = world
        .ucr
        .run(["run", "--dry-run", "--spec", file])
        .ok()
        .stdout;
    let flags = [&["--dry-run"], &*flags(&world)].concat();
    let of_flags = world.run(&flags, &["sh", "-c", SHOW]).ok().stdout;
    assert_eq!(of_file, of_flags);
    assert!(of_file.contains("exec         sh -c "), "{of_file}");
    world.assert_clean();
}

#[test]
fn a_dry_run_does_nothing() {
    let world = World::small();
    let plan = world
        .run(&["--dry-run", "--format", "json"], &["true"])
        .ok()
        .json();
    assert_eq!(plan["spec"]["version"], 1);
    assert_eq!(plan["plan"]["process"]["argv"], json!(["true"]));
    assert_eq!(plan["plan"]["confinement"]["no_new_privileges"], true);
    // It neither pulls nor makes anything.
    let absent = world
        .ucr
        .run(["run", "--dry-run", "localhost:1/absent", "true"]);
    absent.refused(&["localhost:1/absent"]);
    world.assert_clean();
}

#[test]
fn wrong_documents_are_refused_by_path() {
    let world = World::small();
    let image = &world.image;
    let rows = [
        (
            json!({"version": 1, "image": image, "security": {"cap_ad": []}}),
            "security.cap_ad",
        ),
        (
            json!({"version": 1, "image": image, "mounts": [{"type": "bind"}]}),
            "mounts[0]",
        ),
        (json!({"version": 3, "image": image}), "version"),
        (
            json!({"version": 1, "image": image, "resources": {"memory": "1g"}}),
            "resources.memory",
        ),
        (json!({"version": 1}), "image"),
        (json!([]), "container description"),
    ];
    for (document, word) in rows {
        let text = serde_json::to_vec(&document).unwrap();
        let refused = world.ucr.cmd(["run", "--spec", "-"]).stdin(text).run();
        refused.refused(&[word]);
    }
    let both = world.ucr.run(["run", "--spec", "/x", "-e", "A=1"]);
    both.refused(&["--spec"]);
    world
        .ucr
        .run(["run", "--spec", "/no/such/file"])
        .refused(&["/no/such/file"]);
    world.assert_clean();
}

/// Values go from their source to the container, and are written nowhere on the way.
#[test]
fn secrets_are_in_no_record() {
    let world = World::small();
    let key = world.ucr.scratch().file("key", "file-value-61f0\n");
    let from_file = format!("file={},target=/run/keys/api", key.display());
    let flags = [
        "-u",
        "ada",
        "--secret",
        &from_file,
        "--secret",
        "environment=OURS,env=TOKEN",
    ];
    let script = "cat /run/keys/api; echo $TOKEN; stat -c '%a %u %g' /run/keys/api; \
                  grep /run/keys/api /proc/mounts | cut -d ' ' -f 3; echo ready; \
                  while :; do sleep 0.1; done";
    let running = world
        .command(&flags, &["sh", "-c", script])
        .env("OURS", "env-value-61f0")
        .spawn();
    running.wait_until("'ready'", LIMIT, || {
        running.stdout_so_far().contains("ready")
    });
    assert_eq!(
        running.stdout_so_far(),
        "file-value-61f0\nenv-value-61f0\n400 1815 1816\ntmpfs\nready\n"
    );
    let listed = world.ucr.run(["ps", "--format", "json"]).ok().stdout;
    let id = serde_json::from_str::<Value>(&listed).unwrap()[0]["id"].clone();
    let shown = world.ucr.run(["inspect", id.as_str().unwrap()]).ok().stdout;
    assert!(shown.contains("/run/keys/api"), "{shown}");
    let command_line = fs::read(format!("/proc/{}/cmdline", running.pid())).unwrap();
    for text in [
        &listed,
        &shown,
        &String::from_utf8_lossy(&command_line).into_owned(),
    ] {
        assert!(!text.contains("-value-61f0"), "{text}");
    }
    for place in [world.ucr.root(), world.ucr.state()] {
        let found = std::process::Command::new("grep")
            .args(["-rl", "value-61f0"])
            .arg(&place)
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&found.stdout),
            "",
            "{}",
            place.display()
        );
    }
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.finish(LIMIT);

    let plan = world.command(&[&["--dry-run"], &flags[..]].concat(), &["true"]);
    let plan = plan.env("OURS", "env-value-61f0").run().ok().stdout;
    assert!(
        plan.contains("variable TOKEN") && !plan.contains("-value-61f0"),
        "{plan}"
    );
    // What is mounted above a secret does not cover it.
    let covered = ["--tmpfs", "/run", "--secret", &from_file];
    assert_eq!(
        world.script(&covered, "cat /run/keys/api"),
        "file-value-61f0"
    );
    let absent = world.run(&["--secret", "environment=NOT_THERE,env=A"], &["true"]);
    absent.refused(&["NOT_THERE"]);
    world.assert_clean();
}

#[test]
fn files_of_variables_come_before_flags() {
    let world = World::small();
    let one = world
        .ucr
        .scratch()
        .file("one", "# comment\nA=file\nB=\"q\"\nFROM_HOST\nNOT_SET\n");
    let two = world.ucr.scratch().file("two", "A=second\nC=1\n");
    let flags = [
        "--env-file",
        one.to_str().unwrap(),
        "--env-file",
        two.to_str().unwrap(),
        "-e",
        "C=flag",
    ];
    let run = world.command(
        &flags,
        &["sh", "-c", "echo $A $B $C $FROM_HOST ${NOT_SET-unset}"],
    );
    let output = run.env("FROM_HOST", "host").run().ok().stdout;
    assert_eq!(output, "second \"q\" flag host unset\n");
    let bad = world.ucr.scratch().file("bad", "A=1\nexport B=1\n");
    let bad = bad.to_str().unwrap();
    world
        .run(&["--env-file", bad], &["true"])
        .refused(&[bad, "line 2"]);
    world
        .run(&["--env-file", "/no/such"], &["true"])
        .refused(&["/no/such"]);
    world.assert_clean();
}
