//! `linux_info`, `rlimit_info` and `tty_info` (reference/mesos-ucr.md, sections 4.7 to 4.11).

use super::definition::{Containerizer, Place, TaskDefinition};
use super::value::filled;
use crate::frontend::marathon::{Item, Object};
use crate::spec::{IpcMode, PidMode, Seccomp, Ulimit};

const KEYS: &[&str] = &[
    "capability_info",
    "bounding_capabilities",
    "effective_capabilities",
    "share_pid_namespace",
    "seccomp",
    "ipc_mode",
    "shm_size",
    "share_cgroups",
];

/// All of it; Docker Engine's containers have none of it.
pub(super) fn read(found: &mut TaskDefinition, container: &Object, place: &Place) {
    if found.containerizer == Containerizer::Docker {
        for key in ["linux_info", "rlimit_info"] {
            if let Some(item) = container.get(key) {
                item.advise(
                    "E:unsupported",
                    "is for containers of type MESOS",
                    "docker's parameters say the same: cap-add, ulimit, security-opt",
                );
            }
        }
    } else {
        if let Some(info) = container.get("linux_info") {
            linux(found, &info, place);
        }
        if let Some(info) = container.get("rlimit_info") {
            rlimits(found, &info);
        }
    }
    found.spec.tty = container.has("tty_info");
    if let Some(info) = container
        .get("tty_info")
        .and_then(|it| it.object(&["window_size"]))
        && info.has("window_size")
    {
        info.refuse_at(
            "window_size",
            "W:no-effect",
            "nobody looks at this terminal",
        );
    }
}

fn linux(found: &mut TaskDefinition, item: &Item, place: &Place) -> Option<()> {
    let info = item.object(KEYS)?;
    capabilities(found, &info);
    if info.flag("share_pid_namespace", false) {
        found.spec.sharing.pid = Some(PidMode::Host);
    }
    if !info.flag("share_cgroups", true) {
        info.refuse_at(
            "share_cgroups",
            "W:no-effect",
            "each task has cgroups of its own anyway",
        );
    }
    if let Some(seccomp) = info.get("seccomp") {
        found.spec.security.seccomp = filter(&seccomp, place);
    }
    let modes = [
        ("PRIVATE", true),
        ("SHARE_PARENT", false),
        ("UNKNOWN", true),
    ];
    let is_private = info
        .get("ipc_mode")
        .and_then(|it| it.choice("E:type", &modes));
    if is_private == Some(false) {
        found.spec.sharing.ipc = Some(IpcMode::Host);
    }
    if let Some(size) = info.get("shm_size") {
        if is_private != Some(true) {
            size.refuse("E:shm-size", "needs the ipc_mode PRIVATE");
        }
        let mib = size
            .whole(1..=1 << 32)
            .and_then(|it| u64::try_from(it).ok());
        found.spec.resources.shm_size = mib.map(|mib| mib << 20);
    }
    Some(())
}

/// Exactly those that are said.
fn capabilities(found: &mut TaskDefinition, info: &Object) {
    let old = list(info, "capability_info");
    let new = list(info, "effective_capabilities");
    if old.is_some() && new.is_some() {
        info.refuse_at(
            "capability_info",
            "E:capabilities",
            "effective_capabilities are there, too",
        );
    }
    let (effective, bounding) = (new.or(old), list(info, "bounding_capabilities"));
    if let (Some(effective), Some(bounding)) = (&effective, &bounding) {
        let path = "bounding_capabilities";
        if !effective.iter().all(|name| bounding.contains(name)) {
            info.refuse_at(
                path,
                "E:capabilities",
                "some of the effective ones are not in it",
            );
        } else if effective.len() != bounding.len() {
            info.refuse_at(
                path,
                "E:unsupported",
                "has to be the same as the effective ones",
            );
        }
    }
    if let Some(all) = effective.or(bounding) {
        found.spec.security.cap_drop = vec!["ALL".to_owned()];
        found.spec.security.cap_add = all;
    }
}

fn list(info: &Object, key: &str) -> Option<Vec<String>> {
    let item = info.get(key)?;
    let names = item.object(&["capabilities"])?.get("capabilities");
    let mut all = names.map_or(Some(Vec::new()), |it| it.texts())?;
    all.sort();
    all.dedup();
    Some(all)
}

fn filter(item: &Item, place: &Place) -> Option<Seccomp> {
    let seccomp = item.object(&["profile_name", "unconfined"])?;
    let name = filled(&seccomp, "profile_name");
    match (name, seccomp.flag("unconfined", false)) {
        (Some(_), true) => {
            item.refuse("E:seccomp", "has a profile and is unconfined");
            None
        }
        (None, false) => {
            item.refuse("E:seccomp", "names no profile");
            None
        }
        (None, true) => Some(Seccomp::Unconfined),
        (Some(name), false) if name.contains('/') || name == ".." => {
            seccomp.refuse_at(
                "profile_name",
                "E:seccomp",
                "is a file's name without a directory",
            );
            None
        }
        (Some(name), false) => Some(Seccomp::File(place.seccomp.join(name))),
    }
}

fn rlimits(found: &mut TaskDefinition, item: &Item) {
    let limits = item.object(&["rlimits"]);
    let limits = limits.and_then(|it| it.get("rlimits")?.objects());
    let limits = limits.unwrap_or_default();
    let all = limits.iter().filter_map(rlimit);
    found.spec.resources.ulimits.extend(all);
}

/// Both numbers or none, which is unlimited.
fn rlimit(item: &Item) -> Option<Ulimit> {
    let limit = item.object(&["type", "hard", "soft"])?;
    let kind = limit.required("type", "E:required")?;
    let name = kind.text()?.strip_prefix("RLMT_").unwrap_or_default();
    let number = |key: &str| match limit.get(key) {
        None => Some(None),
        Some(item) => match item.value().as_str() {
            Some(text) => Some(text.parse::<i64>().ok().filter(|it| *it >= 0)),
            None => item.whole(0..=i64::MAX).map(Some),
        },
    };
    let (soft, hard) = match (number("soft")?, number("hard")?) {
        (Some(soft), Some(hard)) => (soft, hard),
        (None, None) => (-1, -1),
        _ => {
            item.refuse("E:rlimit", "needs both soft and hard, or none of them");
            return None;
        }
    };
    let text = format!("{}={soft}:{hard}", name.to_ascii_lowercase());
    match text.parse() {
        Ok(limit) => Some(limit),
        Err(_) => {
            item.refuse("E:rlimit", "there is no such limit, or soft is above hard");
            None
        }
    }
}
