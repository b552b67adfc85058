//! One output of the container: a pipe, or its terminal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::read_some;

/// What is read from.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    is_watched: bool,
}

impl Output {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            file: fd.into(),
            is_watched: false,
        }
    }

    /// A buffer of it; 0 at the end, `None` if there is nothing now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        read_some(&mut self.file, buffer)
    }

    /// Waits for more, or not. Left out altogether then: the end of a pipe is told unasked.
    pub(super) fn watch(&mut self, epoll: BorrowedFd, token: u64, wanted: bool) -> io::Result<()> {
        if wanted && !self.is_watched {
            epoll::add(epoll, &self.file, EventData::new_u64(token), EventFlags::IN)?;
        } else if !wanted && self.is_watched {
            epoll::delete(epoll, &self.file)?;
        }
        self.is_watched = wanted;
        Ok(())
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
