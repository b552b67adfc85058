//! How `ucr run` starts a container: in the foreground, in the background, attached or not.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{ArgAction, Args};
use serde_json::json;

use super::background::{self, Background};
use super::cidfile::CidFile;
use super::context::Context;
use super::{Format, delegate, output};
use crate::error::{self, Fault, Kind};
use crate::exit::Outcome;
use crate::runtime::native::network::cni::Places;
use crate::runtime::native::{Asked, Attachment, DetachKeys, Native};
use crate::runtime::{Ended, Happening, IGNORED};
use crate::spec::{ContainerSpec, GivenValues, Restart};
use crate::store::Image;
use crate::sys;
use crate::sys::process::{adopt, copy};
use crate::sys::tty::{Size, is_terminal};

/// How a container is started.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Life options")]
pub(super) struct StartOptions {
    /// Start the container in the background and print its ID
    #[arg(long, short)]
    pub(super) detach: bool,
    /// Remove the container when it ends [default: unless --detach]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    pub(super) rm: Option<bool>,
    /// Attach to these streams only: stdin, stdout, stderr; repeatable
    #[arg(long, short, value_name = "STREAM", conflicts_with = "detach")]
    pub(super) attach: Vec<String>,
    /// Keys that let go of a container with a terminal, which goes on
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub(super) detach_keys: DetachKeys,
    /// Pass signals on to the container [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    pub(super) sig_proxy: Option<bool>,
    /// Write the container's ID to a new file
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Option<PathBuf>,
    /// Write what happens to this open descriptor, a line of JSON each: created, started, health,
    /// exited, failed
    #[arg(long, value_name = "FD")]
    pub(super) status_fd: Option<i32>,
}

/// Hears that there will be no container, whoever of ucr's processes finds out.
pub(super) struct Listener(Option<OwnedFd>);

/// A container's start, and who hears of it.
struct Start<'a> {
    native: Native<'a>,
    image: Option<&'a Image>,
    spec: &'a ContainerSpec,
    values: &'a GivenValues,
    id: String,
    is_kept: bool,
    size: Option<Size>,
    reporter: Reporter<'a>,
}

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Unless its root filesystem is a directory of the host.
    pub(super) image: Option<&'a Image>,
    pub(super) spec: &'a ContainerSpec,
    /// Of secrets that it names.
    pub(super) values: &'a GivenValues,
}

/// Tells whoever started a container what happens to it.
pub(super) struct Reporter<'a> {
    context: &'a Context,
    status: Option<OwnedFd>,
    cidfile: Option<CidFile>,
}

/// Where the host describes what containers can have.
#[derive(Debug)]
pub(super) struct Directories {
    /// Of CDI files.
    pub(super) cdi: Vec<PathBuf>,
    /// Of CNI lists and plugins.
    pub(super) cni: Places,
}

impl StartOptions {
    /// Refuses what makes no sense, before anybody waits for a pull.
    pub(super) fn check(&self, spec: &ContainerSpec) -> Result<(), Fault> {
        background::streams(&self.attach)?;
        let restarts = spec.restart.is_some_and(|restart| restart != Restart::No);
        if restarts && self.rm == Some(true) {
            return Err(Fault::new(Kind::Usage, "--restart with --rm")
                .hint("a container that is started again is not removed: leave one out"));
        }
        let terminal = is_terminal(std::io::stdin());
        if spec.tty && spec.stdin && !self.detach && self.attach.is_empty() && !terminal {
            return Err(
                Fault::new(Kind::Usage, "-t with -i needs a terminal on standard input")
                    .hint("leave out -t, or -i"),
            );
        }
        Ok(())
    }

    pub(super) fn start(
        &self,
        context: &Context,
        wanted: &Wanted,
        host: &Directories,
    ) -> Result<Outcome> {
        let &Wanted {
            image,
            spec,
            values,
        } = wanted;
        let (store, state) = (context.store()?, context.state()?);
        let start = Start {
            native: Native {
                store: &store,
                state: &state,
                cdi_directories: &host.cdi,
                cni: &host.cni,
            },
            image,
            spec,
            values,
            id: sys::random_name()?,
            is_kept: !self.rm.unwrap_or(!self.detach),
            size: Size::of(std::io::stdin()).filter(|_| spec.tty),
            reporter: self.reporter(context)?,
        };
        let restarts = spec.restart.is_some_and(|restart| restart != Restart::No);
        let is_direct = !self.detach && !spec.tty && !restarts && self.attach.is_empty();
        if is_direct && self.sig_proxy != Some(false) {
            let ended = start.run(None)?;
            background::warn_of_oom(ended.oom_kills);
            return Ok(Outcome::Exited(ended.exit));
        }
        let how = self.attachment(spec)?;
        let how = how.as_ref();
        let as_json = context.wants_json(Format::Text);
        let kept = start.reporter.status.as_ref().map(AsFd::as_fd);
        let outcome = background::start(how, as_json, kept, |background| {
            start.run(Some(background)).map(drop)
        })?;
        match outcome {
            Some(outcome) => Ok(outcome),
            None => {
                self.print_id(context, &start.id)?;
                Ok(Outcome::Done)
            }
        }
    }

    /// Of a container in the background.
    pub(super) fn print_id(&self, context: &Context, id: &str) -> Result<()> {
        match context.wants_json(Format::Text) {
            true => output::json(&json!({ "id": id })),
            false => output::line(id),
        }
    }

    pub(super) fn reporter<'a>(&self, context: &'a Context) -> Result<Reporter<'a>> {
        Ok(Reporter {
            context,
            status: self.status_fd()?,
            cidfile: self.cidfile(context)?,
        })
    }

    fn cidfile(&self, context: &Context) -> Result<Option<CidFile>> {
        let path = self.cidfile.clone();
        let path = path.map(|path| context.absolute(path)).transpose()?;
        path.map(CidFile::create).transpose()
    }

    /// Who hears of a failure, if somebody is to.
    pub(super) fn listener(&self) -> Listener {
        let number = self.status_fd.filter(|number| *number > 2);
        // If it is none, that is said when it is used.
        Listener(number.and_then(|number| copy(number).ok()))
    }

    fn status_fd(&self) -> Result<Option<OwnedFd>> {
        let Some(number) = self.status_fd else {
            return Ok(None);
        };
        if number < 3 {
            let message = format!("--status-fd {number}: it is a standard stream");
            return Err(Fault::new(Kind::Usage, message)
                .hint("open another, as in: ucr run --status-fd 3 … 3>FILE")
                .into());
        }
        let fd = adopt(number).with_context(|| format!("--status-fd {number}"))?;
        Ok(Some(fd))
    }

    /// How this process is attached; `None` if it is not.
    fn attachment(&self, spec: &ContainerSpec) -> Result<Option<Attachment>> {
        if self.detach {
            return Ok(None);
        }
        let [stdin, stdout, stderr] = match self.attach.is_empty() {
            true => [true; 3],
            false => background::streams(&self.attach)?,
        };
        Ok(Some(Attachment {
            tty: spec.tty,
            stdin: stdin && spec.stdin,
            stdout,
            stderr,
            forwards_signals: self.sig_proxy.unwrap_or(true),
            keys: self.detach_keys.clone(),
        }))
    }
}

impl Start<'_> {
    /// Runs it to its end, here or in the background.
    fn run(&self, mut background: Option<Background>) -> Result<Ended> {
        let owner = background.as_mut().and_then(|it| it.owner.take());
        let background = background.map(RefCell::new);
        let is_started = Cell::new(false);
        let happened = |happening: &Happening| {
            match happening {
                // Whoever wrote the app did not say that it may be missing.
                Happening::Note(text) if self.spec.app.is_some() && text.starts_with(IGNORED) => {
                    output::remark("warning", &format!("{text} [W:cgroup-unavailable]"));
                }
                _ => self.reporter.report(happening),
            }
            is_started.set(is_started.get() || is_start(happening));
            let background = background.as_ref().filter(|_| is_start(happening));
            if let Some(background) = background {
                // If whoever started it is gone, it is ended as abandoned.
                let _ = background.borrow_mut().started();
            }
        };
        let asked = Asked {
            id: &self.id,
            image: self.image,
            spec: self.spec,
            values: self.values,
            is_kept: self.is_kept,
            has_console: background.is_some(),
            size: self.size,
            happened: &happened,
        };
        let ended = self.native.run(&asked, owner);
        if !is_started.get() {
            self.reporter.discard();
        }
        let ended = ended?;
        self.reporter.ended(&self.id, &ended);
        Ok(ended)
    }
}

impl Listener {
    /// Whoever reads this descriptor.
    pub(super) fn of(status: &OwnedFd) -> Self {
        Self(status.try_clone().ok())
    }

    /// Of a command that starts nothing.
    pub(super) const NOBODY: Self = Self(None);

    /// What has to stay open.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Says why there is no container, if that is what came of it.
    pub(super) fn hear<T>(&self, outcome: &Result<T>) {
        if let (Some(fd), Err(error)) = (&self.0, outcome) {
            let event = json!({
                "event": "failed",
                "kind": error::kind(error).name(),
                "message": error::render(error),
                "hint": error::hint(error),
            });
            say(fd, &event);
        }
    }
}

impl Reporter<'_> {
    /// There never was a container.
    pub(super) fn discard(&self) {
        if let Some(file) = &self.cidfile {
            file.discard();
        }
    }

    /// It is over.
    pub(super) fn ended(&self, id: &str, ended: &Ended) {
        self.say(&json!({
            "event": "exited",
            "id": id,
            "exit_code": ended.exit.code(),
            "oom_killed": ended.oom_kills > 0,
            "stopped": ended.is_meant,
        }));
    }

    pub(super) fn report(&self, happening: &Happening) {
        match happening {
            Happening::Note(text) => self.context.note(text),
            Happening::Created { id } => {
                if let Some(Err(error)) = self.cidfile.as_ref().map(|file| file.write(id)) {
                    output::remark("warning", &crate::error::render(&error));
                }
                self.say(&json!({ "event": "created", "id": id }));
            }
            Happening::Health { id, status } => {
                self.say(&json!({ "event": "health", "id": id, "status": status }));
            }
            Happening::Started { id, pid } => {
                let mut event = json!({ "event": "started", "id": id, "pid": pid });
                if let Some(address) = self.address(id) {
                    event["ip"] = address.to_string().into();
                }
                self.say(&event);
            }
        }
    }

    fn say(&self, event: &serde_json::Value) {
        if let Some(status) = &self.status {
            say(status, event);
        }
    }

    /// Its own, where somebody wants to know.
    fn address(&self, id: &str) -> Option<IpAddr> {
        self.status.as_ref()?;
        delegate::container(self.context, id).ok()??.address()
    }
}

fn say(to: &OwnedFd, event: &serde_json::Value) {
    // A reader that goes away early has what it wanted.
    let _ = rustix::io::write(to, format!("{event}\n").as_bytes());
}

fn is_start(happening: &Happening) -> bool {
    matches!(happening, Happening::Started { .. })
}
