//! What a container has of others, or says to others: labels, the file of its ID, mounts.

use std::fs;

use crate::support::samples;

use super::{Other, World, compare};

/// Nobody inside sees them: they are for those outside.
#[test]
fn words_of_inspect() {
    let world = World::small();
    let file = world
        .ucr
        .scratch()
        .file("labels", "# no\nof=file\nboth=file\nalone\n");
    let flags = [
        "--label-file",
        file.to_str().unwrap(),
        "--label",
        "both=flag",
        "-l",
        "empty",
        "--annotation",
        "org.example/x=a=b",
    ];
    let other = Other::start(&world, &flags, "env | grep -c -E 'file|flag' >/signs/seen");
    let shown = world.ucr.run(["inspect", &other.id]).ok().json();
    let labels = serde_json::json!({"alone": "", "both": "flag", "empty": "", "of": "file"});
    assert_eq!(shown["spec"]["labels"], labels);
    let annotations = serde_json::json!({"org.example/x": "a=b"});
    assert_eq!(shown["spec"]["annotations"], annotations);
    let seen = fs::read_to_string(world.ucr.scratch().join("signs/seen")).unwrap();
    assert_eq!(seen, "0\n");
    drop(other);
    world
        .run(&["-l", "=x"], &["true"])
        .refused(&["--label '=x'"]);
    world.assert_clean();
}

#[test]
fn files_of_ids() {
    let world = World::small();
    let file = world.ucr.scratch().join("cid");
    let path = file.to_str().unwrap();
    // The ID is the name of a container on a network of its own.
    let flags = ["--cidfile", path, "--network", "none"];
    let name = world.script(&flags, "hostname");
    assert_eq!(fs::read_to_string(&file).unwrap(), name);
    world
        .run(&["--cidfile", path], &["true"])
        .refused(&["--cidfile", "there already"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), name);
    // What was not started has no ID.
    fs::remove_file(&file).unwrap();
    let flags = ["--cidfile", path, "-v", "/no/such:/x"];
    world.run(&flags, &["true"]).refused(&["/no/such"]);
    assert!(!file.exists());
    world.assert_clean();
}

#[test]
fn mounts() {
    let world = World::small();
    let host = world.ucr.scratch().dir("host");
    fs::write(host.join("file"), "host").unwrap();
    let (bind, source) = (format!("{}:/v:ro", host.display()), host.display());
    let mount = format!("type=bind,source={source},target=/m,readonly");
    compare(
        &world,
        &[
            (
                &["--volume", &bind],
                "cat /v/file; touch /v/x 2>/dev/null || echo ro",
                "hostro",
            ),
            (
                &["--mount", &mount],
                "cat /m/file; touch /m/x 2>/dev/null || echo ro",
                "hostro",
            ),
            (
                &["--tmpfs", "/t:size=64k"],
                "grep ' /t ' /proc/mounts | tr , '\\n' | grep -o size=.*k",
                "size=64k",
            ),
        ],
    );
}

/// What is mounted in another container is in the same place, and can only be read if that is said.
#[test]
fn mounts_of_others() {
    let world = World::of(&samples::small().set("Volumes", serde_json::json!({"/of-image": {}})));
    let host = world.ucr.scratch().dir("host");
    fs::write(host.join("file"), "host").unwrap();
    let bind = format!("{}:/bound", host.display());
    let flags = [
        "-v",
        &bind,
        "-v",
        "named:/named",
        "-v",
        "/unnamed",
        "--tmpfs",
        "/memory",
    ];
    let script = "for d in named unnamed memory of-image; do echo $d >/$d/file; done";
    let other = Other::start(&world, &flags, script);
    let cat = "cd /; cat bound/file named/file unnamed/file of-image/file; ls -d memory 2>&1";
    let all = "hostnamed\nunnamed\nof-image\nls: memory: No such file or directory";
    let from = other.id[..6].to_owned();
    assert_eq!(
        world.script(&["--volumes-from", &from], &format!("{cat}; true")),
        all
    );
    let touch = "for d in bound named unnamed; do touch /$d/x 2>/dev/null || echo ro; done";
    assert_eq!(
        other.seen(&["--volumes-from", "ID:ro"], touch),
        "ro\nro\nro"
    );
    assert_eq!(other.seen(&["--volumes-from", "ID:rw"], touch), "");
    // What is said directly wins.
    let flags = ["--volumes-from", "ID", "--tmpfs", "/bound"];
    assert_eq!(other.seen(&flags, "ls /bound; cat /named/file"), "named");
    world
        .run(&["--volumes-from", &format!("{from}:x")], &["true"])
        .refused(&["'x'"]);
    world
        .run(&["--volumes-from", "nobody"], &["true"])
        .refused(&["--volumes-from", "nobody"]);
    drop(other);
    world
        .run(&["--volumes-from", &from], &["true"])
        .refused(&["no container"]);
    world.assert_clean();
}
