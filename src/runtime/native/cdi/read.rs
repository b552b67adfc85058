//! Reading CDI files. Only what is a file of reasonable size, that not everybody may write to, is
//! read: such a file can show any part of the host.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::File;
use crate::error::{Fault, Kind};

/// Largest file that is read, in bytes; those of machines with eight GPUs have some 50,000.
const MAX_FILE: u64 = 1 << 20;
/// Most files in a directory.
const MAX_FILES: usize = 256;

/// Reads the files of all directories, in the order of rank and name. A directory that is missing
/// has none.
pub(in crate::runtime::native) fn read(directories: &[PathBuf]) -> Result<Vec<File>> {
    let mut found = Vec::new();
    for (rank, directory) in directories.iter().enumerate() {
        let what = || format!("CDI directory {}", directory.display());
        for path in paths(directory).with_context(what)? {
            found.push(File {
                rank,
                content: content(&path),
                path,
            });
        }
    }
    Ok(found)
}

fn paths(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_one = path
            .extension()
            .is_some_and(|name| name == "json" || name == "yaml");
        if !is_one {
            continue;
        }
        if found.len() >= MAX_FILES {
            let message = format!("it has more than {MAX_FILES} files");
            return Err(Fault::new(Kind::Limit, message).into());
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}

fn content(path: &Path) -> Result<Vec<u8>, String> {
    // A pipe of that name must not keep us waiting.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if metadata.mode() & 0o002 != 0 {
        return Err("everybody may write to it".to_owned());
    }
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(format!("it has more than {MAX_FILE} bytes")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_files_of_the_right_name_and_kind() {
        let scratch = tempfile::tempdir().unwrap();
        let (low, high) = (scratch.path().join("low"), scratch.path().join("high"));
        fs::create_dir_all(low.join("directory.yaml")).unwrap();
        fs::create_dir_all(&high).unwrap();
        for (name, content) in [
            ("b.json", "b"),
            ("a.yaml", "a"),
            ("c.yml", "c"),
            ("json", "d"),
        ] {
            fs::write(low.join(name), content).unwrap();
        }
        fs::write(high.join("a.yaml"), "high").unwrap();
        fs::write(high.join("big.json"), vec![b' '; MAX_FILE as usize + 1]).unwrap();
        fs::write(high.join("open.json"), "x").unwrap();
        fs::set_permissions(high.join("open.json"), fs::Permissions::from_mode(0o646)).unwrap();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            high.join("pipe.yaml"),
            rustix::fs::Mode::from_raw_mode(0o600),
        )
        .unwrap();
        symlink("nowhere", high.join("link.json")).unwrap();
        let found = read(&[low, high, scratch.path().join("missing")]).unwrap();
        let rows: Vec<String> = found
            .iter()
            .map(|file| {
                let name = file.path.file_name().unwrap().to_str().unwrap();
                let content = match &file.content {
                    Ok(bytes) => String::from_utf8(bytes.clone()).unwrap(),
                    Err(why) => why.clone(),
                };
                format!("{} {name}: {content}", file.rank)
            })
            .collect();
        assert_eq!(
            rows,
            [
                "0 a.yaml: a",
                "0 b.json: b",
                "0 directory.yaml: it is not a file",
                "1 a.yaml: high",
                "1 big.json: it has more than 1048576 bytes",
                "1 link.json: No such file or directory (os error 2)",
                "1 open.json: everybody may write to it",
                "1 pipe.yaml: it is not a file",
            ]
        );
    }
}
