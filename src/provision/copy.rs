//! The copy backend: one plain tree that needs neither mount nor store once it is made.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::layer::flatten;
use crate::store::{RootfsMaking, RootfsRecord, Store};
use crate::sys;
use crate::sys::root::Root;

/// Copies beside the final place and renames: nobody sees half a tree, also after a power cut, and
/// what a crash leaves is noted in the store and removed by the next command.
pub(super) fn make(
    store: &Store,
    record: &RootfsRecord,
    making: &RootfsMaking,
    note: &dyn Fn(&str),
) -> Result<()> {
    let temporary = beside(&record.path, &record.id)?;
    let parent = record.path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    making.note_temporary(&temporary)?;
    DirBuilder::new()
        .mode(0o755)
        .create(&temporary)
        .with_context(|| format!("make {}", temporary.display()))?;
    sys::process::allow_many_descriptors();
    let layers: Vec<Root> = record
        .layers
        .iter()
        .map(|chain| store.open_layer(chain))
        .collect::<Result<_>>()?;
    flatten(&layers, &Root::open(&temporary)?)?
        .iter()
        .for_each(|warning| note(warning));
    sys::sync_filesystem(&temporary).with_context(|| format!("sync {}", temporary.display()))?;
    // First the record: a tree that is in its place is always known.
    store.save_rootfs(record)?;
    fs::rename(&temporary, &record.path)
        .with_context(|| format!("rename {} to its place", temporary.display()))?;
    sys::sync_directory(parent).with_context(|| format!("sync {}", parent.display()))
}

/// Copies a tree that nobody changes meanwhile into an empty directory: owners, modes, times,
/// extended attributes, hard links, holes. What the target's filesystem cannot hold is left out.
pub fn copy_tree(from: Root, to: &Root) -> Result<()> {
    flatten(&[from], to).map(drop)
}

/// A name in the same directory, so that the rename stays on one filesystem.
fn beside(path: &Path, id: &str) -> Result<PathBuf> {
    let name = path.file_name().context("the path has no last component")?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".ucr-{id}"));
    Ok(path.with_file_name(hidden))
}
