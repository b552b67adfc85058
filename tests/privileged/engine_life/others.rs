//! Containers of others, which ucr never touches.

use nix::sys::signal::Signal;

use super::host::{ENGINE, Host, LIMIT, SERVES};

fn docker(words: &[&str]) -> String {
    ENGINE.ask(words.iter().copied())
}

/// docker takes a word for a name before it takes it for the beginning of an ID.
#[test]
fn named_like_a_short_id() {
    let host = Host::new();
    let id = host.background(&["--name", "target"], SERVES);
    docker(&["create", "--name", &id, host.image.as_str(), "true"]);
    host.run(&["rm", &format!("{id}-no")])
        .refused(&["no container of ucr's"]);
    host.run(&["stop", "-t", "5", &id]).ok();
    host.run(&["rm", "target"]).ok();
    assert_eq!(
        docker(&["inspect", "--format", "{{.Name}}", &format!("/{id}")]),
        format!("/{id}")
    );
    docker(&["rm", &id]);
}

/// An image that was made of a container of ucr's has its labels, and so have the image's containers.
#[test]
fn of_an_image_that_was_committed() {
    let host = Host::new();
    let running = host.ready(&["--name", "committed"], SERVES);
    docker(&["commit", "committed", "committed:1"]);
    docker(&["create", "--name", "foreign", "committed:1", "true"]);
    host.run(&["rm", "foreign"])
        .refused(&["no container of ucr's"]);
    running.signal(Signal::SIGKILL);
    running.finish(LIMIT);
    host.run(&["inspect", "committed"])
        .refused(&["no container of ucr's"]);
    assert_eq!(
        docker(&["inspect", "--format", "{{.Name}}", "foreign"]),
        "/foreign"
    );
    docker(&["rm", "foreign"]);
    docker(&["image", "rm", "committed:1"]);
}
