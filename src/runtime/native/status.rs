//! What the stage and the monitor tell each other before the command is executed: the stage its
//! terminal, or why it failed; the monitor that the container is recorded and may start. A clean
//! end of the stream is the success of exec, which closes the stage's side.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
    socketpair,
};
use serde::{Deserialize, Serialize};

use crate::error::{self, Fault, Kind};

/// Longest message, in bytes.
const MAX_MESSAGE: usize = 16 << 10;

/// What the monitor says: that the users are mapped, where they are the container's own, and that
/// the command may be executed.
const MAPPED: &[u8] = b"ma";
const GO: &[u8] = b"go";

/// The monitor's side.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// The stage's side; exec closes it.
#[derive(Debug)]
pub struct Reporter(OwnedFd);

/// What the stage has to say.
#[derive(Debug)]
pub enum Message {
    /// The master end of the container's terminal, or what a child was to make.
    Handle(OwnedFd),
    /// Why the command was not executed.
    Failed(Error),
    /// The command was executed, or the stage died.
    Closed,
}

#[derive(Serialize, Deserialize)]
struct Report {
    kind: String,
    message: String,
    hint: Option<String>,
}

/// A connected pair.
pub fn channel() -> Result<(Listener, Reporter)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((Listener(ours), Reporter(theirs)))
}

impl Reporter {
    /// Takes over the side that was kept open across exec for the built-in init.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Hands something open over.
    pub fn hand_over(&self, handle: BorrowedFd) -> Result<()> {
        let fds = [handle];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(
            &self.0,
            &[IoSlice::new(b"handle")],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Waits until the container's users are mapped. Fails if the monitor is gone.
    pub fn wait_for_users(&self) -> Result<()> {
        self.wait_for(MAPPED)
    }

    /// Waits until the container may start. Fails if the monitor is gone.
    pub fn wait_for_start(&self) -> Result<()> {
        self.wait_for(GO)
    }

    fn wait_for(&self, expected: &[u8]) -> Result<()> {
        let mut word = [0_u8; GO.len()];
        let (received, _) = recv(&self.0, &mut word, RecvFlags::empty())?;
        match received == expected.len() && word == expected {
            true => Ok(()),
            false => Err(Fault::new(Kind::Interrupted, "ucr is gone").into()),
        }
    }

    /// Fails if the monitor is gone.
    pub fn expect_monitor(&self) -> Result<()> {
        match is_closed(&self.0) {
            false => Ok(()),
            true => Err(Fault::new(Kind::Interrupted, "ucr is gone").into()),
        }
    }

    /// Says why the command is not executed. If the monitor is gone nobody wants to know.
    pub fn failed(&self, error: &Error) {
        let report = Report {
            kind: error::kind(error).name().to_owned(),
            message: error::render(error).chars().take(MAX_MESSAGE / 8).collect(),
            hint: error::hint(error),
        };
        let bytes = serde_json::to_vec(&report).unwrap_or_default();
        let mut none = SendAncillaryBuffer::default();
        let _ = sendmsg(
            &self.0,
            &[IoSlice::new(&bytes)],
            &mut none,
            SendFlags::NOSIGNAL,
        );
    }
}

fn is_closed(socket: &OwnedFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut wanted = [PollFd::new(socket, PollFlags::empty())];
    poll(&mut wanted, Some(&now)).is_ok() && wanted[0].revents().contains(PollFlags::HUP)
}

impl AsFd for Reporter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// Tells the stage that its users are mapped, or all that has to be known of it while they are
    /// who they were.
    pub fn users_are_known(&self) -> Result<()> {
        self.say(MAPPED)
    }

    /// Lets the stage execute the command.
    pub fn go(&self) -> Result<()> {
        self.say(GO)
    }

    /// A stage that has failed meanwhile need not hear it.
    fn say(&self, word: &[u8]) -> Result<()> {
        match send(&self.0, word, SendFlags::NOSIGNAL) {
            Ok(_) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether nobody is on the other side any more, so that nothing but what is there already will
    /// be read.
    pub fn is_closed(&self) -> bool {
        is_closed(&self.0)
    }

    /// The next message; waits for it.
    pub fn next(&self) -> Result<Message> {
        let mut buffer = vec![0_u8; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let received = match recvmsg(&self.0, &mut parts, &mut ancillary, flags) {
            // Said once, before what is still there to be read, if the stage left without hearing
            // that it may start (unix(7)).
            Err(rustix::io::Errno::CONNRESET) => {
                recvmsg(&self.0, &mut parts, &mut ancillary, flags)?
            }
            received => received?,
        };
        if received.bytes == 0 {
            return Ok(Message::Closed);
        }
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = message
                && let Some(handle) = fds.next()
            {
                return Ok(Message::Handle(handle));
            }
        }
        let report: Report = serde_json::from_slice(&buffer[..received.bytes])
            .context("internal: the container's first process sent no report")?;
        let kind = Kind::from_name(&report.kind).unwrap_or(Kind::Kernel);
        let fault = Fault::new(kind, report.message);
        let fault = match report.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        };
        Ok(Message::Failed(fault.into()))
    }
}
