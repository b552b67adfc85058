//! `ucr --runtime docker run`.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::Delegate;
use crate::cli::run::Run;
use crate::cli::start::StartOptions;
use crate::cli::{background, output, pull};
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::pull::Policy;
use crate::runtime::docker::arguments::{self, Arguments};
use crate::runtime::docker::{Asked, Docker, EngineImage, Ran, UNREAD_SECRETS};
use crate::runtime::native;
use crate::runtime::{Ended, Happening};
use crate::spec::{ContainerSpec, Restart};

/// Who hears of a container.
struct Told<'a> {
    happened: &'a dyn Fn(&Happening),
    remark: &'a dyn Fn(&str),
}

/// While nothing happens yet.
const NOBODY: Told<'static> = Told {
    happened: &|_| (),
    remark: &|_| (),
};

impl Delegate<'_> {
    pub(super) fn run(&self, run: &Run) -> Result<Option<Outcome>> {
        let can_native = || {
            let spec = run.description(self.context)?;
            spec.check()?;
            Ok(native::check(&spec)?)
        };
        let prepare = |docker: &Docker| {
            let spec = run.description_for_docker(self.context)?;
            spec.check()?;
            run.start.check(&spec)?;
            check_start(&run.start, &spec)?;
            run.check_for_docker()?;
            arguments::check(&spec)?;
            self.check_image(&run.options, &spec.image)?;
            let here = docker.image(&spec.image)?;
            let image = here
                .clone()
                .map_or_else(|| EngineImage::unknown(&spec.image), Ok)?;
            docker.check(&self.asked(run, &spec, &image, &NOBODY))?;
            if !self.is_alone() {
                // Which runtime has them is the question.
                docker.check_others(&spec)?;
            }
            Ok((spec, here))
        };
        let Some((spec, here)) = self.first(can_native, prepare)? else {
            return Ok(None);
        };
        if run.dry_run {
            return self.show_words(run, &spec).map(Some);
        }
        let name = pull::name(self.context, &spec.image)?;
        let image = self.image(&run.options, &name, Policy::Missing, here)?;
        self.start(run, &spec, &image).map(Some)
    }

    fn asked<'b>(
        &'b self,
        run: &'b Run,
        spec: &'b ContainerSpec,
        image: &'b EngineImage,
        told: &Told<'b>,
    ) -> Asked<'b> {
        let start = &run.start;
        let streams = match start.attach.is_empty() {
            true => Ok([true; 3]),
            false => background::streams(&start.attach),
        };
        Asked {
            image,
            spec,
            values: run.values(),
            is_kept: !start.rm.unwrap_or(!start.detach),
            is_detached: start.detach,
            streams: streams.unwrap_or([true; 3]),
            detach_keys: start.detach_keys.to_string(),
            is_followed: start.status_fd.is_some() || start.cidfile.is_some(),
            environment: &self.environment,
            happened: told.happened,
            remark: told.remark,
        }
    }

    /// What docker would be told.
    fn show_words(&self, run: &Run, spec: &ContainerSpec) -> Result<Outcome> {
        let docker = self.docker()?;
        let image = docker.image(&spec.image)?;
        let image = image.map_or_else(|| EngineImage::unknown(&spec.image), Ok)?;
        let asked = self.asked(run, spec, &image, &NOBODY);
        let (seccomp, env_file) = (Path::new("/SECCOMP.json"), Path::new("/ENV"));
        let Arguments { words, variables } =
            docker.arguments(&asked, &UNREAD_SECRETS, seccomp, env_file)?;
        match self.context.wants_json(crate::cli::Format::Text) {
            true => output::json(
                &serde_json::json!({ "spec": spec, "docker": words, "env": variables }),
            )?,
            false => {
                words.iter().try_for_each(|word| output::line(word))?;
                if !variables.is_empty() {
                    output::line("--- env-file")?;
                }
                variables.iter().try_for_each(|line| output::line(line))?;
            }
        }
        Ok(Outcome::Done)
    }

    fn start(&self, run: &Run, spec: &ContainerSpec, image: &EngineImage) -> Result<Outcome> {
        let reporter = run.start.reporter(self.context)?;
        let is_started = Cell::new(false);
        let happened = |happening: &Happening| {
            is_started.set(is_started.get() || matches!(happening, Happening::Started { .. }));
            reporter.report(happening);
        };
        let remark = |text: &str| output::remark("warning", &format!("docker: {text}"));
        let told = Told {
            happened: &happened,
            remark: &remark,
        };
        let asked = self.asked(run, spec, image, &told);
        let ran = self.docker()?.run(&asked);
        if !is_started.get() {
            reporter.discard();
        }
        match ran? {
            Ran::LetGo(id) => {
                if run.start.detach {
                    run.start.print_id(self.context, &id)?;
                }
                Ok(Outcome::Done)
            }
            Ran::Ended { id, ended } => {
                reporter.ended(&id, &ended);
                warn_of_oom(&ended);
                Ok(Outcome::Exited(ended.exit))
            }
        }
    }

    /// How long a pull may take that nobody has limited.
    pub(super) const PULL_LIMIT: Duration = Duration::from_secs(24 * 3600);
}

/// The Engine does not say how many.
fn warn_of_oom(ended: &Ended) {
    if ended.oom_kills > 0 {
        output::remark(
            "warning",
            "out of memory: the kernel killed processes of it",
        );
    }
}

/// Docker lets go of a container that it starts again.
fn check_start(start: &StartOptions, spec: &ContainerSpec) -> Result<(), Fault> {
    let restarts = spec.restart.is_some_and(|restart| restart != Restart::No);
    if restarts && !start.detach {
        let message =
            "restart (--restart): Docker Engine lets go of a container that it starts again";
        return Err(Fault::new(Kind::Unsupported, message).hint("add -d, or say --runtime native"));
    }
    if start.sig_proxy == Some(false) {
        let message = "--sig-proxy=false: docker passes signals on to what it starts";
        return Err(
            Fault::new(Kind::Unsupported, message).hint("leave it out, or say --runtime native")
        );
    }
    Ok(())
}
