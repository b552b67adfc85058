//! The overview's snippet with its volumes, and the sandbox.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use super::place::{ENGINE, both, docker, native, printed, snippet};

/// The directories of the host that the snippet names. They are on the machine itself, so one test
/// at a time has them, and nobody else's are touched.
struct Data {
    _lock: File,
}

const MARK: &str = "/var/data/of-ucr-tests";

impl Data {
    fn new() -> Self {
        let lock = File::create("/var/tmp/ucr-test-var-data.lock").unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let is_ours = !Path::new("/var/data").exists() || Path::new(MARK).exists();
        assert!(is_ours, "/var/data is somebody's: this test needs it");
        let _ = fs::remove_dir_all("/var/data");
        for name in ["a", "b"] {
            fs::create_dir_all(Path::new("/var/data").join(name)).unwrap();
        }
        fs::write(MARK, "").unwrap();
        fs::write("/var/data/a/given", "given\n").unwrap();
        Self { _lock: lock }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all("/var/data");
    }
}

/// With the id that the fragment has not.
fn app() -> Value {
    let mut app = snippet("volumes.json");
    app["id"] = json!("volumes");
    app
}

#[test]
fn the_fragment_as_printed() {
    docker(|place| {
        let done = place.text(&[], &printed("volumes.json")).run();
        done.refused(&["/id: ", "E:id"]);
    });
}

/// Without command or arguments: the image's own run.
#[test]
fn the_fragment_with_an_id() {
    docker(|place| {
        let _data = Data::new();
        let done = place.app(&[], &app()).run().ok();
        assert_eq!(done.stdout, "given\na refuses\nb takes\n");
        assert_eq!(fs::read_to_string("/var/data/b/new").unwrap(), "written\n");
        assert!(!Path::new("/var/data/a/new").exists());
    });
}

/// The network of old is Docker's; all else is the same.
#[test]
fn the_same_volumes_of_our_own() {
    native(|place| {
        let _data = Data::new();
        let mut app = place.typed(&app());
        place.app(&[], &app).run().refused(&["E:network-ucr"]);
        app["container"]["docker"]
            .as_object_mut()
            .unwrap()
            .remove("network");
        let done = place.app(&[], &app).run().ok();
        assert_eq!(done.stdout, "given\na refuses\nb takes\n");
        assert_eq!(fs::read_to_string("/var/data/b/new").unwrap(), "written\n");
        assert!(!Path::new("/var/data/a/new").exists());
    });
}

#[test]
fn the_hosts_network() {
    docker(|place| {
        let shown = place.cmd(&["inspect", "--app", &place.file(&app().to_string())]);
        let shown = shown.run().ok().json();
        assert_eq!(shown["app"]["networks"][0]["mode"], "host");
        let mut app = app();
        let container = app["container"].as_object_mut().unwrap();
        container.remove("volumes");
        container.remove("type");
        app["cmd"] = json!("exec sleep 1000");
        app["taskKillGracePeriodSeconds"] = json!(0);
        let task = place.start(&[], &app);
        let words = [
            "inspect",
            "--format",
            "{{.HostConfig.NetworkMode}}",
            &task.name,
        ];
        assert_eq!(ENGINE.ask(words), "host");
        task.end();
    });
}

/// It can be written to, and has what was fetched.
#[test]
fn the_sandbox() {
    both(|place| {
        let artifact = place.ucr.scratch().file("artifact", "fetched\n");
        let mut app = snippet("inky.json");
        app.as_object_mut().unwrap().remove("args");
        app["fetch"] = json!([{"uri": format!("file://{}", artifact.display())}]);
        app["cmd"] = json!(
            "cd $MESOS_SANDBOX && pwd && cat artifact && echo its own >new && cat $MESOS_SANDBOX/new"
        );
        let done = place.run(&app).ok();
        assert_eq!(done.stdout, "/mnt/mesos/sandbox\nfetched\nits own\n");
    });
}
