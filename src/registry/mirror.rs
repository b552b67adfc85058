//! `--mirror HOST=URL`: where else to look for a registry's images.

use std::str::FromStr;

use reqwest::Url;

use crate::error::{Fault, Kind};
use crate::image::{HUB, is_hub};

/// Another place for the images of a registry. The path of its URL, if any, stands before the
/// repository: `docker.io=https://harbor.corp/hub` asks for `/v2/hub/library/alpine/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    registry: String,
    url: Url,
}

impl Mirror {
    /// Whether this mirror stands in for a registry, named as in a reference.
    pub fn serves(&self, registry: &str) -> bool {
        self.registry.eq_ignore_ascii_case(registry)
    }

    /// Scheme, host and port, without the path.
    pub(super) fn base(&self) -> Url {
        let mut base = self.url.clone();
        base.set_path("/");
        base
    }

    /// The repository as the mirror calls it.
    pub(super) fn repository(&self, repository: &str) -> String {
        let prefix = self.url.path().trim_matches('/');
        if prefix.is_empty() {
            repository.to_owned()
        } else {
            format!("{prefix}/{repository}")
        }
    }
}

impl FromStr for Mirror {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        // A URL may hold a password by mistake: what is wrong with it is said without showing it.
        let bad = |why: &str| {
            let shown = text.split('=').next().unwrap_or_default();
            Fault::new(Kind::Usage, format!("mirror for '{shown}': {why}"))
                .hint("write HOST=URL, as in docker.io=https://mirror.example:5000")
        };
        let Some((registry, url)) = text.trim().split_once('=') else {
            return Err(bad("there is no '='"));
        };
        let registry = match registry.trim() {
            alias if is_hub(alias) => HUB,
            registry => registry,
        };
        if registry.is_empty() || registry.contains(['/', ' ', '@']) {
            return Err(bad("it is not HOST[:PORT]"));
        }
        let url = Url::parse(url.trim())
            .map_err(|error| bad(&format!("its URL cannot be read: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("its URL does not begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "its URL holds a user name; credentials come from --auth-file",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("its URL has a query or a fragment"));
        }
        let registry = registry.to_owned();
        Ok(Self { registry, url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prefixes() {
        let rows = [
            (
                "docker.io=https://m.io",
                "docker.io",
                "https://m.io/",
                "library/x",
            ),
            (
                "registry.hub.docker.com=https://m.io/",
                "docker.io",
                "https://m.io/",
                "library/x",
            ),
            (
                "r.io:5000=http://10.0.0.1:81/a/b/",
                "r.io:5000",
                "http://10.0.0.1:81/",
                "a/b/library/x",
            ),
            (
                "[::1]:5000=http://[::1]:6000",
                "[::1]:5000",
                "http://[::1]:6000/",
                "library/x",
            ),
        ];
        for (text, registry, base, repository) in rows {
            let mirror: Mirror = text.parse().unwrap();
            assert!(mirror.serves(registry), "{text}");
            assert_eq!(mirror.base().as_str(), base, "{text}");
            assert_eq!(mirror.repository("library/x"), repository, "{text}");
        }
    }

    #[test]
    fn refuses() {
        let rows = [
            ("docker.io", "no '='"),
            ("=https://m.io", "HOST[:PORT]"),
            ("a/b=https://m.io", "HOST[:PORT]"),
            ("r.io=m.io:5000", "http:// or https://"),
            ("r.io=ftp://m.io", "http:// or https://"),
            ("r.io=", "cannot be read"),
            ("r.io=https://u:hunter2@m.io", "user name"),
            ("r.io=https://m.io/?x=1", "query"),
        ];
        for (text, why) in rows {
            let refusal = text.parse::<Mirror>().expect_err(text).to_string();
            assert!(refusal.contains(why), "{text}: {refusal}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }
}
