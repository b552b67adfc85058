//! Artifacts that are kept for the next time: one file for each URI, under the digest of the URI.
//!
//! ```text
//! DIGEST        the content; appears by rename, when it is whole and on disk
//! DIGEST.json   by what its server tells whether that is still it
//! DIGEST.lock   held by whoever asks the server: of several at once one downloads
//! ```
//!
//! The server is asked every time (`ETag`, `Last-Modified`), and sends the content only if it is
//! another one. Without either of them, or when something is wrong with what is kept, all is fetched
//! anew: nobody can tell then whether it is current. A cache never makes up for a silent server.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};
use crate::image::Digest;
use crate::registry::{Downloaded, Validators};
use crate::store::{Lock, Patience};

/// Largest record, in bytes: two validators.
const MAX_RECORD: u64 = 16 << 10;

#[derive(Serialize, Deserialize)]
struct Record {
    /// Of the content: a record of another one is worth nothing.
    size: u64,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// The content behind a URI, open at its start. `ask` downloads it into a file, unless what is
/// known of it is still true.
pub(super) fn get(
    directory: &Path,
    uri: &str,
    deadline: Option<Instant>,
    ask: impl FnOnce(Option<&Validators>, &mut File) -> Result<Downloaded>,
) -> Result<File> {
    check_directory(directory).with_context(|| format!("cache {}", directory.display()))?;
    let place = directory.join(Digest::of(uri.as_bytes()).hex());
    let beside = |extension: &str| place.with_extension(extension);
    let patience = deadline.map_or(Patience::Wait, Patience::Until);
    let Some(_lock) = Lock::exclusive(&beside("lock"), patience)? else {
        let message = "somebody else who downloads it took longer than allowed";
        return Err(Fault::new(Kind::Network, message).into());
    };
    let kept = kept(&place, &beside("json"));
    let new = beside("new");
    let mut file = create(&new)?;
    let asked = ask(kept.as_ref().map(|(_, known)| known), &mut file);
    if !matches!(asked, Ok(Downloaded::All(_))) {
        fs::remove_file(&new)?;
    }
    match (asked?, kept) {
        (Downloaded::Unchanged, Some((content, _))) => Ok(content),
        (Downloaded::Unchanged, None) => {
            let message = "the server says that it has not changed, but was not asked that";
            Err(Fault::new(Kind::Network, message).into())
        }
        (Downloaded::All(validators), _) => {
            keep(file, &new, &place, &beside("json"), validators).context("keep it in the cache")
        }
    }
}

/// What others can write to is not taken from.
fn check_directory(directory: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let found = fs::symlink_metadata(directory)?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_dir() || found.uid() != own || found.mode() & 0o022 != 0 {
        let message = format!("it is not a directory that only user {own} can write to");
        return Err(Fault::new(Kind::Store, message).into());
    }
    Ok(())
}

fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600);
    Ok(options.open(path)?)
}

/// The content with what is known of it, if both are there and belong together.
fn kept(place: &Path, record: &PathBuf) -> Option<(File, Validators)> {
    let content = File::open(place).ok()?;
    let mut text = Vec::new();
    File::open(record)
        .ok()?
        .take(MAX_RECORD)
        .read_to_end(&mut text)
        .ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    let known = Validators {
        etag: record.etag,
        last_modified: record.last_modified,
    };
    let is_it = content.metadata().ok()?.len() == record.size && !known.is_empty();
    is_it.then_some((content, known))
}

/// The record goes first and comes last: at no time is there one of another content.
fn keep(
    mut file: File,
    new: &Path,
    place: &Path,
    record: &Path,
    known: Validators,
) -> Result<File> {
    file.sync_all()?;
    match fs::remove_file(record) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => (),
    }
    fs::rename(new, place)?;
    if !known.is_empty() {
        let text = serde_json::to_vec(&Record {
            size: file.metadata()?.len(),
            etag: known.etag,
            last_modified: known.last_modified,
        })?;
        let written = record.with_extension("json-new");
        fs::write(&written, text)?;
        fs::rename(written, record)?;
    }
    file.rewind()?;
    Ok(file)
}
