//! `container` and `container.linuxInfo`.

use super::draft::DraftContainer;
use super::reader::{Item, Object};
use super::{Settings, docker, ports, volumes};
use crate::frontend::marathon::app::{IpcInfo, IpcMode, LinuxInfo, Seccomp, Type};

const KEYS: &[&str] = &[
    "type",
    "docker",
    "portMappings",
    "volumes",
    "linuxInfo",
    "appc",
];

/// The container of an app.
pub fn read(top: &Object, kind: Type, settings: &Settings) -> Option<DraftContainer> {
    let Some(item) = top.get("container") else {
        if kind == Type::Docker {
            without_image(top, "container/docker");
        }
        return None;
    };
    let Some(container) = item.object(KEYS) else {
        // Something is there, but nobody knows what.
        return Some(DraftContainer::default());
    };
    let mut draft = DraftContainer::default();
    match container.get("docker") {
        Some(item) => docker::read(&item, kind, settings, &mut draft),
        None if kind == Type::Docker => without_image(&container, "docker"),
        None => {}
    }
    draft.port_mappings = ports::mappings(&container, "portMappings");
    draft.volumes = volumes::read(&container, kind);
    if let Some(item) = container.get("linuxInfo") {
        if kind == Type::Docker {
            let text = "seccomp and IPC settings are for containers of type MESOS";
            item.refuse("E:linuxinfo-docker", text);
        }
        draft.linux_info = linux_info(&item);
    }
    if let Some(item) = container.get("appc") {
        let hint = "use a Docker image: 'docker' with 'image'";
        item.advise("E:appc", "AppC images are not supported", hint);
    }
    Some(draft)
}

fn without_image(object: &Object, key: &str) {
    let text = "a container of type DOCKER, which is the default, needs an image";
    let hint = "add \"docker\": {\"image\": NAME}, or say \"type\": \"MESOS\" for a container \
                without one";
    object.advise_at(key, "E:docker-required", text, hint);
}

fn linux_info(item: &Item) -> Option<LinuxInfo> {
    let info = item.object(&["seccomp", "ipcInfo"])?;
    Some(LinuxInfo {
        seccomp: info.get("seccomp").and_then(|item| seccomp(&item)),
        ipc_info: info.get("ipcInfo").and_then(|item| ipc_info(&item)),
    })
}

fn seccomp(item: &Item) -> Option<Seccomp> {
    let seccomp = item.object(&["profileName", "unconfined"])?;
    let profile = seccomp.get("profileName");
    let is_named = profile.is_some();
    let profile_name = profile.and_then(|item| item.filled()).map(str::to_owned);
    let unconfined = seccomp.flag("unconfined", false);
    if is_named == unconfined {
        let text = match unconfined {
            true => "has both a profile and \"unconfined\": true",
            false => "has neither a profile nor \"unconfined\": true",
        };
        let hint = "say either \"profileName\" or \"unconfined\": true";
        seccomp.advise("E:seccomp-combination", text, hint);
    }
    Some(Seccomp {
        profile_name,
        unconfined,
    })
}

fn ipc_info(item: &Item) -> Option<IpcInfo> {
    const MODES: [(&str, IpcMode); 2] = [
        ("PRIVATE", IpcMode::Private),
        ("SHARE_PARENT", IpcMode::ShareParent),
    ];
    let info = item.object(&["mode", "shmSize"])?;
    let mode = info
        .required("mode", "E:type")
        .and_then(|item| item.choice("E:type", &MODES));
    let size = info.get("shmSize");
    if let Some(size) = &size
        && mode == Some(IpcMode::ShareParent)
    {
        let text = "the host's shared memory can't be given a size";
        size.advise("E:shm-share", text, "use \"mode\": \"PRIVATE\"");
    }
    Some(IpcInfo {
        mode: mode?,
        shm_size: size
            .and_then(|item| item.whole(0..=super::reader::MAX_WHOLE))
            .and_then(|it| u64::try_from(it).ok()),
    })
}
