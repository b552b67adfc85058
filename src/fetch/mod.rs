//! Artifacts into a sandbox, by the rules of Mesos's fetcher: what `fetch` and `uris` of an
//! application definition name.
//!
//! ```text
//! http(s) ─► (cache) ─┐
//! file, path ─────────┴─► staging in the sandbox ─► unpacked there ─► renamed into place
//! ```
//!
//! * A file appears under its name only when it is whole, however the process ends before that.
//! * Whoever serves an artifact may be hostile, and so may earlier artifacts: nothing is written
//!   through a symbolic link, neither one of the archive nor one that is in the sandbox already,
//!   and nothing leaves the sandbox. Archives are bounded in entries, bytes and ratio.
//! * As in Mesos, content goes to the top of the sandbox wherever the archive goes; an archive stays
//!   unless it came through the cache; a name that is none of an archive's is only kept.
//! * A file of this machine is never copied into the cache.
//!
//! Runs on the calling thread and starts no other.

mod bzip2;
mod cache;
mod local;
mod merge;
mod staging;
mod unpack;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};

use crate::error::{Fault, Kind};
use crate::registry::{Download, Timing};
use crate::spec::Artifact;
use crate::spec::artifact::Scheme;
use crate::sys::root::Root;
use staging::Staging;
use unpack::Format;

/// Permissions of what was downloaded or is to be executed.
const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// How artifacts are fetched.
#[derive(Clone, Debug)]
pub struct Options {
    /// User and group that own what is put there; ucr's own if unset.
    pub owner: Option<(u32, u32)>,
    /// Where artifacts are kept that may be: a directory of this user alone, made if missing.
    /// Without it, nothing is kept.
    pub cache: Option<PathBuf>,
    /// When everything ends.
    pub deadline: Option<Instant>,
    /// Largest artifact, in bytes.
    pub max_bytes: u64,
    /// Most bytes that one archive may hold.
    pub max_unpacked: u64,
    /// Most objects that one archive may hold.
    pub max_entries: u64,
    /// Certificates to trust beside the system's.
    pub tls_ca: Vec<PathBuf>,
    /// Bounds for waits: for a connection, and for silence.
    pub timing: Timing,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            owner: None,
            cache: None,
            deadline: None,
            max_bytes: 16 << 30,
            max_unpacked: 64 << 30,
            max_entries: 1_000_000,
            tls_ca: Vec::new(),
            timing: Timing::default(),
        }
    }
}

impl Options {
    fn download(&self) -> Download {
        Download {
            tls_ca: self.tls_ca.clone(),
            deadline: self.deadline,
            timing: self.timing,
            max_bytes: self.max_bytes,
        }
    }

    /// Fails once the deadline has passed.
    fn in_time(&self) -> Result<(), Fault> {
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => {
                Err(Fault::new(Kind::Network, "it took longer than allowed"))
            }
            _ => Ok(()),
        }
    }

    fn own(&self, file: &impl AsFd) -> Result<()> {
        if let Some((uid, gid)) = self.owner {
            fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(std::io::Error::from)
                .context("give it to its owner")?;
        }
        Ok(())
    }
}

/// Fetches one artifact into the sandbox. Returns what its owner should know, without secrets.
///
/// On an error nothing of it is in the sandbox, unless merging what was unpacked failed half-way:
/// then each file there is whole. Fails with [`Kind::Spec`] where [`Artifact::check`] does.
pub fn fetch(artifact: &Artifact, sandbox: &Root, options: &Options) -> Result<Vec<String>> {
    let scheme = artifact.check()?;
    let shown = artifact.shown();
    let fetched = Fetch {
        artifact,
        shown: &shown,
        options,
    }
    .run(scheme, sandbox);
    fetched.map_err(|error| match error.to_string().contains(&shown) {
        true => error,
        false => error.context(format!("artifact {shown}")),
    })
}

struct Fetch<'a> {
    artifact: &'a Artifact,
    /// The URI, for messages.
    shown: &'a str,
    options: &'a Options,
}

/// The bytes of an artifact.
struct Content {
    file: File,
    mode: u32,
    /// It is a file of ours in the staging directory, to be moved from there.
    staged: bool,
}

impl Fetch<'_> {
    fn run(&self, scheme: Scheme, sandbox: &Root) -> Result<Vec<String>> {
        self.options.in_time()?;
        let mut notes = Vec::new();
        let wanted = self.artifact.extract && !self.artifact.executable;
        let format = Format::of(self.artifact.place()).filter(|_| wanted);
        let staging = Staging::new(sandbox)?;
        let mut content = self.content(scheme, &staging, &mut notes)?;
        let keeps = format.is_none() || !self.artifact.cache;
        if keeps && !content.staged {
            content = self.copy(content, &staging)?;
        }
        if let Some(format) = format {
            content.file.rewind()?;
            let unpacked = unpack::unpack(&content.file, &format, &staging.tree()?, self.options)?;
            notes.extend(
                unpacked
                    .remarks
                    .iter()
                    .map(|it| format!("{}: {it}", self.shown)),
            );
            self.keep(keeps, &content, &staging, sandbox)?;
            merge::merge(&staging.tree()?, sandbox)?;
            unpack::set_modes(&unpacked.modes, sandbox)?;
        } else {
            if wanted {
                let note = format!(
                    "{}: its name is not one of an archive, so it is kept as it is",
                    self.shown
                );
                notes.push(note);
            }
            self.keep(keeps, &content, &staging, sandbox)?;
        }
        Ok(notes)
    }

    /// Moves the artifact itself into place.
    fn keep(
        &self,
        keeps: bool,
        content: &Content,
        staging: &Staging,
        sandbox: &Root,
    ) -> Result<()> {
        if !keeps {
            return Ok(());
        }
        let mode = if self.artifact.executable {
            EXECUTABLE
        } else {
            content.mode
        };
        self.options.own(&content.file)?;
        fchmod(&content.file, Mode::from_raw_mode(mode)).map_err(std::io::Error::from)?;
        staging.publish(sandbox, self.artifact.place(), self.options)
    }

    fn content(
        &self,
        scheme: Scheme,
        staging: &Staging,
        notes: &mut Vec<String>,
    ) -> Result<Content> {
        let path = match scheme {
            Scheme::Path => Some(PathBuf::from(&self.artifact.uri)),
            Scheme::File => Some(local::path(&self.artifact.uri)?),
            Scheme::Http => None,
        };
        if let Some(path) = path {
            let (file, mode) = local::open(&path, self.options.max_bytes)?;
            return Ok(Content {
                file,
                mode,
                staged: false,
            });
        }
        let mode = PLAIN;
        if self.artifact.cache {
            match &self.options.cache {
                Some(directory) => {
                    let file = self.through_cache(directory)?;
                    return Ok(Content {
                        file,
                        mode,
                        staged: false,
                    });
                }
                None => notes.push(format!("{}: there is no cache to keep it in", self.shown)),
            }
        }
        let mut file = staging.file()?;
        let download = self.options.download();
        download.get(&self.artifact.uri, self.shown, None, &mut file)?;
        Ok(Content {
            file,
            mode,
            staged: true,
        })
    }

    fn through_cache(&self, directory: &Path) -> Result<File> {
        let download = self.options.download();
        cache::get(
            directory,
            &self.artifact.uri,
            self.options.deadline,
            |known, file| download.get(&self.artifact.uri, self.shown, known, file),
        )
    }

    fn copy(&self, content: Content, staging: &Staging) -> Result<Content> {
        let mut file = staging.file()?;
        let most = self.options.max_bytes;
        copy(&mut &content.file, &mut file, most, self.options)?;
        Ok(Content {
            file,
            staged: true,
            ..content
        })
    }
}

/// Copies all of it, if that is not more than `most` bytes.
fn copy(from: &mut dyn Read, to: &mut dyn Write, most: u64, options: &Options) -> Result<u64> {
    let mut buffer = vec![0_u8; 128 << 10];
    let mut copied = 0;
    loop {
        options.in_time()?;
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        copied += length as u64;
        if copied > most {
            let message = format!("it has more than {most} bytes");
            return Err(Fault::new(Kind::Limit, message).into());
        }
        to.write_all(&buffer[..length])?;
    }
}
