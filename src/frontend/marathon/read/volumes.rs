//! `container.volumes`. Of which kind a volume is, its keys say.

use std::collections::BTreeMap;

use serde_json::Map;

use super::pattern::{is_label, is_option_key};
use super::reader::{Item, MAX_WHOLE, Object};
use crate::frontend::marathon::app::{External, Mode, Persistent, Type, Volume, VolumeKind};

const KEYS: &[&str] = &[
    "containerPath",
    "mode",
    "persistent",
    "external",
    "secret",
    "hostPath",
];
/// In the order in which Marathon tries them.
const KINDS: [&str; 4] = ["persistent", "external", "secret", "hostPath"];
/// The key of [`External::options`] that names the driver.
pub const DRIVER: &str = "dvdi/driver";

/// Each with its index.
pub fn read(container: &Object, kind: Type) -> Vec<(usize, Volume)> {
    let items = container.get("volumes").and_then(|item| item.objects());
    let items = items.unwrap_or_default();
    let volumes = items.iter().map(|item| volume(item, kind)).enumerate();
    volumes
        .filter_map(|(index, volume)| Some((index, volume?)))
        .collect()
}

fn volume(item: &Item, kind: Type) -> Option<Volume> {
    let volume = item.object(KEYS)?;
    let path = volume.required("containerPath", "E:type");
    let path = path.and_then(|item| Some((item.filled()?.to_owned(), item)));
    let kinds: Vec<&str> = KINDS.into_iter().filter(|key| volume.has(key)).collect();
    let Some(chosen) = kinds.first() else {
        let text = format!("has none of {}", KINDS.join(", "));
        volume.refuse("E:volume-kind", text);
        return None;
    };
    if kinds.len() > 1 {
        let text = format!("has {}; only the first counts", kinds.join(" and "));
        volume.refuse("W:volume-extra", text);
    }
    let value = volume.get(chosen)?;
    let mode = mode(&volume, *chosen == "secret");
    let kind = match *chosen {
        "persistent" => persistent(&value, mode).map(VolumeKind::Persistent),
        "external" => external(&value, kind).map(VolumeKind::External),
        "secret" => secret(&value, kind).map(VolumeKind::Secret),
        _ => value.filled().map(|path| VolumeKind::Host(path.to_owned())),
    };
    let (container_path, item) = path?;
    check_path(&item, &container_path, chosen);
    let kind = kind?;
    if let VolumeKind::Host(host) = &kind
        && !host.starts_with('/')
        && !container_path.starts_with('/')
    {
        let text = "one of hostPath and containerPath has to be absolute";
        volume.refuse("E:volume-both-relative", text);
    }
    Some(Volume {
        container_path,
        mode,
        kind,
    })
}

fn mode(volume: &Object, is_secret: bool) -> Option<Mode> {
    const MODES: [(&str, Mode); 2] = [("RO", Mode::Ro), ("RW", Mode::Rw)];
    let Some(item) = volume.get("mode") else {
        if !is_secret {
            volume.refuse_at("mode", "E:volume-mode", "is required: RO or RW");
        }
        return None;
    };
    let mode = item.choice("E:volume-mode", &MODES);
    mode.filter(|_| !is_secret)
}

fn check_path(item: &Item, path: &str, kind: &str) {
    let is_dots = matches!(path, "." | "..");
    match kind {
        "persistent" if is_dots || path.contains('/') => {
            let text = "has to be a plain name: it is a directory of the sandbox";
            let hint = "add a host volume with this name as hostPath to see it elsewhere";
            item.advise("E:persistent-path", text, hint);
        }
        "external" if is_dots => item.refuse("E:range", "has to name a directory"),
        _ => {}
    }
}

fn secret<'a>(item: &Item<'a>, kind: Type) -> Option<String> {
    let name: Option<&'a str> = item.text();
    if kind == Type::Docker {
        let text = "secrets as files are for containers of type MESOS";
        let hint = "say \"type\": \"MESOS\": without a type it is DOCKER";
        item.advise("E:secret-volume-docker", text, hint);
    }
    name.map(str::to_owned)
}

fn persistent(item: &Item, mode: Option<Mode>) -> Option<Persistent> {
    const TYPES: [(&str, &str); 3] = [("root", "root"), ("path", "path"), ("mount", "mount")];
    const KEYS: &[&str] = &["type", "size", "maxSize", "profileName", "constraints"];
    let volume = item.object(KEYS)?;
    if mode == Some(Mode::Ro) {
        volume.refuse("E:persistent-ro", "a persistent volume has to be RW");
    }
    let kind = volume
        .get("type")
        .and_then(|item| item.choice("E:type", &TYPES));
    let has_profile = volume
        .get("profileName")
        .is_some_and(|it| it.filled().is_some());
    let kind = kind.unwrap_or(if has_profile { "mount" } else { "root" });
    let size = volume
        .required("size", "E:persistent-size")
        .and_then(|item| item.whole(i64::MIN..=i64::MAX).map(|size| (item, size)));
    if let Some((item, ..=0)) = &size {
        item.refuse("E:persistent-size", "has to be more than 0 MiB");
    }
    let size = size.map_or(0, |(_, size)| size);
    max_size(&volume, kind, size);
    constraints(&volume, kind);
    let rest = ["maxSize", "profileName", "constraints"].into_iter();
    let rest = rest.filter_map(|key| Some((key.to_owned(), volume.get(key)?.value().clone())));
    Some(Persistent {
        kind: kind.to_owned(),
        size: u64::try_from(size).unwrap_or_default(),
        rest: rest.collect::<Map<_, _>>(),
    })
}

fn max_size(volume: &Object, kind: &str, size: i64) {
    let Some(item) = volume.get("maxSize") else {
        return;
    };
    let most = item.whole(i64::MIN..=i64::MAX);
    if kind != "mount" {
        item.refuse("E:persistent-maxsize", "is only for the type mount");
    } else if most.is_some_and(|most| most <= size) {
        item.refuse("E:persistent-maxsize", "has to be more than the size");
    }
}

fn constraints(volume: &Object, kind: &str) {
    let Some(item) = volume.get("constraints") else {
        return;
    };
    let items = item.objects().unwrap_or_default();
    if kind == "root" && !items.is_empty() {
        item.refuse("E:persistent-constraints", "are not for the type root");
    }
    for item in items {
        let words = item.texts().unwrap_or_default();
        let is_known = matches!(&words[..], [path, operator, pattern]
            if path == "path" && matches!(&operator[..], "LIKE" | "UNLIKE") && !pattern.is_empty());
        if !is_known {
            let text = "has to be [\"path\", \"LIKE\" or \"UNLIKE\", pattern]";
            item.refuse("E:persistent-constraints", text);
        }
    }
}

fn external(item: &Item, kind: Type) -> Option<External> {
    const KEYS: &[&str] = &["name", "provider", "size", "options", "shared"];
    let volume = item.map()?;
    let provider = volume.required("provider", "E:type")?.text()?.to_owned();
    if !provider.eq_ignore_ascii_case("dvdi") || kind == Type::Mesos {
        let text = match kind {
            Type::Mesos => "external volumes are for containers of type DOCKER here",
            Type::Docker => "only external volumes of the provider dvdi are supported",
        };
        volume.refuse("E:external-unsupported", text);
        return None;
    }
    let volume = item.object(KEYS)?;
    let name = volume.required("name", "E:type");
    let name = name.and_then(|item| item.filled());
    if let Some(item) = volume.get("size") {
        item.whole(0..=MAX_WHOLE);
        let text = "Docker's volume drivers take no size";
        item.refuse("E:external-option", text);
    }
    let options = options(&volume);
    Some(External {
        name: name?.to_owned(),
        provider: "dvdi".to_owned(),
        shared: volume.flag("shared", false),
        options: options?,
    })
}

fn options(volume: &Object) -> Option<BTreeMap<String, String>> {
    let options = volume.required("options", "E:type")?.map()?;
    let mut all = BTreeMap::new();
    for (key, item) in options.entries() {
        if key != DRIVER {
            let why = match is_option_key(key) {
                true => "Docker's volume drivers are only told their name, 'dvdi/driver'",
                false => "has to be of the form 'space/name'",
            };
            item.refuse("E:external-option", why);
        } else if let Some(driver) = item.text() {
            if !is_label(driver) {
                let text = "may have lower-case letters, digits, and '-' between them";
                item.refuse("E:pattern", text);
            }
            all.insert(key.to_owned(), driver.to_owned());
        }
    }
    options.required(DRIVER, "E:type")?;
    Some(all)
}
