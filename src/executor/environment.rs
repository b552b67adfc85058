//! What an agent says by variables (reference/mesos-ucr.md, section 5.2, reference/mesos-live.md,
//! section 1). Pure: a function looks variables up.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::api::{Identity, is_id};
use crate::error::{Fault, Kind};

/// Where the agent does not say (its own defaults).
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Longest length of time that is taken at its word.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest path of a socket (unix(7)), without its NUL.
const MAX_SOCKET: usize = 107;
/// Nanoseconds of a unit.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("secs", 1e9),
    ("mins", 60e9),
    ("hrs", 3_600e9),
    ("days", 86_400e9),
    ("weeks", 604_800e9),
];
/// Beginnings of names of variables that are between the agent and us.
const PRIVATE: [&str; 3] = ["MESOS_", "LIBPROCESS_", "SSL_"];
/// The same beginning, but meant for everybody: where certificates are.
const PUBLIC: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

const TOKEN: &str = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

/// Everything that the agent says at the start.
#[derive(Debug)]
pub struct Configuration {
    /// Whose executor we are.
    pub identity: Identity,
    /// The agent's ID.
    pub agent: Option<String>,
    /// Where the agent is.
    pub endpoint: Endpoint,
    /// The sandbox: also where we are started.
    pub sandbox: PathBuf,
    /// Tasks outlive the agent.
    pub checkpoint: bool,
    /// How long tasks outlive a lost agent.
    pub recovery_timeout: Duration,
    /// Longest pause before the agent is looked for again.
    pub backoff_max: Duration,
    /// How long a shutdown may take.
    pub shutdown_grace: Duration,
    /// Says that we are who we say.
    pub token: Option<Token>,
}

/// How the agent is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub address: String,
    /// What its paths begin with, as in `slave(1)`.
    pub prefix: String,
    /// By TLS, and how.
    pub tls: Option<Tls>,
    /// Its socket in the file system, instead of all that.
    pub socket: Option<PathBuf>,
}

impl Endpoint {
    /// Of every request.
    pub fn path(&self) -> String {
        format!("/{}/api/v1/executor", self.prefix)
    }
}

/// TLS as libprocess has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether the agent's certificate is looked at.
    pub verify: bool,
    /// Who may have signed it, beside those whom the machine trusts.
    pub authorities: Option<PathBuf>,
    /// A directory of the same.
    pub authorities_directory: Option<PathBuf>,
    /// Our own certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// A secret that stays one: it is not shown, and is wiped when dropped.
pub struct Token(Zeroizing<String>);

impl Token {
    /// A copy of what it is.
    pub fn secret(&self) -> Zeroizing<String> {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whether a variable of the executor's own environment may reach what it starts. A task's
/// environment is built from nothing anyway; this is for the `ucr run` around it.
pub fn is_private(name: &str) -> bool {
    is_read(name) && !PUBLIC.contains(&name)
}

/// Whether [`configuration`] may ask for it.
pub fn is_read(name: &str) -> bool {
    PRIVATE.iter().any(|head| name.starts_with(head))
}

/// Reads variables; an empty one is as good as none. Fails with [`Kind::Usage`] by the name of the
/// variable, never with a value of it.
pub fn configuration(get: &dyn Fn(&str) -> Option<String>) -> Result<Configuration, Fault> {
    let variables = Variables(get);
    let identity = Identity {
        framework: variables.id("MESOS_FRAMEWORK_ID")?,
        executor: variables.id("MESOS_EXECUTOR_ID")?,
    };
    let agent = match variables.get("MESOS_SLAVE_ID") {
        Some(_) => Some(variables.id("MESOS_SLAVE_ID")?),
        None => None,
    };
    Ok(Configuration {
        identity,
        agent,
        endpoint: variables.endpoint()?,
        sandbox: variables.sandbox()?,
        checkpoint: variables.flag("MESOS_CHECKPOINT")?,
        recovery_timeout: variables.span("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT)?,
        backoff_max: variables.span("MESOS_SUBSCRIPTION_BACKOFF_MAX", BACKOFF_MAX)?,
        shutdown_grace: variables.span("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", SHUTDOWN_GRACE)?,
        token: variables.token()?,
    })
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<String, Fault> {
        self.get(name).ok_or_else(|| {
            refuse(name, "it is not set")
                .hint("'ucr executor' is started by a Mesos agent, which sets it")
        })
    }

    fn id(&self, name: &str) -> Result<String, Fault> {
        let id = self.required(name)?;
        match is_id(&id) {
            true => Ok(id),
            false => Err(refuse(name, "it cannot be an ID")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name).as_deref() {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(_) => Err(refuse(name, "it is neither 0 nor 1")),
        }
    }

    fn span(&self, name: &str, default: Duration) -> Result<Duration, Fault> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        duration(&text).ok_or_else(|| {
            refuse(name, "it is no length of time").hint("Mesos writes 5secs, 1.5mins, 500ms")
        })
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, Fault> {
        let path = self.get(name).map(PathBuf::from);
        match &path {
            Some(path) if !path.is_absolute() => Err(refuse(name, "it is no absolute path")),
            _ => Ok(path),
        }
    }

    fn endpoint(&self) -> Result<Endpoint, Fault> {
        const PID: &str = "MESOS_SLAVE_PID";
        const ENDPOINT: &str = "MESOS_AGENT_ENDPOINT";
        let pid = self.get(PID);
        let parts = match &pid {
            Some(pid) => Some(
                pid.split_once('@')
                    .ok_or_else(|| refuse(PID, "it has no '@'"))?,
            ),
            None => None,
        };
        let prefix = parts.map_or("slave(1)", |(prefix, _)| prefix);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '(' | ')' | '_' | '-');
        if prefix.is_empty() || !prefix.chars().all(is_plain) {
            return Err(refuse(PID, "what is before '@' cannot be part of a path"));
        }
        let (name, address) = match (self.get(ENDPOINT), parts) {
            (Some(address), _) => (ENDPOINT, address),
            (None, Some((_, address))) => (PID, address.to_owned()),
            (None, None) => (ENDPOINT, self.required(ENDPOINT)?),
        };
        if !is_address(&address) {
            return Err(refuse(name, "it names no HOST:PORT"));
        }
        let socket = self.path("MESOS_DOMAIN_SOCKET")?;
        if socket
            .as_deref()
            .is_some_and(|it| it.as_os_str().len() > MAX_SOCKET)
        {
            return Err(refuse(
                "MESOS_DOMAIN_SOCKET",
                "the path is too long for a socket",
            ));
        }
        Ok(Endpoint {
            address,
            prefix: prefix.to_owned(),
            tls: self.tls()?,
            socket,
        })
    }

    /// Of libprocess's variables, or else of those that they were before 1.1.
    fn ssl(&self, name: &str) -> Option<(String, String)> {
        let new = format!("LIBPROCESS_SSL_{name}");
        let old = format!("SSL_{name}");
        let found = |name: String| self.get(&name).map(|_| name);
        found(new).or_else(|| found(old)).and_then(|name| {
            let value = self.get(&name)?;
            Some((name, value))
        })
    }

    fn ssl_flag(&self, name: &str) -> Result<bool, Fault> {
        match self.ssl(name) {
            Some((name, _)) => self.flag(&name),
            None => Ok(false),
        }
    }

    fn ssl_path(&self, name: &str) -> Result<Option<PathBuf>, Fault> {
        match self.ssl(name) {
            Some((name, _)) => self.path(&name),
            None => Ok(None),
        }
    }

    fn tls(&self) -> Result<Option<Tls>, Fault> {
        if !self.ssl_flag("ENABLED")? {
            return Ok(None);
        }
        let verify = self.ssl_flag("VERIFY_SERVER_CERT")? || self.ssl_flag("VERIFY_CERT")?;
        let key = self.ssl_path("KEY_FILE")?;
        // By its old name and without a key it is what everybody else means by it: authorities.
        let is_own = key.is_some() || self.get("LIBPROCESS_SSL_CERT_FILE").is_some();
        let certificate = match is_own {
            true => self.ssl_path("CERT_FILE")?,
            false => None,
        };
        Ok(Some(Tls {
            verify,
            authorities: self.ssl_path("CA_FILE")?,
            authorities_directory: self.ssl_path("CA_DIR")?,
            certificate,
            key,
        }))
    }

    /// An executor in an image sees its sandbox elsewhere than the agent does.
    fn sandbox(&self) -> Result<PathBuf, Fault> {
        let host = self.required("MESOS_DIRECTORY").map(PathBuf::from)?;
        if !host.is_absolute() {
            return Err(refuse("MESOS_DIRECTORY", "it is no absolute path"));
        }
        let own = self.path("MESOS_SANDBOX")?;
        match own.as_deref().is_none_or(|own| own == Path::new(&host)) {
            true => Ok(host),
            false => Err(Fault::new(
                Kind::Usage,
                "the executor was started inside a container image",
            )
            .hint(
                "ExecutorInfo has no container, TaskInfo has: leave ExecutorInfo.container out, and \
                 with Marathon, whose 'container' becomes the executor's, leave that out, too, and \
                 set the labels ucr.image and ucr.command instead",
            )),
        }
    }

    fn token(&self) -> Result<Option<Token>, Fault> {
        let Some(token) = self.get(TOKEN).map(Zeroizing::new) else {
            return Ok(None);
        };
        // What a header can hold; a line break would begin another one.
        match token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Some(Token(token))),
            false => Err(refuse(TOKEN, "it is no token")),
        }
    }
}

fn refuse(name: &str, why: &str) -> Fault {
    Fault::new(Kind::Usage, format!("variable {name}: {why}"))
}

/// Whether it is `HOST:PORT` with nothing that has a meaning in a URL.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_host = match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(is_plain),
    };
    let is_number = port.bytes().all(|c| c.is_ascii_digit());
    is_host && is_number && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// A number, then directly its unit.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let seconds = number.parse::<f64>().ok()? * nanos / 1e9;
    let length = Duration::try_from_secs_f64(seconds);
    // For ever, or so long that it is the same.
    Some(length.map_or(LONGEST, |length| length.min(LONGEST)))
}

#[cfg(test)]
mod tests;
