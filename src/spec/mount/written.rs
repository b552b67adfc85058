//! A mount as it is written down: one flat list of fields, in JSON and as the command line fills
//! it. What makes no sense for a type of mount is refused by the field's name.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Access, Bind, IdMap, ImageSource, Mount, Propagation, Recursive, Source, Tmpfs, Volume,
};

/// Longest name of a volume, in bytes: it is a file name.
const MAX_NAME: usize = 255;

/// The type of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    Bind,
    Tmpfs,
    #[default]
    Volume,
    Image,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Tmpfs => "tmpfs",
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }
}

/// All fields of all types.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(rename = "type")]
    pub(super) kind: Type,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    pub(super) target: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) read_only: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) no_exec: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) no_suid: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) no_dev: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) recursive: Option<Recursive>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) propagation: Option<Propagation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) idmap: Option<IdMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    /// Octal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) no_copy: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subpath: Option<PathBuf>,
}

impl TryFrom<Written> for Mount {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        written.check_fields()?;
        check_target(&written.target)?;
        if let Some(subpath) = &written.subpath {
            check_subpath(subpath)?;
        }
        let source = match written.kind {
            Type::Bind => Source::Bind(written.bind()?),
            Type::Tmpfs => Source::Tmpfs(written.tmpfs()?),
            Type::Volume => Source::Volume(written.volume()?),
            Type::Image => Source::Image(ImageSource {
                name: written.required_source("the image's name")?,
                subpath: written.subpath.clone(),
            }),
        };
        Ok(Self {
            target: written.target,
            access: Access {
                read_only: written.read_only,
                no_exec: written.no_exec,
                no_suid: written.no_suid,
                no_dev: written.no_dev,
            },
            source,
        })
    }
}

impl Written {
    /// Every field that not all types have, and which have it.
    fn check_fields(&self) -> Result<(), String> {
        use Type::{Bind, Image, Tmpfs, Volume};
        let fields: [(&str, bool, &[Type]); 10] = [
            ("source", self.source.is_some(), &[Bind, Volume, Image]),
            ("recursive", self.recursive.is_some(), &[Bind]),
            ("propagation", self.propagation.is_some(), &[Bind]),
            ("idmap", self.idmap.is_some(), &[Bind]),
            ("size", self.size_bytes.is_some(), &[Tmpfs]),
            ("mode", self.mode.is_some(), &[Tmpfs]),
            ("uid", self.uid.is_some(), &[Tmpfs]),
            ("gid", self.gid.is_some(), &[Tmpfs]),
            ("nocopy", self.no_copy.is_some(), &[Volume]),
            ("subpath", self.subpath.is_some(), &[Bind, Volume, Image]),
        ];
        for (name, is_set, types) in fields {
            if is_set && !types.contains(&self.kind) {
                return Err(format!(
                    "'{name}' has no meaning for type {}",
                    self.kind.name()
                ));
            }
        }
        Ok(())
    }

    fn required_source(&self, what: &str) -> Result<String, String> {
        let source = self.source.clone().filter(|source| !source.is_empty());
        source.ok_or_else(|| format!("the source is missing: {what}"))
    }

    fn bind(&self) -> Result<Bind, String> {
        Ok(Bind {
            path: self
                .required_source("a file or directory of the host")?
                .into(),
            subpath: self.subpath.clone(),
            recursive: self.recursive,
            propagation: self.propagation,
            idmap: self.idmap.clone(),
        })
    }

    fn tmpfs(&self) -> Result<Tmpfs, String> {
        let mode = match &self.mode {
            None => None,
            Some(text) => match u32::from_str_radix(text, 8) {
                Ok(mode) if mode <= 0o7777 => Some(mode),
                _ => return Err(format!("the mode '{text}' is not octal, as in 1777")),
            },
        };
        Ok(Tmpfs {
            size_bytes: self.size_bytes,
            mode,
            uid: self.uid,
            gid: self.gid,
        })
    }

    fn volume(&self) -> Result<Volume, String> {
        if let Some(name) = &self.source {
            check_name(name)?;
        }
        Ok(Volume {
            name: self.source.clone(),
            no_copy: self.no_copy.unwrap_or(false),
            subpath: self.subpath.clone(),
        })
    }
}

impl From<Mount> for Written {
    fn from(mount: Mount) -> Self {
        let common = Self {
            target: mount.target,
            read_only: mount.access.read_only,
            no_exec: mount.access.no_exec,
            no_suid: mount.access.no_suid,
            no_dev: mount.access.no_dev,
            ..Self::default()
        };
        match mount.source {
            Source::Bind(bind) => Self {
                kind: Type::Bind,
                source: Some(bind.path.to_string_lossy().into_owned()),
                subpath: bind.subpath,
                recursive: bind.recursive,
                propagation: bind.propagation,
                idmap: bind.idmap,
                ..common
            },
            Source::Tmpfs(tmpfs) => Self {
                kind: Type::Tmpfs,
                size_bytes: tmpfs.size_bytes,
                mode: tmpfs.mode.map(|mode| format!("{mode:o}")),
                uid: tmpfs.uid,
                gid: tmpfs.gid,
                ..common
            },
            Source::Volume(volume) => Self {
                kind: Type::Volume,
                source: volume.name,
                no_copy: volume.no_copy.then_some(true),
                subpath: volume.subpath,
                ..common
            },
            Source::Image(image) => Self {
                kind: Type::Image,
                source: Some(image.name),
                subpath: image.subpath,
                ..common
            },
        }
    }
}

/// A name of a volume; nothing else passes.
pub fn volume_name(name: &str) -> Result<String, String> {
    check_name(name).map(|()| name.to_owned())
}

/// It is also the name of a directory in the store.
fn check_name(name: &str) -> Result<(), String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.chars().all(inner) && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(format!(
        "'{name}' is no name of a volume: letters and digits, then also '_', '.', '-'"
    ))
}

/// A place for a mount: without `..`, and not the root itself.
fn check_target(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("the container path is missing".into());
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("the container path contains '..'".into());
    }
    if !path
        .components()
        .any(|part| matches!(part, Component::Normal(_)))
    {
        return Err(format!("the container path cannot be '{}'", path.display()));
    }
    Ok(())
}

fn check_subpath(path: &Path) -> Result<(), String> {
    let is_plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.as_os_str().is_empty() && path.components().all(is_plain) {
        return Ok(());
    }
    Err(format!(
        "the subpath '{}' is not a relative path without '..'",
        path.display()
    ))
}
