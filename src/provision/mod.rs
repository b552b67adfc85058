//! VERB 2: image → root filesystem.
//!
//! A provisioned root filesystem is a record with a lease: it is listed, it outlives ucr, its
//! layers are never pruned, and only `rm` ends it. An overlay does not outlive the machine's boot;
//! it is then reported as not mounted, and the same `provision IMAGE DIR` mounts it again with
//! everything that was written to it.

mod copy;
mod overlay;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::error::{Fault, Kind};
use crate::store::{Backend, Image, RootfsRecord, Store};
use crate::sys;

pub use copy::copy_tree;
pub use overlay::{Writable, inherit_root, layers_for_users, mount_layers};

/// What to provision.
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Request<'a> {
    /// The image.
    pub image: &'a Image,
    /// Where the root filesystem goes: a directory that is empty or not there yet. Without one the
    /// store chooses.
    pub directory: Option<&'a Path>,
    /// How it is made.
    pub backend: Backend,
    /// The bundle that the root filesystem is part of.
    pub bundle: Option<&'a Path>,
    /// Receives what could not be copied exactly.
    pub note: &'a dyn Fn(&str),
}

/// A root filesystem that is in its place.
#[derive(Debug)]
pub struct Provisioned {
    /// What the store knows of it.
    pub record: RootfsRecord,
    /// Whether this request made it. If not, it may hold what somebody wrote to it.
    pub is_new: bool,
}

/// Makes a root filesystem, or mounts again the one that the same request made before.
pub fn provision(store: &Store, request: &Request) -> Result<Provisioned> {
    // Held to the end: who waits for it finds what we made.
    let _right = request
        .directory
        .map(|directory| store.lock_path(directory))
        .transpose()?;
    let known = match request.directory {
        Some(directory) => find_path(store, directory)?,
        None => None,
    };
    match known {
        Some(record) => again(store, request, record),
        None => anew(store, request),
    }
}

fn find_path(store: &Store, path: &Path) -> Result<Option<RootfsRecord>> {
    Ok(store
        .rootfs_records()?
        .into_iter()
        .find(|record| record.path == path))
}

fn again(store: &Store, request: &Request, record: RootfsRecord) -> Result<Provisioned> {
    refuse_other(request, &record)?;
    if is_ready(&record)? {
        let is_new = false;
        return Ok(Provisioned { record, is_new });
    }
    if record.backend == Backend::Copy {
        // The tree is gone, or its maker died before it was in place.
        store.remove_rootfs(&record.id)?;
        return anew(store, request);
    }
    let _shared = store.lock_layers(&record.layers)?;
    overlay::mount_rootfs(store, &record)?;
    let is_new = false;
    Ok(Provisioned { record, is_new })
}

/// What is there already must be what is asked for.
fn refuse_other(request: &Request, record: &RootfsRecord) -> Result<()> {
    let other = if record.manifest != request.image.record.manifest_digest {
        "of another image".to_owned()
    } else if record.backend != request.backend {
        "that was made by the other backend".to_owned()
    } else if record.bundle.as_deref() != request.bundle {
        match &record.bundle {
            Some(bundle) => format!("of the bundle {}", bundle.display()),
            None => "that is not part of a bundle".to_owned(),
        }
    } else {
        return Ok(());
    };
    let message = format!(
        "{} holds rootfs {} {other}",
        record.path.display(),
        record.id
    );
    Err(Fault::new(Kind::Usage, message)
        .hint(format!("remove it first: ucr rm {}", record.id))
        .into())
}

/// Whether the root filesystem can be used as it is.
pub fn is_ready(record: &RootfsRecord) -> Result<bool> {
    match record.backend {
        Backend::Copy => Ok(record.path.is_dir()),
        Backend::Overlay => Ok(sys::mount::is_mount_point(&record.path)?),
    }
}

fn anew(store: &Store, request: &Request) -> Result<Provisioned> {
    if !sys::is_root() {
        return Err(Fault::new(Kind::Unsupported, "provisioning needs root")
            .hint("run ucr as root")
            .into());
    }
    let _shared = store.lock_layers(&request.image.layers)?;
    let id = sys::random_name()?;
    let making = store.create_rootfs_dir(&id)?;
    let path = match request.directory {
        Some(directory) => directory.to_owned(),
        None => making.path().join("rootfs"),
    };
    refuse_occupied(&path)?;
    if let Some(bundle) = request.bundle {
        // Users of the host must not reach set-user-ID programs in it (CVE-2021-41091).
        sys::make_private(bundle).with_context(|| format!("make {}", bundle.display()))?;
    }
    let record = RootfsRecord {
        id,
        image: request.image.record.name.clone(),
        manifest: request.image.record.manifest_digest.clone(),
        layers: request.image.layers.clone(),
        backend: request.backend,
        owns_path: !path.exists(),
        path,
        bundle: request.bundle.map(Path::to_owned),
        created_at: sys::now(),
    };
    let made = match record.backend {
        Backend::Overlay => overlay::make(store, &record),
        Backend::Copy => copy::make(store, &record, &making, request.note),
    };
    match made {
        Ok(()) => {
            making.keep();
            note_open_bundle(request, &record)?;
            let is_new = true;
            Ok(Provisioned { record, is_new })
        }
        Err(error) => {
            // What is at the path now is not ours, except a directory that we made and left empty.
            drop(making);
            drop(store.remove_rootfs(&record.id));
            if record.owns_path {
                drop(fs::remove_dir(&record.path));
            }
            Err(error.context(format!("provision {}", record.path.display())))
        }
    }
}

fn note_open_bundle(request: &Request, record: &RootfsRecord) -> Result<()> {
    if let (Backend::Overlay, Some(bundle)) = (record.backend, &record.bundle)
        && !overlay::is_closed(bundle)?
    {
        (request.note)(&format!(
            "bundle {}: other users may enter it, so set-user-ID bits, file capabilities and \
             device nodes have no effect in it",
            bundle.display()
        ));
    }
    Ok(())
}

fn refuse_occupied(path: &Path) -> Result<()> {
    let occupied = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    if occupied || sys::mount::is_mount_point(path)? {
        let message = format!("{} is not empty", path.display());
        return Err(Fault::new(Kind::Usage, message)
            .hint("name a new or empty directory")
            .into());
    }
    Ok(())
}

/// Ends a lease: unmounts or deletes the root filesystem, then forgets it.
pub fn remove(store: &Store, record: &RootfsRecord) -> Result<()> {
    let _right = store.lock_path(&record.path)?;
    // While we waited another may have removed it, and put something of its own there.
    let Some(record) = &store.rootfs(&record.id)? else {
        return Ok(());
    };
    refuse_busy(record)?;
    remove_tree_of(record).with_context(|| format!("remove {}", record.path.display()))?;
    if let Some(bundle) = &record.bundle {
        remove_bundle(bundle)?;
    }
    store.remove_rootfs(&record.id)
}

/// Something else that is mounted inside would stop us half-way.
fn refuse_busy(record: &RootfsRecord) -> Result<()> {
    let below = sys::proc::Proc::open()?.mounts_below(&record.path)?;
    match below.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!(
                "{} is in use: {} is mounted",
                record.path.display(),
                first.display()
            );
            let hint = format!("unmount it first: umount {}", first.display());
            Err(Fault::new(Kind::Usage, message).hint(hint).into())
        }
    }
}

fn remove_tree_of(record: &RootfsRecord) -> Result<()> {
    match record.backend {
        Backend::Overlay => {
            sys::mount::detach(&record.path)?;
            if !record.owns_path {
                return Ok(());
            }
            // Somebody may have put something below the mount.
            match fs::remove_dir(&record.path) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
                    ) =>
                {
                    Err(error.into())
                }
                _ => Ok(()),
            }
        }
        Backend::Copy => Ok(sys::remove_path(&record.path)?),
    }
}

fn remove_bundle(bundle: &Path) -> Result<()> {
    let config: PathBuf = bundle.join("config.json");
    for result in [fs::remove_file(&config), fs::remove_dir(bundle)] {
        match result {
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty
                ) =>
            {
                return Err(error).with_context(|| format!("remove {}", bundle.display()));
            }
            _ => (),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn record(id: &str, path: &Path) -> RootfsRecord {
        RootfsRecord {
            id: id.to_owned(),
            image: "x".to_owned(),
            manifest: Digest::of(b"x"),
            layers: Vec::new(),
            backend: Backend::Copy,
            path: path.to_owned(),
            owns_path: true,
            bundle: None,
            created_at: 0,
        }
    }

    #[test]
    fn what_another_put_there_meanwhile_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        let path = scratch.path().join("rootfs");
        let (removed, present) = (record("a", &path), record("b", &path));
        let making = store.create_rootfs_dir(&present.id).unwrap();
        store.save_rootfs(&present).unwrap();
        making.keep();
        fs::create_dir(&path).unwrap();
        remove(&store, &removed).unwrap();
        assert!(path.is_dir());
        remove(&store, &present).unwrap();
        assert!(!path.exists());
        assert_eq!(store.rootfs_records().unwrap(), []);
    }
}
