//! Image names: `[registry/]repository[:tag][@digest]`, with Docker Hub's short forms.
//!
//! A byte scanner of our own: the usual regular expression costs 40 ms and 20 MB at first use and
//! knows no IPv6. Grammar: distribution/reference; decisions: reference/registry.md section 8.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::Digest;
use crate::error::{Fault, Kind};

/// Docker Hub, as images are named.
pub const HUB: &str = "docker.io";
/// Longest repository path, in bytes.
const MAX_REPOSITORY: usize = 255;
/// Longest tag, in bytes.
const MAX_TAG: usize = 128;

/// A normalised image name: always a registry, a repository, and a tag or a digest or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Whether a host is Docker Hub, under whichever of the names that files and flags have for it.
pub fn is_hub(host: &str) -> bool {
    let names = [
        HUB,
        "index.docker.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
    ];
    names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

impl Reference {
    /// Host and perhaps port, as in `docker.io`, `[::1]:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path on the registry, as in `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; kept as a label when there is a digest too.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that pins the image.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether this is on Docker Hub.
    pub fn is_hub(&self) -> bool {
        self.registry == HUB
    }

    /// What to ask a registry for: the digest if there is one, else the tag.
    pub fn locator(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => unreachable!("a reference has a tag or a digest"),
        }
    }

    /// The same repository, pinned to a digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        parse(text).map_err(|(why, hint)| {
            let shown = without_userinfo(text);
            let fault = Fault::new(Kind::Reference, format!("image name '{shown}': {why}"));
            if hint.is_empty() {
                fault
            } else {
                fault.hint(hint)
            }
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What may be shown of a name: somebody may have put a password before an '@'.
fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) if !rest.starts_with("sha") => format!("…@{rest}"),
        _ => text.to_owned(),
    }
}

/// Why a name is refused, and a hint (empty if none).
type Refusal = (String, String);

fn refuse<T>(why: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err((why.into(), hint.into()))
}

fn parse(text: &str) -> Result<Reference, Refusal> {
    refuse_what_is_no_name(text)?;
    let (name, digest) = split_digest(text)?;
    let (name, tag) = split_tag(name)?;
    let (registry, path) = split_registry(name);
    let registry = match registry {
        // Docker knows this one alias in an image's name, and no other.
        None | Some("index.docker.io") => HUB.to_owned(),
        Some(registry) => check_registry(registry)?,
    };
    check_repository(path)?;
    let repository = if registry == HUB && !path.contains('/') {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    if repository.len() > MAX_REPOSITORY {
        return refuse(
            format!("the repository is longer than {MAX_REPOSITORY} bytes"),
            "",
        );
    }
    let tag = match (tag, &digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some("latest".to_owned()),
    };
    Ok(Reference {
        registry,
        repository,
        tag,
        digest,
    })
}

fn refuse_what_is_no_name(text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return refuse("it is empty", "");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refuse("it contains white space", "");
    }
    if text.starts_with(['/', '.']) {
        let hint = format!(
            "for a file say oci-archive:{text} or docker-archive:{text}, for a directory oci:{text}"
        );
        return refuse("it is a path", hint);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let hint = match scheme {
            "http" => format!("say '{rest}' with --plain-http"),
            _ => format!("say '{rest}'"),
        };
        return refuse("a name has no scheme", hint);
    }
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return refuse(
            "it looks like an image ID, not a name",
            format!("to pull by digest say REPOSITORY@sha256:{text}"),
        );
    }
    Ok(())
}

fn split_digest(text: &str) -> Result<(&str, Option<Digest>), Refusal> {
    match text.split_once('@') {
        None => Ok((text, None)),
        Some((name, digest)) if !digest.contains(['@', '/']) => match digest.parse() {
            Ok(digest) => Ok((name, Some(digest))),
            Err(fault) => refuse(fault.to_string(), ""),
        },
        Some(_) => refuse(
            "'@' only stands before a digest",
            "credentials are given with --creds, --password-stdin or --auth-file",
        ),
    }
}

/// A colon after the last slash starts a tag; any other belongs to a port or to IPv6.
fn split_tag(name: &str) -> Result<(&str, Option<&str>), Refusal> {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let Some(colon) = name[last..].find(':') else {
        return Ok((name, None));
    };
    let (name, tag) = (&name[..last + colon], &name[last + colon + 1..]);
    let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let later = |b: u8| first(b) || matches!(b, b'.' | b'-');
    match tag.as_bytes() {
        [] => refuse("the tag is empty", ""),
        [head, tail @ ..] if first(*head) && tail.iter().all(|b| later(*b)) => {
            if tag.len() > MAX_TAG {
                return refuse(format!("the tag is longer than {MAX_TAG} bytes"), "");
            }
            Ok((name, Some(tag)))
        }
        _ => refuse(
            format!("the tag '{tag}' may hold letters, digits, '_', '.' and '-' only"),
            "",
        ),
    }
}

/// The part before the first slash is a registry if it cannot be a repository's.
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':', '['])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn check_registry(registry: &str) -> Result<String, Refusal> {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let Some((address, tail)) = rest.split_once(']') else {
                return refuse("the IPv6 address lacks its ']'", "");
            };
            if address.parse::<Ipv6Addr>().is_err() {
                return refuse(format!("'{address}' is not an IPv6 address"), "");
            }
            match tail.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None if tail.is_empty() => (address, None),
                None => return refuse(format!("'{tail}' after the IPv6 address"), ""),
            }
        }
        None => {
            let (host, port) = match registry.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (registry, None),
            };
            let label = |l: &str| {
                !l.is_empty()
                    && !l.starts_with('-')
                    && !l.ends_with('-')
                    && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            };
            if !host.split('.').all(label) {
                let hint = if host.contains(':') || port.is_some_and(|p| p.contains(':')) {
                    "an IPv6 address stands in brackets: [::1]:5000/NAME"
                } else {
                    ""
                };
                return refuse(format!("'{host}' is not a host name"), hint);
            }
            (host, port)
        }
    };
    match port.map(str::parse::<u16>) {
        None => Ok(registry.to_owned()),
        Some(Ok(number))
            if number > 0 && port.is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit())) =>
        {
            Ok(registry.to_owned())
        }
        Some(_) => {
            let hint = if host.is_empty() {
                "an IPv6 address stands in brackets"
            } else {
                ""
            };
            refuse(
                format!("'{}' is not a port", port.unwrap_or_default()),
                hint,
            )
        }
    }
}

/// Path components: lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn check_repository(path: &str) -> Result<(), Refusal> {
    if path.is_empty() {
        return refuse("there is no repository", "");
    }
    for component in path.split('/') {
        if component.bytes().any(|b| b.is_ascii_uppercase()) {
            let lower = path.to_ascii_lowercase();
            return refuse(
                format!("the repository '{path}' must be lower case"),
                format!("did you mean '{lower}'?"),
            );
        }
        if !component_is_valid(component.as_bytes()) {
            return refuse(format!("'{component}' cannot be part of a repository"), "");
        }
    }
    Ok(())
}

fn component_is_valid(component: &[u8]) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends =
        component.first().is_some_and(alphanumeric) && component.last().is_some_and(alphanumeric);
    ends && component.split(alphanumeric).all(|between| {
        matches!(between, b"" | b"." | b"_" | b"__") || between.iter().all(|b| *b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn normalises() {
        let digest = format!("sha256:{HEX}");
        let rows = [
            ("alpine", "docker.io/library/alpine:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest"),
            ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
            ("me/app", "docker.io/me/app:latest"),
            ("me/app:1.2", "docker.io/me/app:1.2"),
            ("test.com:5000", "docker.io/library/test.com:5000"),
            ("test.com:5000/x", "test.com:5000/x:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000/x:1", "localhost:5000/x:1"),
            ("[::1]:5000/x:1", "[::1]:5000/x:1"),
            ("[fe80::1]/a/b", "[fe80::1]/a/b:latest"),
            ("HOST/repo", "HOST/repo:latest"),
            ("127.0.0.1:5000/a/b/c:v1", "127.0.0.1:5000/a/b/c:v1"),
            ("a/b.c_d__e---f", "docker.io/a/b.c_d__e---f:latest"),
        ];
        for (text, expected) in rows {
            assert_eq!(
                text.parse::<Reference>().unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        let pinned: Reference = format!("x:1@{digest}").parse().unwrap();
        assert_eq!(
            (pinned.tag(), pinned.locator()),
            (Some("1"), digest.clone())
        );
        let bare: Reference = format!("x@{digest}").parse().unwrap();
        assert_eq!((bare.tag(), bare.locator()), (None, digest));
    }

    #[test]
    fn what_is_printed_parses_to_the_same() {
        for text in ["alpine", "[::1]:5000/x:1", "me/app:1.2", "HOST:1/repo"] {
            let once: Reference = text.parse().unwrap();
            assert_eq!(once.to_string().parse::<Reference>().unwrap(), once);
        }
    }

    #[test]
    fn refuses() {
        let rows = [
            ("", "empty"),
            (HEX, "image ID"),
            ("https://docker.io/x", "scheme"),
            ("x ", "white space"),
            ("a//b", "cannot be part"),
            ("x:", "tag is empty"),
            ("x:a b", "white space"),
            ("x:-a", "the tag"),
            ("host.io/Repo", "lower case"),
            ("Repo", "lower case"),
            ("x@sha256:abc", "hex digits"),
            ("x@md5:abc", "algorithm"),
            ("user:pw@host.io/x", "'@' only"),
            ("localhost:/x", "not a port"),
            ("localhost:0/x", "not a port"),
            ("localhost:99999/x", "not a port"),
            ("localhost:+80/x", "not a port"),
            ("[::1/x", "lacks"),
            ("[zz]/x", "not an IPv6"),
            ("[::1]a/x", "after the IPv6"),
            ("::1/x", "not a host name"),
            ("-bad.host/x", "not a host name"),
            ("localhost/", "no repository"),
            ("/x", "it is a path"),
            ("./x.tar", "it is a path"),
            ("a..b/x", "not a host name"),
            ("a/b._c", "cannot be part"),
            ("a/.b", "cannot be part"),
            ("../../etc/passwd", "it is a path"),
        ];
        for (text, why) in rows {
            let refusal = text.parse::<Reference>().expect_err(text).to_string();
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
        let secret = "user:pw@host.io/x"
            .parse::<Reference>()
            .unwrap_err()
            .to_string();
        assert!(!secret.contains("pw"), "{secret}");
        let upper = format!("x@sha256:{}", HEX.to_uppercase());
        assert!(upper.parse::<Reference>().is_err());
        assert!(format!("x@sha256:{HEX}:tag").parse::<Reference>().is_err());
    }

    #[test]
    fn lengths() {
        let name = |n: usize| format!("localhost/{}", "a".repeat(n));
        assert!(name(255).parse::<Reference>().is_ok());
        assert!(name(256).parse::<Reference>().is_err());
        let tagged = |n: usize| format!("localhost/x:{}", "t".repeat(n));
        assert!(tagged(128).parse::<Reference>().is_ok());
        assert!(tagged(129).parse::<Reference>().is_err());
    }
}
