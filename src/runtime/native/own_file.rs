//! Files of ucr's own in a container: names and addresses, secrets. Each kind is on a memory
//! filesystem of its own, and shown file by file.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{
    Gid, MemfdFlags, Mode, OFlags, Uid, fchmod, fchown, memfd_create, openat, symlinkat,
};

use super::ground::Ground;
use super::plan::OwnFile;
use super::rootfs::{INERT, KernelFilesystems, Target};
use super::stage::Stage;
use super::status::Reporter;
use crate::error::{Fault, Kind};
use crate::spec::Account;
use crate::sys::mount::{self, Restrict};
use crate::sys::root::Root;

/// Files whose content is known only when the stage has begun: the parent writes them here.
#[derive(Debug)]
pub(super) struct LateFiles(File);

impl LateFiles {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(memfd_create("files", MemfdFlags::CLOEXEC)?.into()))
    }

    /// Before the stage is told.
    pub(super) fn write(&self, files: &[OwnFile]) -> Result<()> {
        let files: Vec<_> = files.iter().map(|it| (&it.target, &it.content)).collect();
        let bytes = serde_json::to_vec(&files)?;
        self.0.set_len(0)?;
        Ok(self.0.write_all_at(&bytes, 0)?)
    }

    fn read(&self) -> Result<Vec<OwnFile>> {
        let mut bytes = vec![0; usize::try_from(self.0.metadata()?.len())?];
        self.0.read_exact_at(&mut bytes, 0)?;
        let files: Vec<(PathBuf, Vec<u8>)> = serde_json::from_slice(&bytes)?;
        let file = |(target, content)| OwnFile { target, content };
        Ok(files.into_iter().map(file).collect())
    }
}

/// Shows the files that every container has. Before volumes, which may be meant to cover them.
pub(super) fn show(
    stage: &Stage,
    reporter: &Reporter,
    ground: &Ground,
    target: &Target,
    kernel: &KernelFilesystems,
) -> Result<()> {
    let late = match stage.late {
        None => None,
        Some(late) => {
            reporter.wait_for_names()?;
            Some(late.read().context("read names and addresses")?)
        }
    };
    let files = late
        .as_ref()
        .unwrap_or(&stage.plan.files)
        .iter()
        .map(|file| Shown {
            target: &file.target,
            content: &file.content,
            mode: 0o644,
            owner: (0, 0),
            read_only: stage.plan.read_only,
            is_needed: false,
        });
    show_all(files, ground, target, kernel)?;
    if ground.is_hosts() {
        return Ok(());
    }
    link_mtab(ground.root).context("link /etc/mtab")
}

/// Shows secrets. After volumes, which would cover them.
pub(super) fn show_secrets(
    stage: &Stage,
    ground: &Ground,
    target: &Target,
    kernel: &KernelFilesystems,
    account: &Account,
) -> Result<()> {
    let mut files = stage.handles.secrets.files().peekable();
    if files.peek().is_none() {
        return Ok(());
    }
    let files = files.map(|(target, content)| Shown {
        target,
        content,
        mode: 0o400,
        owner: (account.uid, account.gid),
        // As docker's are: nobody is to take another value for it.
        read_only: true,
        is_needed: true,
    });
    show_all(files, ground, target, kernel)
}

fn show_all<'a>(
    files: impl Iterator<Item = Shown<'a>>,
    ground: &Ground,
    target: &Target,
    kernel: &KernelFilesystems,
) -> Result<()> {
    let private = Restrict {
        read_only: false,
        ..INERT
    };
    let memory = target.lender("700", "16m", private)?;
    for (number, file) in files.enumerate() {
        file.show(number, memory.as_fd(), ground, kernel)
            .with_context(|| format!("mount {}", file.target.display()))?;
    }
    Ok(())
}

/// What `mount` and `df` of older systems read, where the image does not have it. Other files of
/// ucr's own are in the same directory, which therefore is one of the image's.
fn link_mtab(root: &Root) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let etc = root.resolve(Path::new("/etc"), flags, Mode::empty())?;
    match symlinkat("/proc/mounts", etc, "mtab") {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

/// A file of ucr's own.
struct Shown<'a> {
    target: &'a Path,
    content: &'a [u8],
    mode: u32,
    owner: (u32, u32),
    /// Names and addresses are as the directory above them is, in podman and docker, too.
    read_only: bool,
    /// Else it can be left out where the host's own filesystem has no place for it.
    is_needed: bool,
}

impl Shown<'_> {
    fn show(
        &self,
        number: usize,
        memory: BorrowedFd,
        ground: &Ground,
        kernel: &KernelFilesystems,
    ) -> Result<()> {
        let name = number.to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(openat(memory, &name, flags, Mode::empty())?);
        file.write_all(self.content)?;
        if self.owner != (0, 0) {
            let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
            fchown(&file, Some(uid), Some(gid))?;
        }
        fchmod(&file, Mode::from_raw_mode(self.mode))?;
        let tree = mount::clone_handle(file.as_fd())?;
        if self.read_only {
            mount::restrict(tree.as_fd(), INERT, false)?;
        }
        let target = ground.file(self.target, 0o644);
        if ground.is_hosts()
            && !self.is_needed
            && target
                .as_ref()
                .is_err_and(|it| it.kind() == ErrorKind::NotFound)
        {
            return Ok(());
        }
        let target = target.map_err(|error| {
            match error.raw_os_error() {
                // A loop of links, or one of those in /proc that are none.
                Some(libc::ELOOP) => {
                    let path = self.target.display();
                    let message = format!("the image's {path} leads into links without an end");
                    anyhow::Error::new(Fault::new(Kind::Spec, message))
                }
                _ => error.into(),
            }
        })?;
        kernel.refuse(target.as_fd(), self.target)?;
        Ok(mount::attach(tree.as_fd(), target.as_fd())?)
    }
}
