//! `container.docker`.

use super::draft::{DraftContainer, OldNetwork};
use super::reader::{Item, Object};
use super::{Settings, env, ports};
use crate::error;
use crate::frontend::marathon::app::{
    Credential, Docker, Parameter, PortMapping, SecretName, Type,
};
use crate::image::Reference;

const KEYS: &[&str] = &[
    "image",
    "forcePullImage",
    "pullConfig",
    "credential",
    "privileged",
    "parameters",
    "network",
    "portMappings",
];

/// The image and how it is got; the old forms go beside it.
pub fn read(item: &Item, kind: Type, settings: &Settings, draft: &mut DraftContainer) {
    let Some(docker) = item.object(KEYS) else {
        // Something is there, but nobody knows what.
        draft.docker = Some(EMPTY);
        return;
    };
    let read = Docker {
        image: image(&docker),
        force_pull_image: docker.flag("forcePullImage", false),
        pull_config: pull_config(&docker, kind),
        credential: credential(&docker, kind),
        privileged: privileged(&docker, kind, settings),
        parameters: parameters(&docker, kind, settings),
    };
    draft.docker = Some(read);
    draft.docker_network = network(&docker, kind);
    draft.docker_mappings = mappings(&docker, kind);
}

const EMPTY: Docker = Docker {
    image: String::new(),
    force_pull_image: false,
    pull_config: None,
    credential: None,
    privileged: false,
    parameters: Vec::new(),
};

fn image(docker: &Object) -> String {
    let Some(item) = docker.required("image", "E:image-empty") else {
        return String::new();
    };
    let Some(image) = item.text() else {
        return String::new();
    };
    if image.is_empty() {
        item.refuse("E:image-empty", "is empty");
    } else if let Err(fault) = image.parse::<Reference>() {
        let fault = fault.into();
        let text = error::render(&fault);
        match error::hint(&fault) {
            Some(hint) => item.advise("E:image-ref", text, hint),
            None => item.refuse("E:image-ref", text),
        }
    }
    image.to_owned()
}

fn pull_config(docker: &Object, kind: Type) -> Option<SecretName> {
    let item = docker.get("pullConfig")?;
    if kind == Type::Docker {
        let text = "a secret to pull with is for containers of type MESOS";
        let hint = "use \"type\": \"MESOS\", or fetch an archive with .docker/config.json";
        item.advise("E:pullconfig-docker", text, hint);
    }
    env::secret_name(&item)
}

fn credential(docker: &Object, kind: Type) -> Option<Credential> {
    let item = docker.get("credential")?;
    if kind == Type::Docker {
        let text = "credentials are for containers of type MESOS";
        item.refuse("E:credential-docker", text);
    } else if docker.has("pullConfig") {
        let text = "can't be together with 'pullConfig'";
        item.advise("E:credential-and-pullconfig", text, "keep 'pullConfig'");
    } else {
        let text = "a password in the definition is deprecated";
        let hint = "use 'pullConfig' with a secret";
        item.advise("W:credential-deprecated", text, hint);
    }
    let credential = item.object(&["principal", "secret"])?;
    let principal = credential.required("principal", "E:type")?.text()?;
    Some(Credential {
        principal: principal.to_owned(),
        secret: credential.text("secret"),
    })
}

fn privileged(docker: &Object, kind: Type, settings: &Settings) -> bool {
    let Some(item) = docker.get("privileged") else {
        return false;
    };
    let privileged = item.flag().unwrap_or(false);
    if privileged && kind == Type::Mesos && !settings.allow_privileged {
        let text = "privileged containers only work with the Docker runtime";
        let hint = "use \"type\": \"DOCKER\", or allow it with --allow-privileged";
        item.advise("E:privileged-ucr", text, hint);
    }
    privileged
}

fn parameters(docker: &Object, kind: Type, settings: &Settings) -> Vec<Parameter> {
    let Some(item) = docker.get("parameters") else {
        return Vec::new();
    };
    let items = item.objects().unwrap_or_default();
    if !items.is_empty() && kind == Type::Mesos && !settings.allow_parameters {
        let text = "options of docker run only work with the Docker runtime";
        let hint = "use \"type\": \"DOCKER\", or allow them with --allow-parameters";
        item.advise("E:parameters-ucr", text, hint);
    }
    items.iter().filter_map(parameter).collect()
}

fn parameter(item: &Item) -> Option<Parameter> {
    let parameter = item.object(&["key", "value"])?;
    let key = parameter.required("key", "E:parameter-key");
    let value = parameter.required("value", "E:type");
    let value = value.and_then(|item| item.text());
    let key = key.and_then(|item| {
        let key = item.text()?;
        if key.is_empty() {
            item.refuse("E:parameter-key", "is empty");
        }
        Some(key)
    });
    Some(Parameter {
        key: key?.to_owned(),
        value: value?.to_owned(),
    })
}

fn network(docker: &Object, kind: Type) -> Option<OldNetwork> {
    const NETWORKS: [(&str, OldNetwork); 4] = [
        ("BRIDGE", OldNetwork::Bridge),
        ("HOST", OldNetwork::Host),
        ("NONE", OldNetwork::None),
        ("USER", OldNetwork::User),
    ];
    let item = docker.get("network")?;
    let network = item.choice("E:type", &NETWORKS);
    if kind == Type::Mesos {
        let text = "this old form is for containers of type DOCKER";
        item.advise("E:network-ucr", text, "use 'networks' of the app");
        return None;
    }
    if network == Some(OldNetwork::None) {
        let text = "a container without a network is not possible here";
        item.refuse("E:network-none", text);
    }
    network
}

fn mappings(docker: &Object, kind: Type) -> Option<Vec<PortMapping>> {
    let item = docker.get("portMappings")?;
    let mappings = ports::mappings(docker, "portMappings")?;
    if kind == Type::Mesos {
        if !mappings.is_empty() {
            let text = "this old place is for containers of type DOCKER";
            let hint = "move it up: 'portMappings' of the container";
            item.advise("E:docker-portmappings-ucr", text, hint);
        }
        return None;
    }
    Some(mappings)
}
