//! An Engine that goes away and comes back.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::host::{Host, LIMIT, SERVES, image};
use crate::support::engine::Engine;

#[test]
fn stopped_and_started() {
    let engine = Engine::new();
    let image = image(&engine);
    let host = Host::of(&engine, &image);
    let kept = host.background(&["--name", "kept"], SERVES);

    // For good, as far as ucr can know. Its container ends with it.
    let flags = ["--engine-timeout", "1s", "--name", "box"];
    let run = host.ready(&flags, SERVES);
    engine.stop();
    let gone = run.finish(LIMIT).expect_code(125);
    assert!(
        gone.stderr.contains("Docker Engine went away while it ran"),
        "{}",
        gone.stderr
    );
    assert_eq!(host.private().len(), 1, "it is noted");
    host.run(&["ps"])
        .refused(&["Docker Engine does not answer"]);
    engine.start();
    let ps = host.run(&["ps", "--all", "--quiet"]).ok();
    assert_eq!(ps.text(), kept, "the other one is removed");
    assert_eq!(host.private().len(), 0);
    assert_eq!(host.inspect("kept")["status"], "exited");
    host.run(&["rm", "kept"]).ok();

    // For a moment: the container has ended, and how is known.
    let run = host.ready(&["--name", "box"], SERVES);
    engine.stop();
    engine.start();
    run.finish(LIMIT).expect_code(9);

    // It hangs: whoever asks for the end gets it.
    let run = host.ready(&["--engine-timeout", "1s", "--name", "box"], SERVES);
    engine.hang();
    let begin = std::time::Instant::now();
    run.signal(Signal::SIGTERM);
    run.finish(LIMIT).expect_code(125);
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    let ps = ["--engine-timeout", "1s", "ps"];
    host.run(&ps)
        .refused(&["no answer to 'docker version' within 1s"]);
    engine.resume();
    host.run(&["ps", "--all", "--quiet"]).ok();
    assert_eq!(engine.ask(["ps", "--all", "--quiet"]), "");
    assert_eq!(host.private().len(), 0);
}
