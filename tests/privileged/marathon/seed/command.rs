//! Command and arguments.

use serde_json::{Value, json};

use super::place::{both, docker, native, printed, snippet};

/// As printed, under the runtime that it names.
#[test]
fn the_inky_snippet() {
    docker(|place| {
        let done = place.text(&[], &printed("inky.json")).run().ok();
        assert_eq!((&*done.stdout, &*done.stderr), ("hello\n", ""));
    });
}

/// The same words under both: the entry point stays, and args replace the image's own.
#[test]
fn the_entry_point_stays() {
    both(|place| {
        let mut app = snippet("inky.json");
        assert_eq!(place.run(&app).ok().stdout, "hello\n");
        app.as_object_mut().unwrap().remove("args");
        assert_eq!(place.run(&app).ok().stdout, "inky\n");
    });
}

#[test]
fn named_arguments() {
    both(|place| {
        let named = format!("{{{}}}", printed("named-arguments.json"));
        let named: Value = serde_json::from_str(&named).unwrap();
        let mut app = snippet("inky.json");
        app["container"]["docker"]["image"] = json!("seed/arguments");
        app["args"] = named["args"].clone();
        let lines = "[--name]\n[etcd0]\n[--initial-cluster-state]\n[new]\n";
        assert_eq!(place.run(&app).ok().stdout, lines);
        app["args"] = json!(["two words", "$HOME", "'\"", "", "*"]);
        let lines = "[two words]\n[$HOME]\n['\"]\n[]\n[*]\n";
        assert_eq!(place.run(&app).ok().stdout, lines);
    });
}

#[test]
fn cmd_and_args() {
    native(|place| {
        let mut app = snippet("inky.json");
        app["cmd"] = json!("true");
        place.app(&[], &app).run().refused(&["E:cmd-and-args"]);
        place
            .app(&[], &place.typed(&app))
            .run()
            .refused(&["E:cmd-and-args"]);
        assert_eq!(place.registry().requests(), []);
    });
}

/// The image's entry point is left out; the shell is the image's.
#[test]
fn cmd_is_for_a_shell() {
    both(|place| {
        let mut app = snippet("inky.json");
        app.as_object_mut().unwrap().remove("args");
        app["cmd"] = json!("A=b && echo $A $0 | tr b c; exit 7");
        app["env"] = json!({"OF_THE_APP": "x"});
        let done = place.run(&app).expect_code(7);
        assert_eq!(done.stdout, "c /cin/sh\n");
        app["container"]["docker"]["image"] = json!("seed/no-shell");
        let done = place.run(&app).expect_code(127);
        assert!(done.stderr.contains("/bin/sh"), "{}", done.stderr);
    });
}

/// It is run once, and its code is ucr's.
#[test]
fn a_finished_task() {
    both(|place| {
        let mut app = snippet("inky.json");
        app.as_object_mut().unwrap().remove("args");
        for code in [0, 3] {
            app["cmd"] = json!(format!("echo ran; exit {code}"));
            assert_eq!(place.run(&app).expect_code(code).stdout, "ran\n");
        }
    });
}

/// Two instances are one here, which is said once.
#[test]
fn instances() {
    both(|place| {
        let mut app = snippet("inky.json");
        app["instances"] = json!(2);
        let done = place.run(&app).ok();
        assert_eq!(done.stdout, "hello\n");
        let warnings = done.stderr.matches("W:one-instance").count();
        assert_eq!((warnings, done.stderr.matches("warning").count()), (1, 1));
    });
}
