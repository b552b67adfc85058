//! `volumes` (reference/mesos-ucr.md, section 3.9).

use std::path::Path;

use super::definition::{Containerizer, Place, TaskDefinition};
use super::value::{filled, pairs, refuse_all};
use super::{command, container};
use crate::error::escape;
use crate::frontend::marathon::{Item, Object};
use crate::image::Reference;
use crate::spec::mount::{Bind, ImageSource, Propagation, Source};
use crate::spec::{DockerParameter, Mount, SANDBOX, Secret, SecretSource, SecretTarget};

const OUTSIDE: &str = "leads out of the sandbox";

/// One of them.
pub(super) fn read(found: &mut TaskDefinition, item: &Item, place: &Place) -> Option<()> {
    let volume = item.object(&["container_path", "host_path", "mode", "image", "source"])?;
    let path = volume.required("container_path", "E:required")?;
    let target = path.filled()?;
    if goes_up(target) {
        path.refuse("E:range", "has '..' in it");
        return None;
    }
    let mode = volume.required("mode", "E:required")?;
    let is_read_only = mode.choice("E:type", &[("RW", false), ("RO", true)])?;
    let kinds = ["host_path", "image", "source"];
    if kinds.iter().filter(|key| volume.has(key)).count() > 1 {
        volume.refuse("E:volume", "only one of host_path, image and source can be");
        return None;
    }
    let of_source = match volume.get("source") {
        Some(source) => source_of(found, &source, target, is_read_only, place)?,
        None => None,
    };
    let source = match (volume.get("host_path"), volume.get("image")) {
        (Some(path), _) => {
            let text = path.filled()?;
            if !text.starts_with('/') && goes_up(text) {
                path.refuse("E:range", OUTSIDE);
            }
            Some(of_host(found, text, place))
        }
        (_, Some(image)) => Some(of_image(&image)?),
        _ if volume.has("source") => of_source,
        // A directory of the sandbox, of the same name.
        _ => Some(of_host(found, target, place)),
    };
    let mut mount = Mount::bind("/", target);
    mount.source = source?;
    mount.access.read_only = Some(is_read_only);
    found.spec.mounts.push(mount);
    Some(())
}

fn goes_up(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// Relative paths begin in the sandbox; links in there lead nowhere else.
fn of_host(found: &mut TaskDefinition, path: &str, place: &Place) -> Source {
    if !path.starts_with('/') {
        found.directories.push(path.to_owned());
    }
    let bind = match path.starts_with('/') {
        true => Bind {
            path: path.into(),
            ..Bind::default()
        },
        // Docker has no parts of binds.
        false if found.containerizer == Containerizer::Docker => Bind {
            path: place.sandbox.join(path),
            ..Bind::default()
        },
        false => Bind {
            path: place.sandbox.to_owned(),
            subpath: Some(path.into()),
            ..Bind::default()
        },
    };
    Source::Bind(bind)
}

fn of_image(item: &Item) -> Option<Source> {
    let image = item.object(&["type", "appc", "docker", "cached"])?;
    let docker = container::docker_image(&image)?;
    if !image.flag("cached", true) {
        let text = "a volume's image is pulled only if it is not there";
        image.refuse_at("cached", "W:no-effect", text);
    }
    let docker = docker.object(&["name", "credential", "config"])?;
    refuse_all(
        &docker,
        &[
            (
                "credential",
                "a volume's image has no credential of its own",
            ),
            ("config", "a volume's image has no credential of its own"),
        ],
    );
    let name = docker.required("name", "E:required")?;
    match name.filled()?.parse::<Reference>() {
        Ok(reference) => Some(Source::Image(ImageSource {
            name: reference.to_string(),
            subpath: None,
        })),
        Err(fault) => {
            name.refuse("E:image", escape(&fault.to_string()));
            None
        }
    }
}

/// `None` if it is wrong; `Some(None)` if it is no mount.
fn source_of(
    found: &mut TaskDefinition,
    item: &Item,
    target: &str,
    is_read_only: bool,
    place: &Place,
) -> Option<Option<Source>> {
    let keys = [
        "type",
        "docker_volume",
        "sandbox_path",
        "secret",
        "host_path",
        "csi_volume",
    ];
    let source = item.object(&keys)?;
    let kinds = [
        ("DOCKER_VOLUME", "docker_volume"),
        ("HOST_PATH", "host_path"),
        ("SANDBOX_PATH", "sandbox_path"),
        ("SECRET", "secret"),
        ("CSI_VOLUME", "csi_volume"),
    ];
    let kind = source.required("type", "E:required")?;
    let kind = kind.choice("E:type", &kinds)?;
    let body = source.required(kind, "E:required")?;
    match kind {
        "host_path" => {
            let host = body.object(&["path", "mount_propagation"])?;
            let path = host.required("path", "E:required")?;
            let text = path.filled()?;
            if !text.starts_with('/') {
                path.refuse("E:range", "is not absolute");
            }
            let mut source = of_host(found, text, place);
            if let Source::Bind(bind) = &mut source {
                bind.propagation = propagation(&host);
            }
            Some(Some(source))
        }
        "sandbox_path" => {
            let inner = body.object(&["type", "path"])?;
            let kinds = [("SELF", true), ("PARENT", true)];
            inner
                .required("type", "E:required")?
                .choice("E:type", &kinds)?;
            let path = inner.required("path", "E:required")?;
            let text = path.filled()?;
            if text.starts_with('/') || goes_up(text) {
                path.refuse("E:range", OUTSIDE);
            }
            Some(Some(of_host(found, text, place)))
        }
        "secret" => {
            let value = command::secret_value(&body)?;
            secret(found, target, &value, place);
            Some(None)
        }
        "docker_volume" => docker_volume(found, &body, target, is_read_only),
        _ => {
            body.refuse("E:unsupported", "volumes of CSI are not supported");
            None
        }
    }
}

fn propagation(host: &Object) -> Option<Propagation> {
    let item = host.get("mount_propagation")?;
    let propagation = item.object(&["mode"])?.get("mode")?;
    let modes = [
        ("HOST_TO_CONTAINER", Propagation::Rslave),
        ("BIDIRECTIONAL", Propagation::Rshared),
    ];
    propagation.choice("E:type", &modes)
}

fn secret(found: &mut TaskDefinition, target: &str, value: &[u8], place: &Place) {
    let sandbox = match found.spec.image.is_empty() {
        true => place.sandbox,
        false => Path::new(SANDBOX),
    };
    let name = format!("volume {target}");
    found.secrets.insert(name.clone(), value);
    found.spec.secrets.push(Secret {
        source: SecretSource::Given(name),
        target: SecretTarget::File(sandbox.join(target)),
    });
}

/// Only docker has drivers, and one for all volumes of a container.
fn docker_volume(
    found: &mut TaskDefinition,
    item: &Item,
    target: &str,
    is_read_only: bool,
) -> Option<Option<Source>> {
    let volume = item.object(&["driver", "name", "driver_options"])?;
    if found.containerizer == Containerizer::Mesos {
        item.refuse(
            "E:unsupported",
            "only containers of type DOCKER have volume drivers",
        );
        return None;
    }
    if let Some(options) = volume.get("driver_options")
        && !pairs(&options, "parameter").is_empty()
    {
        options.refuse(
            "E:unsupported",
            "docker takes options of a driver elsewhere",
        );
    }
    let name = volume.required("name", "E:required")?;
    let mode = if is_read_only { "ro" } else { "rw" };
    let mut add = |key: &str, value: String| {
        let parameter = DockerParameter {
            key: key.to_owned(),
            value,
        };
        if key == "volume" || !found.spec.docker_parameters.contains(&parameter) {
            found.spec.docker_parameters.push(parameter);
        }
    };
    add("volume", format!("{}:{target}:{mode}", name.filled()?));
    if let Some(driver) = filled(&volume, "driver") {
        add("volume-driver", driver);
    }
    Some(None)
}
