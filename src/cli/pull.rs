//! `ucr pull`, and the options by which every command that needs an image may fetch it.

use std::fs;
use std::io::{BufRead, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use super::app::{AppFile, AppSecrets};
use super::context::Context;
use super::progress::Display;
use super::{Format, Verbosity, document, environment, output};
use crate::credentials::Sources;
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::image::Platform;
use crate::layer::{Limits, Setting};
use crate::pull::{self, Policy, Request};
use crate::registry::{Event, Mirror, Options};
use crate::source::ImageName;
use crate::store::{Durability, Image};
use crate::sys::tty::{Hidden, is_terminal};

/// Largest secret that is read from a file or stdin, in bytes.
const MAX_SECRET: u64 = 1 << 20;

/// Pull an image into the store
///
/// IMAGE is a reference as for docker pull, or as skopeo and podman write them: oci:DIR[:TAG],
/// oci-archive:FILE[:TAG], docker-archive:FILE[:TAG], or docker-daemon:REF for an image of a Docker
/// Engine. Prints the digest of the image's manifest.
#[derive(Debug, Args)]
pub(super) struct Pull {
    /// The image to pull
    #[arg(required_unless_present = "app", conflicts_with = "app")]
    pub(super) image: Option<String>,
    #[command(flatten)]
    pub(super) verbosity: Verbosity,
    #[command(flatten)]
    pub(super) options: PullOptions,
    #[command(flatten)]
    pub(super) app: AppFile,
    #[command(flatten)]
    pub(super) app_secrets: AppSecrets,
}

impl Pull {
    /// Its name, which clap or an app has seen to.
    pub(super) fn image(&self) -> Result<&str> {
        self.image.as_deref().context("clap requires an image")
    }

    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let image = self.options.pull(context, self.image()?, Policy::Always)?;
        if context.wants_json(Format::Text) {
            output::json(&document::image_summary(&image.record))?;
        } else {
            output::line(&image.record.manifest_digest.to_string())?;
        }
        Ok(Outcome::Done)
    }
}

/// How to find an image and prove who asks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Pull options")]
pub(super) struct PullOptions {
    /// When to ask [default: newer for files and docker-daemon:; else always for pull, missing elsewhere]
    // docker's name for it
    #[arg(long, alias = "pull", value_name = "WHEN")]
    policy: Option<PolicyName>,
    /// Platform to choose from a multi-platform image [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(super) platform: Option<Platform>,
    /// User and password for the registry; others on this machine can see them while ucr runs
    #[arg(long, value_name = "USER[:PASSWORD]")]
    creds: Option<String>,
    /// Read the password of --creds USER from stdin
    #[arg(long, requires = "creds")]
    password_stdin: bool,
    /// File with credentials, in docker's config.json or podman's auth.json form
    #[arg(long, value_name = "FILE")]
    auth_file: Option<PathBuf>,
    /// Mesos or DC/OS pull secret: the text of a docker config.json or .dockercfg; - is stdin
    #[arg(long, value_name = "FILE|-")]
    pull_secret: Option<PathBuf>,
    /// Speak http to the registry; without this only loopback addresses may
    #[arg(long)]
    plain_http: bool,
    /// PEM file of certificates to trust beside the system's; repeatable
    #[arg(long, value_name = "FILE")]
    tls_ca: Vec<PathBuf>,
    /// Accept any certificate: of the registry, its mirrors, and whomever they send ucr to
    #[arg(long)]
    tls_skip_verify: bool,
    /// Give up pulling after this time, as in 90s, 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) pull_timeout: Option<Duration>,
    /// Where to look first for a registry's images; repeatable, also from $UCR_MIRRORS
    #[arg(long, value_name = "HOST=URL")]
    mirror: Vec<Mirror>,
    /// Change a limit of layers that guards against bombs, as in bytes=2T; repeatable
    #[arg(long, value_name = "NAME=VALUE", long_help = limits())]
    limit: Vec<Setting>,
    /// Do not wait until layers are on the disk; after the next boot they are fetched again
    #[arg(long)]
    no_sync: bool,
    /// What an app definition says of it.
    #[arg(skip)]
    pub(super) app: Option<AppPull>,
}

/// How the image of an app is pulled.
#[derive(Clone)]
pub(super) struct AppPull {
    /// Ask the registry at every start.
    pub(super) force: bool,
    /// Value of its pull secret.
    pub(super) secret: Option<Vec<u8>>,
    /// User and password.
    pub(super) creds: Option<(String, String)>,
    /// Where nobody says one.
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for AppPull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("AppPull");
        shown.field("force", &self.force).finish_non_exhaustive()
    }
}

/// The defaults are printed from what they are.
fn limits() -> String {
    format!(
        "Change a limit of layers that guards against bombs; repeatable. The limits and their \
         defaults, for one layer: {}",
        Limits::default()
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PolicyName {
    /// Ask every time, fetch what is missing
    Always,
    /// Only if the image is not in the store
    Missing,
    /// Fetch if the registry has another one; without an answer use the store's
    Newer,
    /// Never; the image must be in the store
    Never,
}

impl PullOptions {
    /// Pulls, or finds, an image; shows progress.
    pub(super) fn pull(&self, context: &Context, image: &str, default: Policy) -> Result<Image> {
        let name = name(context, image)?;
        let platform = self.platform();
        context.heal()?;
        let display = Arc::new(Display::new(context));
        let deadline = self.timeout().map(|timeout| Instant::now() + timeout);
        let request = Request {
            name: &name,
            platform: &platform,
            policy: self.policy(&name, default),
            limits: &Limits::default().with(&self.limit),
            durability: match self.no_sync {
                false => Durability::Synced,
                true => Durability::ThisBoot,
            },
            deadline,
            registry: &|| self.registry(&display, deadline),
            engine: &|| context.engine(),
        };
        pull::pull(&context.store()?, &request, &*display)
    }

    /// How long a pull may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let of_app = self.app.as_ref().map(|app| app.timeout);
        self.pull_timeout.or(of_app)
    }

    /// Whether an image can be had without looking anywhere but in the store.
    pub(super) fn find_local(&self, context: &Context, image: &str) -> Result<Option<Image>> {
        let name = name(context, image)?;
        let looks = matches!(
            self.policy(&name, Policy::Missing),
            Policy::Always | Policy::Newer
        );
        if looks {
            return Ok(None);
        }
        let found = pull::local(&context.store()?, &name, &self.platform())?;
        match (found, self.policy) {
            (None, Some(PolicyName::Never)) => Err(pull::not_here(&name)),
            (found, _) => Ok(found),
        }
    }

    /// The image that a pull just brought, or the policy left.
    pub(super) fn local(&self, context: &Context, image: &str) -> Result<Image> {
        let name = name(context, image)?;
        let found = pull::local(&context.store()?, &name, &self.platform())?;
        found.ok_or_else(|| {
            let message = format!("image {name} went away while it was being used");
            Fault::new(Kind::Store, message).hint("try again").into()
        })
    }

    /// The image, which must be in the store, for a command that pulls nothing.
    pub(super) fn present(&self, context: &Context, image: &str) -> Result<Image> {
        let name = name(context, image)?;
        let found = pull::local(&context.store()?, &name, &self.platform())?;
        found.ok_or_else(|| {
            let message = format!("image {name} is not in the store");
            Fault::new(Kind::NotFound, message)
                .hint(format!("'ucr pull {name}' first: this pulls nothing"))
                .into()
        })
    }

    /// What was said; else the command's default, except that a file or Engine of this machine is
    /// looked at every time: that costs little, and whoever built it again wants the new one.
    pub(super) fn policy(&self, name: &ImageName, default: Policy) -> Policy {
        let is_forced = self.app.as_ref().is_some_and(|app| app.force);
        match (self.policy, name) {
            (None, _) if is_forced => Policy::Always,
            (None, ImageName::Registry(_)) => default,
            (None, _) => Policy::Newer,
            (Some(PolicyName::Always), _) => Policy::Always,
            (Some(PolicyName::Missing), _) => Policy::Missing,
            (Some(PolicyName::Newer), _) => Policy::Newer,
            (Some(PolicyName::Never), _) => Policy::Never,
        }
    }

    /// Refuses what is the Engine's own to decide.
    pub(super) fn check_for_engine(&self) -> Result<(), Fault> {
        let its = "the Engine's own configuration, /etc/docker/daemon.json, has ";
        let certificates = "put certificates into /etc/docker/certs.d/HOST";
        let asked = [
            (self.plain_http, "--plain-http", "insecure-registries"),
            (
                self.tls_skip_verify,
                "--tls-skip-verify",
                "insecure-registries",
            ),
            (!self.tls_ca.is_empty(), "--tls-ca", ""),
            (!self.mirror.is_empty(), "--mirror", "registry-mirrors"),
            (!self.limit.is_empty(), "--limit", "no such limits"),
            (self.no_sync, "--no-sync", "nothing like it"),
        ];
        let Some((_, option, word)) = asked.into_iter().find(|(is_asked, ..)| *is_asked) else {
            return Ok(());
        };
        let hint = match word {
            "" => certificates.to_owned(),
            word => format!("{its}{word}; or say --runtime native"),
        };
        let message = format!("{option}: it is Docker Engine that pulls");
        Err(Fault::new(Kind::Unsupported, message).hint(hint))
    }

    /// For an image that the Engine has by now.
    pub(super) fn for_engine(&self) -> Self {
        Self {
            policy: None,
            app: None,
            ..self.clone()
        }
    }

    fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }

    fn registry(&self, display: &Arc<Display>, deadline: Option<Instant>) -> Result<Options> {
        let display = Arc::clone(display);
        Ok(Options {
            plain_http: self.plain_http,
            tls_ca: self.tls_ca.clone(),
            tls_skip_verify: self.tls_skip_verify,
            mirrors: self.mirrors()?,
            deadline,
            credentials: Sources {
                helper_timeout: deadline.map(|it| it.saturating_duration_since(Instant::now())),
                ..self.credentials()?
            },
            certs_d: vec![
                "/etc/containers/certs.d".into(),
                "/etc/docker/certs.d".into(),
            ],
            on_event: Arc::new(move |event| match event {
                Event::Note(text) => display.detail(&text),
                Event::Warning(text) => display.warn(&text),
                Event::Waiting(text) => display.say(&text),
            }),
            ..Options::default()
        })
    }

    fn mirrors(&self) -> Result<Vec<Mirror>> {
        let listed = environment::variable("UCR_MIRRORS").unwrap_or_default();
        let words = listed
            .split([' ', ',', '\n', '\t'])
            .filter(|word| !word.is_empty());
        let mut mirrors = self.mirror.clone();
        for word in words {
            mirrors.push(word.parse::<Mirror>().context("$UCR_MIRRORS")?);
        }
        Ok(mirrors)
    }

    pub(super) fn credentials(&self) -> Result<Sources> {
        let app = self.app.as_ref();
        let secret = self.pull_secret.as_deref().map(secret).transpose()?;
        Ok(Sources {
            creds: self
                .user_and_password()?
                .or_else(|| app.and_then(|app| app.creds.clone())),
            auth_file: self.auth_file.clone(),
            pull_secret: secret.or_else(|| app.and_then(|app| app.secret.clone())),
            environment: environment::credentials(),
            ..Sources::default()
        })
    }

    fn user_and_password(&self) -> Result<Option<(String, String)>> {
        let Some(creds) = &self.creds else {
            return Ok(None);
        };
        let split = creds.split_once(':');
        match (split, self.password_stdin) {
            (Some((user, password)), false) => Ok(Some((user.to_owned(), password.to_owned()))),
            (None, true) => Ok(Some((creds.clone(), password_from_stdin()?))),
            (None, false) if is_terminal(std::io::stdin()) => {
                Ok(Some((creds.clone(), password_from_stdin()?)))
            }
            (Some(_), true) => Err(Fault::new(
                Kind::Usage,
                "two passwords: in --creds and on stdin",
            )
            .hint("say --creds USER --password-stdin")
            .into()),
            (None, false) => Err(
                Fault::new(Kind::Usage, "--creds has a user but no password")
                    .hint("say --creds USER --password-stdin, and give the password on stdin")
                    .into(),
            ),
        }
    }
}

/// The name with paths made absolute.
pub(super) fn name(context: &Context, image: &str) -> Result<ImageName> {
    Ok(image
        .parse::<ImageName>()?
        .absolute(&context.working_directory()?))
}

/// One line of stdin without its end; asked for, and not shown, on a terminal.
fn password_from_stdin() -> Result<String> {
    let stdin = std::io::stdin();
    let hidden = Hidden::ask(stdin.as_fd(), "Password: ")?;
    let text = match hidden {
        Some(_) => {
            let mut line = String::new();
            stdin.lock().read_line(&mut line)?;
            line.into_bytes()
        }
        None => bounded(stdin.lock(), "the password on stdin")?,
    };
    drop(hidden);
    let text = String::from_utf8(text)
        .map_err(|_| Fault::new(Kind::Usage, "the password on stdin is not UTF-8"))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    match password {
        "" => Err(Fault::new(Kind::Usage, "the password on stdin is empty").into()),
        password => Ok(password.to_owned()),
    }
}

fn secret(path: &std::path::Path) -> Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        return bounded(std::io::stdin().lock(), "the pull secret on stdin");
    }
    let what = format!("pull secret {}", path.display());
    bounded(fs::File::open(path).with_context(|| what.clone())?, &what)
}

fn bounded(reader: impl Read, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_SECRET + 1)
        .read_to_end(&mut bytes)
        .with_context(|| what.to_owned())?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(Fault::new(Kind::Limit, format!("{what} is larger than 1 MiB")).into());
    }
    Ok(bytes)
}

/// `90`, `90s`, `10m`, `10mins`, `1h`: Mesos's words for units are known too.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "it is not a time such as 90s or 10m".to_owned())?;
    let seconds = match unit {
        "" | "s" | "secs" => 1,
        "m" | "min" | "mins" => 60,
        "h" | "hrs" => 3_600,
        _ => return Err(format!("'{unit}' is not one of s, m, h")),
    };
    match number.checked_mul(seconds) {
        Some(seconds @ 1..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err("it is not between 1 second and 1 year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let rows = [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("10mins", Some(600)),
            ("1h", Some(3600)),
        ];
        for (text, seconds) in rows {
            assert_eq!(
                duration(text).ok(),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
        for text in [
            "",
            "0",
            "m",
            "-1s",
            "1d",
            "99999999999999999999",
            "1.5m",
            "9999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
