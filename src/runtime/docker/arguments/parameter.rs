//! Options in docker's own words, after all others.

use super::words::Words;
use crate::error::{Fault, Kind};
use crate::spec::ContainerSpec;

/// What would take the container out of ucr's hands, and the word for it.
const OURS: [(&str, &str, &str); 15] = [
    ("attach", "ucr attaches itself", "say --attach"),
    (
        "cidfile",
        "ucr writes it when the container has its ID",
        "say --cidfile",
    ),
    (
        "detach",
        "ucr waits for the container, or not",
        "say --detach",
    ),
    ("detach-keys", "ucr has the terminal", "say --detach-keys"),
    (
        "help",
        "docker would make no container",
        "run 'docker create --help'",
    ),
    (
        "interactive",
        "ucr passes standard input on",
        "say --interactive",
    ),
    (
        "label-file",
        "ucr knows its containers by labels of its own",
        "say --label-file",
    ),
    (
        "name",
        "ucr finds the container by the name it gives",
        "say --name",
    ),
    ("platform", "ucr has chosen the image", "say --platform"),
    ("pull", "ucr has pulled the image", "say --pull"),
    ("quiet", "ucr has pulled the image", "say --quiet"),
    (
        "restart",
        "ucr waits for the end of the last one",
        "say --restart",
    ),
    ("rm", "ucr reads how it ended, then removes it", "say --rm"),
    ("sig-proxy", "ucr passes signals on", "say --sig-proxy"),
    ("tty", "ucr has the terminal", "say --tty"),
];

pub(super) fn add(spec: &ContainerSpec, words: &mut Words) -> Result<(), Fault> {
    for (place, parameter) in spec.docker_parameters.iter().enumerate() {
        let key = &parameter.key;
        if let Some((_, why, instead)) = OURS.iter().find(|(ours, ..)| ours == key) {
            let message = format!("docker_parameters[{place}] (--docker-param {key}): {why}");
            return Err(Fault::new(Kind::Unsupported, message).hint(*instead));
        }
        words.option(&format!("--{key}"), &parameter.value);
    }
    Ok(())
}
