//! Volumes as `-v` writes them.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// A file or directory of the host that is shown inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where it is on the host; absolute.
    pub source: PathBuf,
    /// Where it appears inside; absolute.
    pub target: PathBuf,
    /// Refuse writes, also to what is mounted below it.
    #[serde(default)]
    pub read_only: bool,
}

impl FromStr for Mount {
    type Err = Fault;

    /// `HOST:CONTAINER[:ro|rw]`.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: String| Fault::new(Kind::Usage, format!("volume '{text}': {why}"));
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, options) = match parts.as_slice() {
            [source, target] => (*source, *target, ""),
            [source, target, options] => (*source, *target, *options),
            [_] => {
                return Err(bad("anonymous volumes are not supported".into())
                    .hint("say HOST_DIR:CONTAINER_DIR"));
            }
            _ => return Err(bad("it is not HOST:CONTAINER[:ro|rw]".into())),
        };
        if !source.starts_with('/') {
            return Err(bad("named volumes are not supported".into())
                .hint("give the host directory's absolute path"));
        }
        check_target(target).map_err(|why| bad(why.into()))?;
        let mut mount = Self {
            source: source.into(),
            target: target.into(),
            read_only: false,
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => mount.read_only = true,
                "rw" => mount.read_only = false,
                _ => {
                    return Err(bad(format!("the option '{option}' is not supported"))
                        .hint("only 'ro' and 'rw' are"));
                }
            }
        }
        Ok(mount)
    }
}

/// A place for a mount: absolute, without `..`, and not the root itself.
fn check_target(target: &str) -> Result<(), &'static str> {
    let path = Path::new(target);
    if !path.is_absolute() {
        return Err("the container path is not absolute");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("the container path contains '..'");
    }
    if path.components().all(|part| part == Component::RootDir) {
        return Err("the container path cannot be '/'");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let mount: Mount = "/a:/b:ro".parse().unwrap();
        assert_eq!(
            mount,
            Mount {
                source: "/a".into(),
                target: "/b".into(),
                read_only: true
            }
        );
        assert!(!"/a:/b:rw".parse::<Mount>().unwrap().read_only);
        for text in [
            "/a",
            "x:/b",
            "/a:b",
            "/a:/b/../..",
            "/a:/",
            "/a:/b:z",
            "/a:/b:ro:x",
            "/a:",
        ] {
            assert!(text.parse::<Mount>().is_err(), "{text}");
        }
    }
}
