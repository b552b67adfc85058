//! `ucr run --app`.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::artifacts::artifacts;
use super::backoff::Backoff;
use super::health::Checked;
use super::leases::Leases;
use super::load::{Loaded, load};
use super::parameters;
use super::prepare::{Preparation, Prepared};
use super::supervise::{Ended, Hears, Moment, Supervisor};
use super::values::{Values, resolve};
use crate::cli::context::Context;
use crate::cli::pull::AppPull;
use crate::cli::run::{Given, Run};
use crate::cli::{Command, Format, delegate, output, perform};
use crate::error::{Fault, Kind, hint, render};
use crate::exit::{self, Outcome};
use crate::frontend::flags::BesideApp;
use crate::frontend::marathon::app::App;
use crate::frontend::marathon::container::launch_fault;
use crate::runtime::{RuntimeName, native};
use crate::spec::{GivenValues, Restart};
use crate::sys::process::{Namespaces, adopt, die_with_parent, live_without_parent, spawn};
use crate::sys::root::Root;
use crate::sys::signal::Inbox;

/// Longest pull of an app where nobody says how long: as long as a Mesos agent is told to wait for
/// an executor.
const PULL_TIMEOUT: Duration = Duration::from_secs(600);
/// Largest docker configuration that is read from a sandbox, in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// Runs an app once.
pub(in crate::cli) fn run(run: Run, context: &Context) -> Result<Outcome> {
    let loaded = load(context, &run.app)?;
    let Some(beside) = run.container.beside_app()? else {
        let message = "--app with options that describe the container";
        return Err(Fault::new(Kind::Usage, message)
            .hint(
                "say it in the app definition; --name, --restart, --sandbox, --cgroups, --init and \
                 -i are said beside it",
            )
            .into());
    };
    if loaded.app.instances == 0 && !run.app_run.force {
        let text = format!(
            "app {}: \"instances\" is 0: nothing was started",
            loaded.app.id
        );
        output::remark("note", &text);
        return Ok(Outcome::Done);
    }
    check_restart(&run, &loaded, &beside)?;
    let context = context.with_runtime(loaded.runtime);
    let starter = Starter {
        context: &context,
        loaded: &loaded,
        beside: &beside,
    };
    match (run.dry_run, run.start.detach) {
        (true, _) => starter.show(run),
        (false, false) => starter.start(run, &mut |_| Ok(())),
        (false, true) => starter.detach(run),
    }
}

/// In the background nobody of ucr's hears that a container of the Engine's was stopped, and the
/// Engine would start one again without its checks, and in whatever its last run has left.
fn check_restart(run: &Run, loaded: &Loaded, beside: &BesideApp) -> Result<(), Fault> {
    let restarts = beside.restart.is_some_and(|it| it != Restart::No);
    if loaded.runtime != RuntimeName::Docker || !run.start.detach || !restarts {
        return Ok(());
    }
    let message = "--restart with --detach, of an app of type DOCKER";
    Err(Fault::new(Kind::Unsupported, message)
        .hint("leave out --detach: ucr starts it again; or say type MESOS, which has both"))
}

/// Who starts it.
struct Starter<'a> {
    context: &'a Context,
    loaded: &'a Loaded,
    beside: &'a BesideApp,
}

impl Starter<'_> {
    fn app(&self) -> &App {
        &self.loaded.app
    }

    /// Prints what would be done.
    fn show(&self, mut run: Run) -> Result<Outcome> {
        let store = self.context.store()?;
        let (_, mut spec, _) = self.preparation(&run).preview(&store)?;
        parameters::add(&mut spec, self.app())?;
        let values = GivenValues::default();
        run.given = Some(Given { spec, values }.into());
        perform(Command::Run(Box::new(run)), self.context)
    }

    fn preparation<'a>(&'a self, run: &'a Run) -> Preparation<'a> {
        Preparation {
            context: self.context,
            app: self.app(),
            machine: &run.app_machine,
            beside: self.beside,
        }
    }

    /// Does it in the background, and returns when it runs.
    fn detach(&self, run: Run) -> Result<Outcome> {
        let (mut ready, to_ready) = std::io::pipe()?;
        let awaited = match run.app_run.wait_ready {
            true => Moment::Ready,
            false => Moment::Running,
        };
        let body = move || {
            let mut to_ready = Some(to_ready);
            let mut hears = |moment| {
                let Some(mut to_ready) = to_ready.take_if(|_| moment == awaited) else {
                    return Ok(());
                };
                // Before that process knows, and ends.
                live_without_parent()?;
                leave_streams()?;
                Ok(to_ready.write_all(b"s")?)
            };
            let outcome = rustix::process::setsid()
                .map_err(std::io::Error::from)
                .and_then(|_| die_with_parent())
                .map_err(Into::into)
                .and_then(|()| self.start(run, &mut hears));
            if let Err(error) = &outcome {
                output::error(error, self.context.wants_json(Format::Text));
            }
            exit::code(&outcome)
        };
        // The copy has both ends; this side's are closed by what is dropped below.
        let child =
            spawn(Namespaces::default(), body).context("start a process in the background")?;
        match ready.read(&mut [0])? {
            0 => Ok(Outcome::Exited(child.wait()?)),
            _ => Ok(Outcome::Done),
        }
    }

    fn start(&self, mut run: Run, hears: &mut Hears) -> Result<Outcome> {
        let limit = run.app_run.launch_timeout;
        let deadline = limit.map(|limit| (Instant::now() + limit, limit));
        let values = resolve(self.context, self.app(), &run.app_secrets, false)?;
        // Until here there is nothing to clear up, and Ctrl-C simply ends it.
        let inbox = Inbox::open()?;
        let (store, state) = (self.context.store()?, self.context.state()?);
        self.context.heal()?;
        if self.loaded.runtime == RuntimeName::Docker {
            delegate::sweep_sandboxes(self.context, &store);
        }
        let prepared = self
            .preparation(&run)
            .prepare(&store, Leases::new(&state))?;
        let listener = run.start.status_fd.take().map(listener).transpose()?;
        self.check_devices(&run, &prepared)?;
        self.say_ports(&prepared);
        artifacts(
            (self.context, &store),
            self.app(),
            prepared.sandbox.path(),
            deadline,
            &inbox,
        )?;
        run.options.app = Some(self.pull(&values, prepared.sandbox.path())?);
        let restart = self.beside.restart.unwrap_or(Restart::No);
        self.describe(&mut run, &prepared, &values)?;
        let mut backoff = Backoff::new(self.app());
        loop {
            let supervisor = Supervisor {
                context: self.context,
                run: &run,
                inbox: &inbox,
                checked: Checked {
                    app: self.app(),
                    ports: &prepared.ports,
                },
                deadline,
                listener: listener.as_ref(),
                grace: prepared.spec.stop_timeout,
            };
            // What was fetched, or the last run, may have changed what was made.
            self.preparation(&run)
                .make_volumes(&store, prepared.sandbox.path())?;
            let ended = supervisor.supervise(hears)?;
            if !self.is_again(restart, &ended, &mut backoff) {
                return Ok(Outcome::Exited(ended.exit));
            }
            supervisor.make_room(&ended)?;
            if backoff.pause(&inbox, ended.ran)? {
                return Ok(Outcome::Exited(ended.exit));
            }
        }
    }

    fn say_ports(&self, prepared: &Prepared) {
        let all = prepared.spec.app.iter().flat_map(|app| &app.ports);
        for port in all.filter(|port| port.host_port.is_some()) {
            let (number, inside) = (port.number, port.container_port);
            let (protocol, index) = (&port.protocol, port.index);
            let id = &self.app().id;
            let text = format!("{id}: port {index}: {number} of the host is {inside}/{protocol}");
            self.context.note(&text);
        }
    }

    fn check_devices(&self, run: &Run, prepared: &Prepared) -> Result<()> {
        if self.app().gpus == 0 {
            return Ok(());
        }
        let directories = run.cdi_directories(self.context)?;
        native::check_devices(&prepared.spec, &directories).map_err(|error| {
            let fault = launch_fault("/gpus", &render(&error), "E:gpu-unavailable");
            match hint(&error) {
                Some(words) => fault.hint(words).into(),
                None => fault.into(),
            }
        })
    }

    /// Puts what was decided in the place of a command line.
    fn describe(&self, run: &mut Run, prepared: &Prepared, values: &Values) -> Result<()> {
        let mut given = GivenValues::default();
        for (name, value) in values {
            given.insert(name, value.bytes());
        }
        let mut spec = prepared.spec.clone();
        parameters::add(&mut spec, self.app())?;
        run.given = Some(
            Given {
                spec,
                values: given,
            }
            .into(),
        );
        Ok(())
    }

    fn is_again(&self, restart: Restart, ended: &Ended, backoff: &mut Backoff) -> bool {
        let has_failed = ended.exit.code() != 0;
        !ended.is_asked
            && ended.has_run
            && match restart {
                Restart::No => false,
                Restart::OnFailure(None) => has_failed,
                Restart::OnFailure(Some(most)) => has_failed && backoff.count() < most,
                Restart::Always | Restart::UnlessStopped => true,
            }
    }

    /// Docker's own configuration may have been fetched, too. Whoever made it is as little trusted
    /// as one who makes secrets: links in there lead nowhere else, and no helper is executed.
    fn pull(&self, values: &Values, sandbox: &Path) -> Result<AppPull> {
        let mut pull = pull_of(self.app(), values);
        if self.loaded.runtime == RuntimeName::Docker {
            let root = Root::open(sandbox)?;
            for name in [".docker/config.json", ".dockercfg"] {
                let found = root.read_small(Path::new(name), MAX_CONFIG);
                let found = found.with_context(|| format!("{name} in the sandbox"))?;
                pull.secret = pull.secret.or(found);
            }
        }
        Ok(pull)
    }
}

/// What a pull of its image needs.
pub(super) fn pull_of(app: &App, values: &Values) -> AppPull {
    let docker = app.docker();
    let secret = docker
        .and_then(|docker| docker.pull_config.as_ref())
        .and_then(|config| values.get(&config.secret));
    let credential = docker.and_then(|docker| docker.credential.as_ref());
    AppPull {
        force: docker.is_some_and(|docker| docker.force_pull_image),
        secret: secret.map(|value| value.bytes().to_vec()),
        creds: credential.map(|it| {
            let password = it.secret.clone().unwrap_or_default();
            (it.principal.clone(), password)
        }),
        timeout: PULL_TIMEOUT,
    }
}

/// Takes over the descriptor of `--status-fd`.
fn listener(number: i32) -> Result<OwnedFd> {
    adopt(number).with_context(|| format!("--status-fd {number}"))
}

/// From now on nobody reads what is printed here.
fn leave_streams() -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let null = options.read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(rustix::process::chdir("/")?)
}
