//! What a user may write where an image is expected: a registry reference, or a transport as
//! skopeo and podman write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Fault, Kind};
use crate::image::{Digest, Reference};

/// An image's name and with it the place it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageName {
    /// On a registry.
    Registry(Reference),
    /// `oci:DIR[:TAG]`.
    Layout {
        /// The directory with `index.json`.
        path: PathBuf,
        /// Which of its images.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`.
    Archive {
        /// The tar file of a layout.
        path: PathBuf,
        /// Which of its images.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:TAG]`.
    DockerArchive {
        /// The tar file that `docker save` writes.
        path: PathBuf,
        /// Which of its images: `NAME:TAG`, or `@` and its place in the list.
        tag: Option<String>,
    },
    /// `docker-daemon:REF`.
    DockerDaemon(DaemonImage),
}

/// How an image in a Docker Engine is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonImage {
    /// By one of its names.
    Name(Reference),
    /// By its ID.
    Id(Digest),
}

impl FromStr for DaemonImage {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Ok(Self::Name(text.parse()?)),
        }
    }
}

impl fmt::Display for DaemonImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl ImageName {
    /// The same name with its path made absolute, so that it means the same from everywhere.
    #[must_use]
    pub fn absolute(self, working_directory: &Path) -> Self {
        match self {
            Self::Registry(_) | Self::DockerDaemon(_) => self,
            Self::Layout { path, tag } => Self::Layout {
                path: working_directory.join(path),
                tag,
            },
            Self::Archive { path, tag } => Self::Archive {
                path: working_directory.join(path),
                tag,
            },
            Self::DockerArchive { path, tag } => Self::DockerArchive {
                path: working_directory.join(path),
                tag,
            },
        }
    }
}

impl FromStr for ImageName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let Some((transport, rest)) = text.split_once(':') else {
            return Ok(Self::Registry(text.parse()?));
        };
        match transport {
            "oci" => located(text, rest).map(|(path, tag)| Self::Layout { path, tag }),
            "oci-archive" => located(text, rest).map(|(path, tag)| Self::Archive { path, tag }),
            "docker" if rest.starts_with("//") => Ok(Self::Registry(rest[2..].parse()?)),
            "docker-archive" => {
                located(text, rest).map(|(path, tag)| Self::DockerArchive { path, tag })
            }
            "docker-daemon" => Ok(Self::DockerDaemon(rest.parse()?)),
            "containers-storage" | "dir" => Err(Fault::new(
                Kind::Unsupported,
                format!("image name '{text}': the transport {transport}: is not supported"),
            )
            .hint(format!(
                "copy it first: skopeo copy '{text}' oci-archive:image.tar"
            ))),
            _ => Ok(Self::Registry(text.parse()?)),
        }
    }
}

/// `PATH[:TAG]`: like skopeo, a path holds no colon and a tag may.
fn located(text: &str, rest: &str) -> Result<(PathBuf, Option<String>), Fault> {
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) if !tag.is_empty() => (path, Some(tag.to_owned())),
        Some((path, _)) => (path, None),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(Fault::new(
            Kind::Reference,
            format!("image name '{text}': there is no path"),
        ));
    }
    Ok((PathBuf::from(path), tag))
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, tag) = match self {
            Self::Registry(reference) => return reference.fmt(f),
            Self::DockerDaemon(image) => return write!(f, "docker-daemon:{image}"),
            Self::Layout { path, tag } => ("oci", path, tag),
            Self::Archive { path, tag } => ("oci-archive", path, tag),
            Self::DockerArchive { path, tag } => ("docker-archive", path, tag),
        };
        write!(f, "{transport}:{}", path.display())?;
        tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_and_references() {
        let by_id = format!("docker-daemon:sha256:{}", "a".repeat(64));
        let rows = [
            ("alpine:3", "docker.io/library/alpine:3"),
            ("docker://alpine", "docker.io/library/alpine:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("oci:dir", "oci:/w/dir"),
            ("oci:dir:", "oci:/w/dir"),
            ("oci:/a/dir:busybox:1.38", "oci:/a/dir:busybox:1.38"),
            ("oci-archive:x.tar:v1", "oci-archive:/w/x.tar:v1"),
            ("docker-archive:x.tar", "docker-archive:/w/x.tar"),
            ("docker-archive:x.tar:a:3", "docker-archive:/w/x.tar:a:3"),
            ("docker-archive:/x.tar:@1", "docker-archive:/x.tar:@1"),
            (
                "docker-daemon:a",
                "docker-daemon:docker.io/library/a:latest",
            ),
            (&by_id, &by_id),
        ];
        for (text, expected) in rows {
            let name: ImageName = text.parse().unwrap();
            assert_eq!(
                name.absolute(Path::new("/w")).to_string(),
                expected,
                "{text}"
            );
        }
        for text in [
            "oci:",
            "oci-archive::tag",
            "docker-archive:",
            "docker-daemon:",
            "docker-daemon:-x",
            "docker-daemon:sha256:abc!",
            "dir:x",
        ] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
