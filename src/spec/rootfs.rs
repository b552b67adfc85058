//! Containers that are not made of an image: a directory of the host is their root filesystem, and
//! perhaps the host's own. Nothing is made in the latter but below the container's sandbox.

use std::path::{Component, Path};

use super::mount::SANDBOX;
use super::{ContainerSpec, SecretTarget};
use crate::error::{Fault, Kind};

impl ContainerSpec {
    /// Whether the host's own filesystem is the container's.
    pub fn is_on_host(&self) -> bool {
        self.rootfs.as_deref() == Some(Path::new("/"))
    }

    /// Where the container finds its sandbox, if it has one: on the host's own filesystem in the
    /// same place as the host.
    pub fn sandbox_inside(&self) -> Option<&Path> {
        let outside = self.sandbox.as_deref()?;
        Some(match self.is_on_host() {
            true => outside,
            false => Path::new(SANDBOX),
        })
    }

    /// What it is made of, for people.
    pub fn origin(&self) -> String {
        match &self.rootfs {
            Some(directory) => format!("rootfs:{}", directory.display()),
            None => self.image.clone(),
        }
    }
}

/// Refuses what makes no root filesystem, or would change the host's own.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Fault> {
    match (spec.image.is_empty(), &spec.rootfs) {
        (false, None) => return Ok(()),
        (false, Some(_)) => {
            return Err(Fault::new(Kind::Spec, "image and rootfs are both said")
                .hint("a container is made of one of them: leave one out"));
        }
        (true, None) => {
            return Err(Fault::new(Kind::Spec, "neither image nor rootfs is said")
                .hint("say what the container is made of: an image, or a directory of the host"));
        }
        (true, Some(directory)) if has_dots(directory) => {
            let message = format!("rootfs '{}' has '..' in it", directory.display());
            return Err(Fault::new(Kind::Spec, message));
        }
        (true, Some(_)) => (),
    }
    let sandbox = spec.sandbox_inside().filter(|_| spec.is_on_host());
    let is_below = |path: &Path| {
        !has_dots(path) && sandbox.is_some_and(|box_| path.starts_with(box_) && path != box_)
    };
    let secrets = spec.secrets.iter().enumerate();
    for (place, secret) in secrets.filter(|_| spec.is_on_host()) {
        if let SecretTarget::File(path) = &secret.target
            && !is_below(path)
        {
            let message = format!(
                "secrets[{place}]: the file {} is not in the sandbox, and nothing is made on the \
                 host's own filesystem",
                path.display()
            );
            return Err(Fault::new(Kind::Spec, message)
                .hint("say a path below --sandbox, or give it as a variable: env=NAME"));
        }
    }
    Ok(())
}

fn has_dots(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<ContainerSpec, Fault> {
        let spec = ContainerSpec::parse(format!(r#"{{"version":1,{text}}}"#).as_bytes())?;
        spec.check().map(|()| spec)
    }

    #[test]
    fn one_of_image_and_directory() {
        let secret = |path: &str| {
            format!(
                r#""rootfs":"/","sandbox":"/box","secrets":[{{"source":{{"file":"/k"}},
                   "target":{{"file":"{path}"}}}}]"#
            )
        };
        for (text, refused) in [
            (r#""image":"x""#.to_owned(), None),
            (r#""rootfs":"/""#.to_owned(), None),
            (r#""args":[]"#.to_owned(), Some("neither image nor rootfs")),
            (
                r#""image":"x","rootfs":"/""#.to_owned(),
                Some("image and rootfs are both"),
            ),
            (r#""rootfs":"/a/..""#.to_owned(), Some("'..'")),
            (secret("/box/k"), None),
            (secret("/box"), Some("secrets[0]: the file /box ")),
            (secret("/run/k"), Some("secrets[0]: the file /run/k ")),
            (secret("/box/../k"), Some("secrets[0]: the file /box/../k ")),
            (secret("/run/k").replace(r#""/","#, r#""/srv","#), None),
        ] {
            match (spec(&text), refused) {
                (Ok(_), None) => (),
                (Err(fault), Some(why)) => assert!(fault.to_string().contains(why), "{fault}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_sandbox_is_where_the_host_has_it() {
        for (rootfs, inside) in [("//.", "/box"), ("/srv", SANDBOX)] {
            let made = spec(&format!(r#""rootfs":"{rootfs}","sandbox":"/box""#)).unwrap();
            assert_eq!(made.sandbox_inside(), Some(Path::new(inside)));
        }
    }
}
