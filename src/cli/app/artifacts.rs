//! Fetches what an app wants in its sandbox, in a process of its own: a download needs threads.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::unistd::User;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::part::work;
use super::supervise::{end, too_long};
use crate::cli::context::Context;
use crate::cli::output;
use crate::cli::start::Listener;
use crate::error::{Fault, Kind};
use crate::exit::{Exit, Outcome};
use crate::fetch::{self, Options};
use crate::frontend::marathon::app::App;
use crate::spec::Artifact;
use crate::store::Store;
use crate::sys::process::Child;
use crate::sys::root::Root;
use crate::sys::signal::Inbox;

/// Fetches them one after the other, as Mesos does; the first that fails ends it.
pub(super) fn artifacts(
    (context, store): (&Context, &Store),
    app: &App,
    sandbox: &Path,
    deadline: Option<(Instant, Duration)>,
    inbox: &Inbox,
) -> Result<()> {
    if app.fetch.is_empty() {
        return Ok(());
    }
    let options = Options {
        owner: owner(&app.id, app.user.as_deref()),
        cache: Some(store.root().join("artifacts")),
        // Whoever waits for it here ends it in time.
        ..Options::default()
    };
    let all: Vec<Artifact> = app.fetch.iter().map(artifact).collect();
    let child = fetch_all(context, &all, sandbox, &options, &Listener::NOBODY)?;
    loop {
        let left = deadline.map(|(it, _)| it.saturating_duration_since(Instant::now()));
        let limit = left.map(Timespec::try_from).transpose()?;
        let mut all = [
            PollFd::from_borrowed_fd(inbox.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(child.handle(), PollFlags::IN),
        ];
        let ready = match poll(&mut all, limit.as_ref()) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if let (0, Some((_, limit))) = (ready, deadline) {
            end(&child)?;
            return Err(too_long(&app.id, limit).into());
        }
        let has_ended = !all[1].revents().is_empty();
        if has_ended {
            return verdict(app, &child);
        }
        while let Some(number) = inbox.next()? {
            if matches!(
                number,
                libc::SIGINT | libc::SIGTERM | libc::SIGQUIT | libc::SIGHUP
            ) {
                end(&child)?;
                let message = format!("{}: interrupted while fetching", app.id);
                return Err(Fault::new(Kind::Interrupted, message).into());
            }
        }
    }
}

/// Fetches into a sandbox, in a process of its own, which says what goes wrong.
pub(in crate::cli) fn fetch_all(
    context: &Context,
    artifacts: &[Artifact],
    sandbox: &Path,
    options: &Options,
    listener: &Listener,
) -> Result<Child> {
    let fetch = || {
        let root = Root::open(sandbox).context("open the sandbox")?;
        for artifact in artifacts {
            for note in fetch::fetch(artifact, &root, options)? {
                context.note(&note);
            }
        }
        Ok(Outcome::Done)
    };
    work(context, || {
        let outcome = fetch();
        listener.hear(&outcome);
        outcome
    })
}

/// It has said itself what went wrong.
fn verdict(app: &App, child: &Child) -> Result<()> {
    match child.wait()? {
        Exit::Code(0) => Ok(()),
        _ => {
            let message = format!("{}: nothing was started: an artifact is missing", app.id);
            Err(Fault::new(Kind::NotFound, message).into())
        }
    }
}

fn artifact(fetch: &crate::frontend::marathon::app::Fetch) -> Artifact {
    Artifact {
        uri: fetch.uri.clone(),
        extract: fetch.extract,
        executable: fetch.executable,
        cache: fetch.cache,
        dest_path: fetch.dest_path.clone(),
    }
}

/// The user's numbers, where this machine knows him; else the sandbox is everybody's anyway.
pub(in crate::cli) fn owner(who: &str, name: Option<&str>) -> Option<(u32, u32)> {
    let name = name?;
    if let Ok(Some(user)) = User::from_name(name) {
        return Some((user.uid.as_raw(), user.gid.as_raw()));
    }
    let (user, group) = name.split_once(':').unwrap_or((name, name));
    let numbers = user.parse().ok().zip(group.parse().ok());
    if numbers.is_none() {
        output::remark(
            "note",
            &format!("{who}: this machine does not know user '{name}': root owns what is fetched"),
        );
    }
    numbers
}
