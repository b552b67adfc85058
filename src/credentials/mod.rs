//! Which credential goes to which registry, and why.
//!
//! Reads what `docker login`, `podman login`, Kubernetes, DC/OS and people write, in one fixed
//! order: what this command was given, then the environment, then the default files. Says where a
//! credential came from and where it looked in vain; never shows a secret, not even with `{:?}`.
//! Does not decide where a credential may be sent: `registry` does.

mod config;
mod helper;
mod key;
mod lookup;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use config::Unusable;
pub use key::docker_key;
pub use lookup::find;

/// Refuses a pull secret that can prove nothing, whatever the registry: before anybody is asked.
pub fn check_pull_secret(text: &[u8]) -> Result<(), Unusable> {
    let config = config::Config::parse(text).map_err(Unusable::Malformed)?;
    config.check()
}

/// Everything a credential may come from.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--creds`: user and password.
    pub creds: Option<(String, String)>,
    /// `--auth-file`.
    pub auth_file: Option<PathBuf>,
    /// `--pull-secret`: the text of a docker `config.json` or of an old `.dockercfg`.
    pub pull_secret: Option<Vec<u8>>,
    /// What the process was started with.
    pub environment: Environment,
    /// How long a credential helper may take, if that is less than 30 s.
    pub helper_timeout: Option<Duration>,
}

/// The variables that matter here; the caller reads them, so that tests need not.
#[derive(Clone, Default)]
pub struct Environment {
    /// `$REGISTRY_AUTH_FILE`: a file in the form of podman's `auth.json`.
    pub registry_auth_file: Option<PathBuf>,
    /// `$DOCKER_CONFIG`: the directory of `config.json`.
    pub docker_config: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `$DOCKER_AUTH_CONFIG`: the text of a docker `config.json`.
    pub docker_auth_config: Option<String>,
    /// `$PATH`, where helpers are looked for.
    pub path: Option<std::ffi::OsString>,
}

/// The outcome of a look-up.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What to show the registry, if anything.
    pub credential: Option<Credential>,
    /// For `-v`: what matched and where it stands, or that nothing did.
    pub notes: Vec<String>,
    /// For everybody: a helper that is missing or hangs, a default file that cannot be read.
    pub warnings: Vec<String>,
    /// The places that were looked at in vain, in order.
    pub looked_in: Vec<String>,
}

/// A secret and where it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// What proves who we are.
    pub secret: Secret,
    /// Where it stands, as in `--creds` or `/root/.docker/config.json`.
    pub origin: String,
}

/// The forms of a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A name and its password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Exchanged for an access token at the token server (OAuth 2 refresh token).
    IdentityToken {
        /// The name that stands beside it, if one does.
        user: Option<String>,
        /// The token.
        token: String,
    },
    /// Shown to the registry as it is.
    RegistryToken(String),
}

impl Credential {
    /// A user name and password.
    pub fn basic(user: &str, password: &str, origin: impl Into<String>) -> Self {
        Self {
            secret: Secret::Basic {
                user: user.to_owned(),
                password: password.to_owned(),
            },
            origin: origin.into(),
        }
    }
}

/// Whose credential it is and where it stands, as in `the credential of user 'x' from --creds`.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.secret {
            Secret::Basic { user, .. } => write!(f, "the credential of user '{user}'")?,
            Secret::IdentityToken { .. } => write!(f, "the identity token")?,
            Secret::RegistryToken(_) => write!(f, "the registry token")?,
        }
        write!(f, " from {}", self.origin)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({self})")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("creds", &self.creds.as_ref().map(|(user, _)| user))
            .field("auth_file", &self.auth_file)
            .field("pull_secret", &self.pull_secret.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_ever_printed() {
        let secrets = [
            Secret::Basic {
                user: "me".into(),
                password: "hunter2".into(),
            },
            Secret::IdentityToken {
                user: None,
                token: "hunter2".into(),
            },
            Secret::RegistryToken("hunter2".into()),
        ];
        for secret in secrets {
            let credential = Credential {
                secret,
                origin: "--creds".into(),
            };
            let printed = format!("{credential} {credential:?} {:?}", credential.secret);
            assert!(!printed.contains("hunter2"), "{printed}");
            assert!(printed.contains("--creds"), "{printed}");
        }
        let sources = Sources {
            creds: Some(("me".into(), "hunter2".into())),
            pull_secret: Some(b"hunter2".to_vec()),
            environment: Environment {
                docker_auth_config: Some("hunter2".into()),
                ..Environment::default()
            },
            ..Sources::default()
        };
        assert!(!format!("{sources:?}").contains("hunter2"));
    }
}
