//! The mounts of a container, decided: what was asked for, the sandbox, the image's volumes; every
//! target absolute, each one once, parents before children.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::{Mount, Source};
use crate::error::{Fault, Kind};
use crate::image::ImageConfig;
use crate::spec::ContainerSpec;

/// Where Mesos tasks expect their sandbox.
pub const SANDBOX: &str = "/mnt/mesos/sandbox";

/// Decides. Fails with [`Kind::Spec`] on two mounts in one place, a relative target without a
/// sandbox, or a volume of the image where none can be.
pub fn mounts(spec: &ContainerSpec, image: &ImageConfig) -> Result<Vec<Mount>> {
    let mut all = Vec::new();
    let sandbox = spec.sandbox_inside();
    let shown = spec.sandbox.iter().zip(sandbox);
    all.extend(shown.map(|(outside, inside)| Mount::bind(outside, inside)));
    for mount in &spec.mounts {
        let target = target(&mount.target, sandbox)?;
        if target.starts_with("/proc") {
            let message = format!("nothing can be mounted on {}", target.display());
            return Err(Fault::new(Kind::Spec, message)
                .hint("/proc shows the container's own processes")
                .into());
        }
        if let Source::Bind(bind) = &mount.source
            && !bind.path.is_absolute()
        {
            let message = format!("volume source {} is not absolute", bind.path.display());
            return Err(Fault::new(Kind::Spec, message).into());
        }
        all.push(Mount {
            target,
            ..mount.clone()
        });
    }
    refuse_twice(&all)?;
    for path in &image.volumes {
        let target = image_volume(path)?;
        if !all.iter().any(|mount| mount.target == target) {
            all.push(Mount::anonymous(target));
        }
    }
    all.sort_by_key(|mount| mount.target.components().count());
    Ok(all)
}

/// Where a mount is, as an absolute path. UCR puts relative targets into the sandbox (mesos-ucr.md,
/// section 3.9). Fails with [`Kind::Spec`] if there is none.
pub fn target(target: &Path, sandbox: Option<&Path>) -> Result<PathBuf, Fault> {
    // Also drops "//" and "/.", which `starts_with` and messages do not expect.
    if let Some(sandbox) = sandbox {
        return Ok(sandbox.join(target).components().collect());
    }
    if target.is_absolute() {
        return Ok(target.components().collect());
    }
    let message = format!("container path '{}' is not absolute", target.display());
    Err(Fault::new(Kind::Spec, message)
        .hint("say /DIR; only with --sandbox a relative path is one in the sandbox"))
}

fn refuse_twice(mounts: &[Mount]) -> Result<()> {
    for (place, mount) in mounts.iter().enumerate() {
        if mounts[..place]
            .iter()
            .any(|earlier| earlier.target == mount.target)
        {
            let message = format!("two mounts on {}", mount.target.display());
            return Err(Fault::new(Kind::Spec, message)
                .hint("keep one of them")
                .into());
        }
    }
    Ok(())
}

/// An image's path is from the root whether it says so or not, and `..` stops there, as Docker
/// cleans it. A volume in place of the root, or of what the kernel shows, is refused as Docker's
/// runtime does.
fn image_volume(path: &str) -> Result<PathBuf> {
    let mut target = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => target.push(name),
            Component::ParentDir => drop(target.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => (),
        }
    }
    let is_kernels = target.starts_with("/proc")
        || target.starts_with("/sys")
        || target.as_path() == Path::new("/dev");
    if target.as_path() == Path::new("/") || is_kernels || path.contains('\0') {
        let message = format!("the image's volume '{path}' is in no place for one");
        return Err(Fault::new(Kind::Spec, message).into());
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(volumes: &[&str]) -> ImageConfig {
        let mut image = ImageConfig::parse(
            br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#,
        )
        .unwrap();
        image.volumes = volumes.iter().map(|path| (*path).to_owned()).collect();
        image
    }

    fn spec(volumes: &[&str], sandbox: Option<&str>) -> ContainerSpec {
        ContainerSpec {
            mounts: volumes.iter().map(|text| text.parse().unwrap()).collect(),
            sandbox: sandbox.map(Into::into),
            ..ContainerSpec::default()
        }
    }

    fn targets(mounts: &[Mount]) -> Vec<&str> {
        mounts
            .iter()
            .map(|it| it.target.to_str().unwrap())
            .collect()
    }

    #[test]
    fn parents_come_before_children() {
        type Row<'a> = (&'a [&'a str], Option<&'a str>, &'a [&'a str], &'a [&'a str]);
        let rows: [Row; 5] = [
            (
                &["/s:/a/b", "/s:/z", "/s:/a"],
                None,
                &[],
                &["/z", "/a", "/a/b"],
            ),
            (&["/s://a//./b/"], None, &[], &["/a/b"]),
            (
                &["/s:/a"],
                None,
                &["/a/b", "/c", "/a"],
                &["/a", "/c", "/a/b"],
            ),
            (
                &[],
                None,
                &["data", "/x/../../y", "/./z"],
                &["/data", "/y", "/z"],
            ),
            (
                &["/s:x/y", "/s:/a"],
                Some("/box"),
                &[],
                &["/a", SANDBOX, "/mnt/mesos/sandbox/x/y"],
            ),
        ];
        for (volumes, sandbox, of_image, expected) in rows {
            let made = mounts(&spec(volumes, sandbox), &image(of_image)).unwrap();
            assert_eq!(targets(&made), expected);
        }
    }

    #[test]
    fn places_that_cannot_be() {
        type Row<'a> = (&'a [&'a str], Option<&'a str>, &'a [&'a str], &'a str);
        let rows: [Row; 10] = [
            (&["/s:/proc"], None, &[], "nothing can be mounted on /proc"),
            (&["/s:/./proc//x"], None, &[], "mounted on /proc/x"),
            (&["/s:/a", "/s:/b", "/s:/a/"], None, &[], "two mounts on /a"),
            (&["/s:/mnt/mesos/sandbox"], Some("/box"), &[], "two mounts"),
            (&["/s:."], Some("/box"), &[], "cannot be"),
            (&["/s:x"], None, &[], "'x' is not absolute"),
            (&["./s:/x"], None, &[], "volume source ./s is not absolute"),
            (&[], None, &["/a/.."], "image's volume '/a/..'"),
            (&[], None, &["/proc/x"], "image's volume '/proc/x'"),
            (&[], None, &["/dev"], "image's volume '/dev'"),
        ];
        for (volumes, sandbox, of_image, words) in rows {
            let parsed: Result<Vec<Mount>, _> = volumes.iter().map(|it| it.parse()).collect();
            let message = match parsed {
                Err(fault) => fault.to_string(),
                Ok(_) => mounts(&spec(volumes, sandbox), &image(of_image))
                    .unwrap_err()
                    .to_string(),
            };
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_sandbox_is_a_mount() {
        let made = mounts(&spec(&[], Some("/box")), &image(&[])).unwrap();
        assert_eq!(made, [Mount::bind("/box", SANDBOX)]);
    }
}
