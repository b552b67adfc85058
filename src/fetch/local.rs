//! Files of this machine.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use percent_encoding::percent_decode_str;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use crate::error::{Fault, Kind};
use crate::spec::artifact::local_path;

/// The path of a `file:` URI that was checked.
pub(super) fn path(uri: &str) -> Result<PathBuf, Fault> {
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    let bytes: Vec<u8> = percent_decode_str(local_path(rest).unwrap_or_default()).collect();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Fault::new(
            Kind::Spec,
            "its path has a NUL character [E:uri]",
        ));
    }
    Ok(OsString::from_vec(bytes).into())
}

/// Opens a regular file of at most `most` bytes; returns its permissions too, never set-user-ID.
pub(super) fn open(path: &Path, most: u64) -> Result<(File, u32)> {
    let shown = || path.display().to_string();
    let os = |error: rustix::io::Errno| match error {
        rustix::io::Errno::NOENT => {
            let message = format!("{}: there is no such file", shown());
            anyhow::Error::from(Fault::new(Kind::NotFound, message))
        }
        error => anyhow::Error::from(std::io::Error::from(error)).context(shown()),
    };
    // Looked at before it is opened: opening a device can have effects.
    check(
        &openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(os)?,
        most,
    )
    .with_context(shown)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty()).map_err(os)?);
    let mode = check(&file, most).with_context(shown)?;
    Ok((file, mode))
}

fn check(file: &impl std::os::fd::AsFd, most: u64) -> Result<u32> {
    let stat = fstat(file).map_err(std::io::Error::from)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Fault::new(Kind::Spec, "it is not a regular file").into());
    }
    if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > most {
        return Err(Fault::new(Kind::Limit, format!("it has more than {most} bytes")).into());
    }
    Ok(stat.st_mode & 0o777)
}
