//! Devices of the host, by path or by a name of the Container Device Interface.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// A device, or a directory of devices, that a container gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "it is no CDI name, nor an object of path, target and access"
)]
pub enum Device {
    /// `VENDOR/CLASS=NAME`, described by files in `/etc/cdi` and `/var/run/cdi`.
    Cdi(String),
    /// By its path.
    Host(HostDevice),
}

/// A device of the host by its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostDevice {
    /// Where it is on the host; absolute.
    pub path: PathBuf,
    /// Where it is inside; the same path if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,
    /// What the device cgroup allows: some of `r`, `w` and `m`; all if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

impl FromStr for Device {
    type Err = Fault;

    /// `HOST[:CONTAINER][:rwm]`, or a CDI name.
    fn from_str(text: &str) -> Result<Self, Fault> {
        if !text.starts_with('/') && text.contains('=') {
            return check_cdi_name(text).map(|()| Self::Cdi(text.to_owned()));
        }
        let bad = |why: &str| {
            Fault::new(Kind::Usage, format!("device '{text}': {why}"))
                .hint("say HOST[:CONTAINER][:rwm], or VENDOR/CLASS=NAME for CDI")
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (path, target, access) = match parts.as_slice() {
            [path] => (*path, None, None),
            [path, second] if second.starts_with('/') => (*path, Some(*second), None),
            [path, access] => (*path, None, Some(*access)),
            [path, target, access] => (*path, Some(*target), Some(*access)),
            _ => return Err(bad("it has more than three parts")),
        };
        let device = HostDevice {
            path: path.into(),
            target: target.map(PathBuf::from),
            access: access.map(str::to_owned),
        };
        device.check().map_err(|fault| bad(&fault.to_string()))?;
        Ok(Self::Host(device))
    }
}

impl Device {
    /// Refuses what makes no sense whatever the host has.
    pub fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Cdi(name) => check_cdi_name(name),
            Self::Host(device) => device.check(),
        }
    }
}

impl HostDevice {
    /// Where it is inside.
    pub fn target(&self) -> &PathBuf {
        self.target.as_ref().unwrap_or(&self.path)
    }

    fn check(&self) -> Result<(), Fault> {
        let bad = |why: &str| Err(Fault::new(Kind::Spec, why));
        if !self.path.is_absolute() {
            return bad("the host's path is not absolute");
        }
        if let Err(why) = check_device_place(self.target()) {
            return bad(&format!("the container's path {why}"));
        }
        let access = self.access.as_deref().unwrap_or("rwm");
        if access.is_empty() || !access.bytes().all(|letter| b"rwm".contains(&letter)) {
            return bad("its access is not made of 'r', 'w' and 'm'");
        }
        Ok(())
    }
}

/// What is ucr's own or the kernel's in a container, so that no device can be put there.
const NOT_FOR_DEVICES: [&str; 10] = [
    "/proc",
    "/sys",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/dev/fd",
    "/dev/stdin",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/ptmx",
];

/// Whether something of the host's can have this path in a container; if not, why.
pub fn check_inside(path: &Path) -> Result<(), &'static str> {
    if !path.is_absolute() {
        return Err("is not absolute");
    }
    if path.as_os_str().as_bytes().contains(&0) {
        return Err("has a NUL in it");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("has '..' in it");
    }
    if path.file_name().is_none() {
        return Err("is the root");
    }
    Ok(())
}

/// The same for a device.
pub fn check_device_place(path: &Path) -> Result<(), &'static str> {
    check_inside(path)?;
    if path == Path::new("/dev") || NOT_FOR_DEVICES.iter().any(|own| path.starts_with(own)) {
        return Err("is a place of ucr's own");
    }
    Ok(())
}

/// CDI specification 0.8, "Kind" and "Device names".
pub fn check_cdi_name(name: &str) -> Result<(), Fault> {
    let is_word = |word: &str, more: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.ends_with(|c: char| c.is_ascii_alphanumeric())
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let parts = name
        .split_once('=')
        .and_then(|(kind, device)| kind.split_once('/').map(|(v, c)| (v, c, device)));
    match parts {
        Some((vendor, class, device))
            if is_word(vendor, "-_.") && is_word(class, "-_.") && is_word(device, "-_.:") =>
        {
            Ok(())
        }
        _ => Err(
            Fault::new(Kind::Usage, format!("device '{name}': it is no CDI name"))
                .hint("say VENDOR/CLASS=NAME, such as nvidia.com/gpu=all"),
        ),
    }
}

/// Docker's `--gpus` as CDI names: `all`, a number, or `device=A,B`.
pub fn gpus(text: &str) -> Result<Vec<Device>, Fault> {
    let gpu = |name: &str| format!("nvidia.com/gpu={name}").parse::<Device>();
    let text = text.trim_matches('"');
    if text == "all" || text == "-1" {
        return Ok(vec![gpu("all")?]);
    }
    if let Ok(count @ 1..=64) = text.parse::<u8>() {
        return (0..count).map(|number| gpu(&number.to_string())).collect();
    }
    match text.strip_prefix("device=") {
        Some(names) if !names.is_empty() => names.split(',').map(gpu).collect(),
        _ => Err(
            Fault::new(Kind::Usage, format!("--gpus {text}: not understood"))
                .hint("say --gpus all, --gpus NUMBER or --gpus device=NAME[,NAME…]"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let host = |path: &str, target: Option<&str>, access: Option<&str>| {
            Device::Host(HostDevice {
                path: path.into(),
                target: target.map(PathBuf::from),
                access: access.map(str::to_owned),
            })
        };
        let rows = [
            ("/dev/x", host("/dev/x", None, None)),
            ("/dev/x:/dev/y", host("/dev/x", Some("/dev/y"), None)),
            ("/dev/x:rw", host("/dev/x", None, Some("rw"))),
            ("/dev/x:/y:m", host("/dev/x", Some("/y"), Some("m"))),
            ("a.com/b=c", Device::Cdi("a.com/b=c".into())),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<Device>().unwrap(), expected, "{text}");
            let json = serde_json::to_string(&expected).unwrap();
            assert_eq!(serde_json::from_str::<Device>(&json).unwrap(), expected);
        }
        for bad in [
            "",
            "x",
            "/a:",
            "/a:b",
            "/a:/b:x",
            "/a:/b:",
            "/a:/b:r:w",
            "a/b=",
            "a=b",
            "/a/=b:/c:d",
            "/dev/x:/dev/../etc/x",
            "/dev/x:/dev/fd/9",
            "/dev/x:/proc/x",
            "/dev/x:/dev",
            "/dev/x:/",
        ] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }

    #[test]
    fn gpus_are_cdi_devices() {
        let names = |text| gpus(text).map(|devices| serde_json::to_string(&devices).unwrap());
        assert_eq!(names("all").unwrap(), r#"["nvidia.com/gpu=all"]"#);
        assert_eq!(
            names("2").unwrap(),
            r#"["nvidia.com/gpu=0","nvidia.com/gpu=1"]"#
        );
        assert_eq!(names("device=7").unwrap(), r#"["nvidia.com/gpu=7"]"#);
        for bad in ["", "0", "some", "device=", "device=a b"] {
            assert!(gpus(bad).is_err(), "{bad}");
        }
    }
}
