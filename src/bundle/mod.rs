//! An OCI runtime bundle: a root filesystem and the `config.json` that tells runc, crun, youki or
//! runsc what to do with it (runtime-spec, bundle.md).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oci_spec::runtime::{
    Capabilities, Capability, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxNamespace,
    LinuxNamespaceBuilder, LinuxNamespaceType, Mount, MountBuilder, ProcessBuilder, RootBuilder,
    Spec, SpecBuilder, UserBuilder,
};

use crate::spec::defaults::{CAPABILITIES, FILESYSTEMS, Filesystem, MASKED_PATHS, READ_ONLY_PATHS};
use crate::spec::{Account, Process, resolve_groups, resolve_user, with_home};
use crate::sys;
use crate::sys::root::Root;

/// The version of the runtime specification that is written: the oldest with all we use, so that
/// every current runtime takes it.
const OCI_VERSION: &str = "1.0.2";

/// Largest `/etc/passwd` or `/etc/group` that is read, in bytes (CVE-2026-47262).
const MAX_ACCOUNTS: u64 = 1 << 20;

/// Where a bundle's root filesystem is.
pub fn rootfs_of(bundle: &Path) -> PathBuf {
    bundle.join("rootfs")
}

/// Where a bundle's configuration is.
pub fn config_of(bundle: &Path) -> PathBuf {
    bundle.join("config.json")
}

/// Writes `config.json` beside a root filesystem that is in place; the user is looked up in it.
/// The file is there whole or not at all: one that is there is taken for the user's own.
pub fn write(bundle: &Path, process: &Process) -> Result<()> {
    let rootfs = Root::open(&rootfs_of(bundle))?;
    let account = account(&rootfs, process.user.as_deref(), &[])?;
    let text = serde_json::to_string_pretty(&runtime_spec(process, &account)?)?;
    let path = config_of(bundle);
    let temporary = bundle.join(format!(".config.json.{}", sys::random_name()?));
    write_and_rename(&temporary, &path, &(text + "\n"))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
        .with_context(|| format!("write {}", path.display()))
}

fn write_and_rename(temporary: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::File::create_new(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

/// Looks a user, and groups beyond its own, up in an image's own files, whatever links they are.
pub fn account(rootfs: &Root, user: Option<&str>, groups: &[String]) -> Result<Account> {
    let read = |path: &str| -> Result<String> {
        let bytes = rootfs
            .read_small(Path::new(path), MAX_ACCOUNTS)
            .with_context(|| format!("read the image's /{path}"))?;
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    let group = read("etc/group")?;
    let mut account = resolve_user(user, &read("etc/passwd")?, &group)?;
    account.groups.extend(resolve_groups(groups, &group)?);
    Ok(account)
}

/// The runtime's view of a process with ucr's defaults, on the host's network.
pub fn runtime_spec(process: &Process, account: &Account) -> Result<Spec> {
    let user = UserBuilder::default()
        .uid(account.uid)
        .gid(account.gid)
        .additional_gids(account.groups.clone())
        .build()?;
    let run = ProcessBuilder::default()
        .terminal(false)
        .user(user)
        .args(process.argv.clone())
        .env(with_home(&process.env, &account.home))
        .cwd(process.working_dir.clone())
        .capabilities(capabilities(account.uid == 0)?)
        .no_new_privileges(true)
        .build()?;
    let root = RootBuilder::default()
        .path("rootfs")
        .readonly(false)
        .build()?;
    let linux = LinuxBuilder::default()
        .namespaces(namespaces()?)
        .masked_paths(MASKED_PATHS.map(str::to_owned).to_vec())
        .readonly_paths(READ_ONLY_PATHS.map(str::to_owned).to_vec())
        .build()?;
    Ok(SpecBuilder::default()
        .version(OCI_VERSION)
        .process(run)
        .root(root)
        .mounts(mounts()?)
        .linux(linux)
        .build()?)
}

/// A user other than root gets the bounding set only, as under `ucr run`.
fn capabilities(is_root: bool) -> Result<oci_spec::runtime::LinuxCapabilities> {
    let all: Capabilities = CAPABILITIES
        .iter()
        .map(|capability| serde_json::from_value::<Capability>(capability.to_string().into()))
        .collect::<Result<_, _>>()?;
    let own = if is_root {
        all.clone()
    } else {
        Capabilities::new()
    };
    Ok(LinuxCapabilitiesBuilder::default()
        .bounding(all)
        .effective(own.clone())
        .permitted(own)
        .inheritable(Capabilities::new())
        .ambient(Capabilities::new())
        .build()?)
}

fn namespaces() -> Result<Vec<LinuxNamespace>> {
    let kinds = [
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Cgroup,
    ];
    kinds
        .into_iter()
        .map(|kind| Ok(LinuxNamespaceBuilder::default().typ(kind).build()?))
        .collect()
}

fn mounts() -> Result<Vec<Mount>> {
    FILESYSTEMS.iter().map(mount).collect()
}

fn mount(filesystem: &Filesystem) -> Result<Mount> {
    let mut options: Vec<String> = vec!["nosuid".into()];
    let flags = [
        (filesystem.no_exec, "noexec"),
        (filesystem.no_dev, "nodev"),
        (filesystem.read_only, "ro"),
    ];
    options.extend(
        flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| (*name).to_owned()),
    );
    options.extend(filesystem.options.iter().map(|(key, value)| match value {
        Some(value) => format!("{key}={value}"),
        None => (*key).to_owned(),
    }));
    Ok(MountBuilder::default()
        .destination(filesystem.target)
        .typ(filesystem.kind)
        .source(filesystem.kind)
        .options(options)
        .build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_privileges_keeps_the_bounding_set_only() {
        let process = Process {
            argv: vec!["true".into()],
            env: vec!["A=1".into()],
            working_dir: "/".into(),
            user: None,
        };
        let account = Account {
            uid: 1000,
            gid: 7,
            groups: vec![8],
            home: "/home/x".into(),
        };
        let json = serde_json::to_value(runtime_spec(&process, &account).unwrap()).unwrap();
        assert_eq!(json["process"]["user"]["additionalGids"][0], 8);
        assert_eq!(json["process"]["env"][1], "HOME=/home/x");
        assert_eq!(
            json["process"]["capabilities"]["bounding"]
                .as_array()
                .unwrap()
                .len(),
            10
        );
        assert!(
            json["process"]["capabilities"]["effective"]
                .as_array()
                .is_none_or(Vec::is_empty)
        );
        assert_eq!(json["linux"]["namespaces"].as_array().unwrap().len(), 5);
    }
}
