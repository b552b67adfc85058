//! Checks of a native container, by the code of `ucr exec`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use ucr::checks::{Check, Command, Event, Question, State, Task, Watch};
use ucr::runtime::State as States;
use ucr::runtime::native::{self, Streams};
use ucr::store::Store;
use ucr::sys::process::Exit;

use crate::Test;
use crate::follow::{LIMIT, events, leaving_nothing, ms, pace, patience, port, shell};
use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::samples;
use crate::support::ucr::Ucr;

pub const TESTS: &[Test] = &[("native::commands_and_ports", commands_and_ports)];

/// With what this program is linked to, if it is: a copy of it is executed in the container.
fn image() -> Image {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let files = maps.lines().filter_map(|line| line.split_once('/'));
    let libraries: BTreeSet<PathBuf> = files
        .map(|(_, path)| PathBuf::from(format!("/{path}")))
        .filter(|path| path.to_string_lossy().contains(".so"))
        .collect();
    let mut layer = Layer::new();
    for library in &libraries {
        let (name, bytes) = (library.file_name().unwrap(), fs::read(library).unwrap());
        for directory in ["lib", "lib64"] {
            layer = layer.program(&format!("{directory}/{}", name.display()), &bytes);
        }
    }
    samples::small().layer(layer)
}

fn commands_and_ports() {
    leaving_nothing(|| {
        let ucr = Ucr::new();
        let layout = Layout::of(samples::TAG, &image());
        let image = layout.reference(samples::TAG);
        ucr.pull(&image);
        let words = [
            "run",
            "--name",
            "box",
            "--network",
            "none",
            "-e",
            "A=b",
            &image,
        ];
        let held = ucr.cmd([&words[..], &["sleep", "1000"]].concat()).spawn();
        let start = Instant::now();
        while ucr.run(["exec", "box", "true"]).code != 0 {
            assert!(start.elapsed() < LIMIT, "the container does not start");
        }
        let store = Store::open(&ucr.root()).unwrap();
        let states = States::open(&ucr.state()).unwrap();
        let container = states.find_running(&store, "box").unwrap();
        let process = container.process().unwrap();
        let task = Task {
            pid: process.pid,
            start_time: process.start_time,
        };
        let run = |command: &Command| -> anyhow::Result<Exit> {
            let command = native::Command {
                argv: command.argv(),
                ..native::Command::default()
            };
            native::exec(&container, &command, Streams::Own, &|| Ok(()))
        };
        let missing = ucr::checks::Subject::Command(Command::Argv(vec!["/no".into()]));
        let mesos =
            |subject, timeout| Check::mesos(subject, ms(0), pace(60_000, timeout), patience(0, 9));
        let checks = vec![
            mesos(shell("echo $A; exit 3"), 20_000),
            mesos(shell("test $A = b"), 20_000),
            mesos(shell("sleep 77 & trap '' TERM; sleep 77; sleep 77"), 6000),
            mesos(missing, 20_000),
            mesos(port(9, Question::Connect), 20_000),
        ];
        let mut watch = Watch::new(checks, Some(task), Box::new(&run)).unwrap();
        let mut all = events(&mut watch, ms(2000), |_| false);
        let sleeping = || {
            let list = ucr.run(["exec", "box", "ps", "-o", "args"]).ok().stdout;
            list.lines()
                .filter(|line| line.contains("sleep 77"))
                .count()
        };
        assert_eq!(sleeping(), 3, "the shell and two of its children");
        let left = 5 - all.len();
        all.extend(events(&mut watch, LIMIT, |it| it.len() == left));
        assert_eq!(sleeping(), 0);
        let mut causes = [const { None }; 5];
        for event in all {
            let Event::Health { index, standing } = event else {
                panic!("{event:?}");
            };
            causes[index] = standing.cause;
            let is_healthy = standing.state == State::Healthy;
            assert_eq!(is_healthy, index == 1, "{index}");
        }
        let refused = "connect to 127.0.0.1:9: Connection refused (os error 111)";
        let expected = [
            Some("exit code 3: b"),
            None,
            Some("no result within 6s"),
            Some("command '/no' is not in the image"),
            Some(refused),
        ];
        assert_eq!(causes.each_ref().map(Option::as_deref), expected);
        drop(watch);
        ucr.run(["rm", "-f", "box"]).ok();
        held.finish(LIMIT);
    });
}
