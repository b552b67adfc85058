//! Where the values of variables are, and where they are not.

use super::stand_in::World;

/// Keeps what docker reads of the environment, with the mode of its file.
const KEEPS: &str = r#"
    for word; do
        case $word in
        --env-file=*) stat -c %a "${word#*=}" >>$HERE/read; cat "${word#*=}" >>$HERE/read ;;
        esac
    done
    [ $1 = exec ] || default "$@"
"#;

const VALUE: &str = "hunter2";

fn world() -> World {
    World::new(&[("create | exec", KEEPS)])
}

/// docker had it from a file that nobody else could read, and which is gone.
#[track_caller]
fn assert_hidden(world: &World, lines: &str) {
    assert_eq!(world.text("read"), lines);
    for name in ["argv", "env"] {
        let text = world.text(name);
        assert!(!text.is_empty() && !text.contains(VALUE), "{text}");
    }
    assert_eq!(world.private().len(), 0);
}

#[test]
fn a_run_says_no_values() {
    for flags in [
        &["-e", "SECRET=hunter2"][..],
        &["-e", "SECRET"],
        &["--env-file", "FILE"],
    ] {
        let world = world();
        let file = world.ucr.scratch().file("variables", "SECRET=hunter2\n");
        let file = file.display().to_string();
        let flags = flags
            .iter()
            .map(|it| if *it == "FILE" { file.as_str() } else { it });
        let words: Vec<&str> = ["run"].into_iter().chain(flags).chain(["x:1"]).collect();
        world.cmd(&words).env("SECRET", VALUE).run().ok();
        assert_hidden(&world, "600\ncontainer=ucr\nSECRET=hunter2\n");
        world.assert_nothing_is_left("a run");
    }
}

/// Not until the container ends: it may run for years.
#[test]
fn the_file_is_gone_while_the_container_runs() {
    let looks = r#"find "$DOCKER_CONFIG" -name env >$HERE/found; default "$@""#;
    let world = World::new(&[("create | exec", KEEPS), ("start", looks)]);
    world
        .cmd(&["run", "-e", "SECRET=hunter2", "x:1"])
        .run()
        .ok();
    assert!(world.text("read").contains(VALUE));
    let found = world.ucr.scratch().join("found");
    assert_eq!(std::fs::read_to_string(found).unwrap(), "");
}

#[test]
fn exec_says_no_values() {
    let world = world();
    world.ucr.scratch().dir("box");
    world.ucr.scratch().file("box/state", "running");
    let words = [
        "exec",
        "-e",
        "A=0",
        "-e",
        "SECRET=hunter2",
        "-e",
        "A=1",
        "box",
        "true",
    ];
    world.cmd(&words).run().ok();
    assert_hidden(&world, "600\nSECRET=hunter2\nA=1\n");
    world.cmd(&["exec", "box", "true"]).run().ok();
    let argv = world.text("argv");
    let last = argv.lines().last().unwrap();
    assert!(last.starts_with("exec ") && !last.contains("env"), "{last}");
}

/// More than all arguments of a program can be.
#[test]
fn a_big_environment() {
    let world = world();
    let mut words = vec!["run".to_owned()];
    let mut expected = "600\ncontainer=ucr\n".to_owned();
    for place in 0..3 {
        let line = |number| format!("V{place}_{number}={}\n", "x".repeat(50_000));
        let lines: String = (0..20).map(line).collect();
        let file = world
            .ucr
            .scratch()
            .file(format!("variables{place}"), &lines);
        words.push(format!("--env-file={}", file.display()));
        expected += &lines;
    }
    words.push("x:1".to_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    world.cmd(&words).run().ok();
    assert!(world.text("read") == expected);
    world.assert_nothing_is_left("a big environment");
}

#[test]
fn a_dry_run_shows_the_file() {
    let world = world();
    let words = ["run", "--dry-run", "-e", "A=1", "-e", "B= 1\n2", "x:1"];
    let text = world.cmd(&words).run().ok().stdout;
    assert!(
        text.contains("\n--env-file=/ENV\n--env=B= 1\n2\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\n--- env-file\ncontainer=ucr\nA=1\n"),
        "{text}"
    );
    let words = [&["--format", "json"], &words[..]].concat();
    let shown: serde_json::Value =
        serde_json::from_str(&world.cmd(&words).run().ok().stdout).unwrap();
    assert_eq!(shown["env"], serde_json::json!(["container=ucr", "A=1"]));
}
