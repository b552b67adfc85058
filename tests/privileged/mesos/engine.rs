//! The same end by force where Docker Engine has the container: it outlives its task, and the next
//! command of ucr removes it.

use std::time::{Duration, Instant};

use super::{LIMIT, MEMORY, new_mark};
use crate::engine_life::Host;
use crate::support::mesos_launcher::{Launcher, marked};

const SERVES: &str = "echo ready; while :; do sleep 0.05; done";

/// What the Engine has with this label, running or not.
pub fn known(host: &Host, label: &str) -> String {
    let filter = format!("label={label}");
    let words = ["ps", "--all", "--quiet", "--filter", &filter];
    host.run(&words).ok().text().to_owned()
}

#[test]
fn a_container_outlives_its_task_until_the_next_command() {
    for flags in [&[][..], &["--network=host"], &["--init", "--memory=64m"]] {
        let host = Host::new();
        let (mark, label) = (new_mark(), new_mark());
        let mut command = host.ucr.command();
        command.args(["--runtime=docker", "run", "-e", &format!("MARK={mark}")]);
        command.args(["--label", &label]).args(flags);
        command.args([&host.image, "sh", "-c", SERVES]);
        let mut launcher = Launcher::new(MEMORY);
        launcher.start(&command, &[("DOCKER_HOST", &host.host())]);
        launcher.wait_until("ready", LIMIT, |it| it.text("stdout").contains("ready"));
        let inside = launcher.processes("freezer");
        let destroyed = launcher.destroy(Duration::from_secs(2));
        assert!(destroyed.in_the_way.is_empty(), "{destroyed:#?}");
        // ucr and docker are gone; the shell and its sleep belong to the Engine.
        assert!(inside.iter().all(|pid| !marked(&mark).contains(pid)));
        assert!(!marked(&mark).is_empty(), "it outlives its task");
        assert_eq!(host.private().len(), 1, "what the next command removes");
        let begin = Instant::now();
        assert_eq!(known(&host, &label), "");
        println!(
            "docker {flags:?}: {} killed, cgroups gone after {:?}, healed in {:?}",
            destroyed.killed.len(),
            destroyed.took,
            begin.elapsed()
        );
        assert_eq!(marked(&mark), Vec::<i32>::new());
        assert_eq!(host.private().len(), 0);
    }
}
