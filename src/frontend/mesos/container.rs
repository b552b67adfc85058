//! ContainerInfo, MesosInfo and DockerInfo.

use super::definition::{Containerizer, Place, TaskDefinition};
use super::value::{filled, refuse_all};
use super::{command, isolation, network, volumes};
use crate::error::escape;
use crate::frontend::marathon::{Item, Object};
use crate::image::Reference;
use crate::spec::{DockerParameter, SANDBOX};

const KEYS: &[&str] = &[
    "type",
    "volumes",
    "docker",
    "hostname",
    "mesos",
    "network_infos",
    "linux_info",
    "rlimit_info",
    "tty_info",
];

const KINDS: [(&str, Containerizer); 2] = [
    ("MESOS", Containerizer::Mesos),
    ("DOCKER", Containerizer::Docker),
];

/// All of it.
pub(super) fn read(found: &mut TaskDefinition, item: &Item, place: &Place) {
    let Some(container) = item.object(KEYS) else {
        return;
    };
    let kind = container.required("type", "E:required");
    let Some(kind) = kind.and_then(|it| it.choice("E:type", &KINDS)) else {
        return;
    };
    found.containerizer = kind;
    found.spec.hostname = filled(&container, "hostname");
    match kind {
        Containerizer::Mesos => mesos(found, &container),
        Containerizer::Docker => docker(found, &container),
    }
    let directory = match found.spec.image.is_empty() {
        true => place.sandbox.display().to_string(),
        false => SANDBOX.to_owned(),
    };
    found.spec.fallback_working_dir = match kind {
        Containerizer::Mesos => Some(directory),
        Containerizer::Docker => None,
    };
    network::read(found, &container, place);
    let volumes = container.get("volumes").and_then(|it| it.objects());
    for volume in volumes.unwrap_or_default() {
        volumes::read(found, &volume, place);
    }
    isolation::read(found, &container, place);
}

/// Without an image it is the host's own filesystem.
fn mesos(found: &mut TaskDefinition, container: &Object) {
    refuse_all(container, &[("docker", "is for containers of type DOCKER")]);
    let info = container.get("mesos").and_then(|it| it.object(&["image"]));
    match info.and_then(|it| it.get("image")) {
        Some(image) => {
            self::image(found, &image);
        }
        None if found.spec.image.is_empty() => found.spec.rootfs = Some("/".into()),
        None => (),
    }
}

/// `Image`: its name is what the container's files are.
fn image(found: &mut TaskDefinition, item: &Item) -> Option<()> {
    let image = item.object(&["type", "appc", "docker", "cached"])?;
    let docker = docker_image(&image)?;
    found.force_pull = !image.flag("cached", true);
    let docker = docker.object(&["name", "credential", "config"])?;
    refuse_all(
        &docker,
        &[("credential", "Mesos never used it: say a 'config'")],
    );
    if let Some(config) = docker.get("config")
        && let Some(value) = command::secret_value(&config)
    {
        const NAME: &str = "image config";
        found.secrets.insert(NAME, &value);
        found.pull_secret = Some(NAME.to_owned());
    }
    name(found, &docker.required("name", "E:required")?);
    Some(())
}

/// What says which image of docker's it is.
pub(super) fn docker_image<'a>(image: &Object<'a>) -> Option<Item<'a>> {
    let is_docker = image.required("type", "E:required")?;
    let is_docker = is_docker.choice("E:type", &[("DOCKER", true), ("APPC", false)])?;
    if !is_docker {
        image.refuse_at("type", "E:unsupported", "images of appc are not supported");
        return None;
    }
    image.required("docker", "E:required")
}

/// An image's name.
pub(super) fn name(found: &mut TaskDefinition, item: &Item) {
    let Some(text) = item.filled() else { return };
    match text.parse::<Reference>() {
        Ok(_) if !found.spec.image.is_empty() => {
            item.refuse("E:image", "the label ucr.image says one, too");
        }
        Ok(reference) => found.spec.image = reference.to_string(),
        Err(fault) => item.refuse("E:image", escape(&fault.to_string())),
    }
}

fn docker(found: &mut TaskDefinition, container: &Object) {
    refuse_all(container, &[("mesos", "is for containers of type MESOS")]);
    let info = container.required("docker", "E:required");
    let info = info.and_then(|it| {
        it.object(&[
            "image",
            "network",
            "port_mappings",
            "privileged",
            "parameters",
            "force_pull_image",
            "volume_driver",
        ])
    });
    let Some(info) = info else { return };
    if let Some(image) = info.required("image", "E:required") {
        name(found, &image);
    }
    found.force_pull = info.flag("force_pull_image", false);
    found.spec.security.privileged = info.flag("privileged", false);
    let parameters = info.get("parameters").and_then(|it| it.objects());
    for item in parameters.unwrap_or_default() {
        parameter(found, &item);
    }
    if let Some(driver) = filled(&info, "volume_driver") {
        found.spec.docker_parameters.push(DockerParameter {
            key: "volume-driver".to_owned(),
            value: driver,
        });
    }
}

fn parameter(found: &mut TaskDefinition, item: &Item) {
    let Some(pair) = item.object(&["key", "value"]) else {
        return;
    };
    let Some(key) = pair.required("key", "E:required") else {
        return;
    };
    let Some(text) = key.filled() else { return };
    let parameter = DockerParameter {
        key: text.to_owned(),
        value: pair.text("value").unwrap_or_default(),
    };
    match (parameter.check(), text) {
        (_, "name") => key.refuse("E:unsupported", "the name is ucr's to give"),
        (Err(fault), _) => key.refuse("E:range", escape(&fault.to_string())),
        (Ok(()), _) => found.spec.docker_parameters.push(parameter),
    }
}
