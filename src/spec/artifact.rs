//! A file that is put into the sandbox before a container starts: what Mesos calls a fetched URI.

use std::fmt;
use std::path::{Component, Path};

use crate::error::{Fault, Kind};

/// Longest URI, in bytes.
const MAX_URI: usize = 1024;
/// Longest name of a file on Linux (NAME_MAX).
const MAX_NAME: usize = 255;
const BAD_SYNTAX: &str = "E:uri";
const BAD_SCHEME: &str = "E:uri-scheme";
const BAD_PLACE: &str = "E:dest-path";

/// One artifact.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it is: `http:`, `https:`, `file:` or an absolute path. May hold a password.
    pub uri: String,
    /// Unpack it, if its name says that it is an archive.
    pub extract: bool,
    /// Make it executable; then it is not unpacked.
    pub executable: bool,
    /// Keep it for the next time.
    pub cache: bool,
    /// Where it goes, below the sandbox; its name at the top of the sandbox if unset.
    pub dest_path: Option<String>,
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("uri", &self.shown())
            .field("extract", &self.extract)
            .field("executable", &self.executable)
            .field("cache", &self.cache)
            .field("dest_path", &self.dest_path)
            .finish()
    }
}

/// What sort of place a URI names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http:` and `https:`.
    Http,
    /// `file:`.
    File,
    /// None: an absolute path.
    Path,
}

impl Artifact {
    /// One with Mesos's defaults: unpacked, not executable, not kept.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            extract: true,
            executable: false,
            cache: false,
            dest_path: None,
        }
    }

    /// Fails with [`Kind::Spec`] where [`check`] finds fault.
    pub fn check(&self) -> Result<Scheme, Fault> {
        check(&self.uri, self.dest_path.as_deref()).map_err(|(id, text)| {
            let message = format!("artifact {}: {text} [{id}]", self.shown());
            Fault::new(Kind::Spec, message)
        })
    }

    /// Where it goes, below the sandbox.
    pub fn place(&self) -> &Path {
        Path::new(self.dest_path.as_deref().unwrap_or(name(&self.uri)))
    }

    /// The URI for people: without user and password, and without a query, which may be a
    /// signature.
    pub fn shown(&self) -> String {
        let uri = &self.uri;
        let (head, rest) = uri.split_at(uri.find("://").map_or(0, |at| at + 3));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority.rsplit('@').next().unwrap_or_default();
        match path.find(['?', '#']) {
            Some(at) => format!("{head}{host}{}?…", &path[..at]),
            None => format!("{head}{host}{path}"),
        }
    }
}

/// What follows the last slash, a query included, as Mesos has it.
fn name(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or_default()
}

/// Whether an artifact can be fetched, and what sort of place it is at; else the finding's id and
/// text, which repeats neither.
pub fn check(uri: &str, dest_path: Option<&str>) -> Result<Scheme, (&'static str, String)> {
    let scheme = check_uri(uri)?;
    let bad = |id, text: &str| Err((id, text.to_owned()));
    match dest_path {
        Some(path) => check_place(path).map_err(|text| (BAD_PLACE, text.to_owned()))?,
        None if matches!(name(uri), "" | "." | "..") => {
            return bad(
                BAD_SYNTAX,
                "it ends without a name; give it one with destPath",
            );
        }
        None if name(uri).len() > MAX_NAME => {
            return bad(
                BAD_SYNTAX,
                "its name is longer than 255 bytes; give a destPath",
            );
        }
        None => (),
    }
    Ok(scheme)
}

fn check_uri(uri: &str) -> Result<Scheme, (&'static str, String)> {
    let bad = |text: &str| Err((BAD_SYNTAX, text.to_owned()));
    if uri.is_empty() || uri.len() > MAX_URI {
        return bad("a URI has 1 to 1024 bytes");
    }
    if let Some(at) = uri.find(|c: char| !may_be_in_a_uri(c)) {
        return bad(&format!(
            "byte {at} cannot be in a URI unless it is written as %XX"
        ));
    }
    let escapes = uri
        .match_indices('%')
        .map(|(at, _)| uri.as_bytes().get(at + 1..at + 3));
    if !escapes
        .into_iter()
        .all(|two| two.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)))
    {
        return bad("a '%' without two hexadecimal digits");
    }
    if uri.starts_with('/') {
        return Ok(Scheme::Path);
    }
    let Some((scheme, rest)) = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return bad("it is neither a URI with a scheme nor an absolute path");
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if has_host(rest) => Ok(Scheme::Http),
        "http" | "https" => bad("it names no host"),
        "file" if local_path(rest).is_some() => Ok(Scheme::File),
        "file" => bad("it names no file of this machine, as file:///PATH does"),
        other => Err((
            BAD_SCHEME,
            format!("'{other}:' is not fetched; http:, https:, file: and absolute paths are"),
        )),
    }
}

/// The characters of RFC 3986.
fn may_be_in_a_uri(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn has_host(rest: &str) -> bool {
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host, ""),
    };
    !host.is_empty() && (port.is_empty() || port.parse::<u16>().is_ok())
}

/// The path of a `file:` URI of this machine, still with its escapes; `rest` follows the colon.
pub fn local_path(rest: &str) -> Option<&str> {
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    path.starts_with('/').then_some(path)
}

fn check_place(path: &str) -> Result<(), &'static str> {
    if path.contains('\0') {
        return Err("a NUL character");
    }
    if path.starts_with('/') {
        return Err("it is absolute; the sandbox is where it starts");
    }
    let mut parts = Path::new(path).components().peekable();
    if parts.peek().is_none() || path.ends_with('/') || path.ends_with("/.") || path == "." {
        return Err("it ends without a name");
    }
    if path.split('/').any(|part| part.len() > MAX_NAME) {
        return Err("a name of more than 255 bytes");
    }
    match parts.any(|part| part == Component::ParentDir) {
        true => Err("'..' would lead out of the sandbox"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        let long = format!("http://h/{}", "x/".repeat(507));
        let longer = format!("{long}xx");
        let name = format!("/{}", "n".repeat(256));
        for (uri, expected) in [
            ("http://h/x", Ok(Scheme::Http)),
            ("HTTPS://u:p@[::1]:8443/a/x.tgz?sig=1", Ok(Scheme::Http)),
            ("file:///a/b%20c", Ok(Scheme::File)),
            ("file:/a", Ok(Scheme::File)),
            ("file://localhost/a", Ok(Scheme::File)),
            ("/a/b", Ok(Scheme::Path)),
            ("ftp://h/x", Err(BAD_SCHEME)),
            ("s3n://bucket/x", Err(BAD_SCHEME)),
            ("hdfs:x", Err(BAD_SCHEME)),
            ("", Err(BAD_SYNTAX)),
            (&long, Err(BAD_SYNTAX)),
            (&longer, Err(BAD_SYNTAX)),
            (&name, Err(BAD_SYNTAX)),
            ("a/b", Err(BAD_SYNTAX)),
            ("http://h/a b", Err(BAD_SYNTAX)),
            ("http://h/%2", Err(BAD_SYNTAX)),
            ("http://h/%zz", Err(BAD_SYNTAX)),
            ("http:///x", Err(BAD_SYNTAX)),
            ("http://u:p@/x", Err(BAD_SYNTAX)),
            ("http://h:99999/x", Err(BAD_SYNTAX)),
            ("http:x", Err(BAD_SYNTAX)),
            ("http://h/", Err(BAD_SYNTAX)),
            ("http://h/..", Err(BAD_SYNTAX)),
            ("file://elsewhere/a", Err(BAD_SYNTAX)),
            ("file:a", Err(BAD_SYNTAX)),
            ("http://h/\u{e4}", Err(BAD_SYNTAX)),
            ("/a\0", Err(BAD_SYNTAX)),
        ] {
            assert_eq!(check(uri, None).map_err(|(id, _)| id), expected, "{uri}");
        }
        assert_eq!(long.len(), 1023);
        assert!(check(&long, Some("x")).is_ok() && check("http://h/", Some("x")).is_ok());
        assert_eq!(check(&longer, Some("x")).unwrap_err().0, BAD_SYNTAX);
    }

    #[test]
    fn places() {
        for path in ["x", "a/b", "./a", "a//b", "..a/b.."] {
            assert!(check("/f", Some(path)).is_ok(), "{path}");
        }
        let long = "n".repeat(256);
        for path in [
            "", ".", "/x", "../x", "a/../b", "a/..", "a/", "a/.", "a\0", &long,
        ] {
            assert_eq!(
                check("/f", Some(path)).unwrap_err().0,
                BAD_PLACE,
                "{path:?}"
            );
        }
    }

    #[test]
    fn names_have_the_query_and_people_do_not_see_it() {
        let mut artifact = Artifact::new("https://me:hunter2@h:1/a/x.tgz?sig=hunter2");
        assert_eq!(artifact.place(), Path::new("x.tgz?sig=hunter2"));
        assert_eq!(artifact.shown(), "https://h:1/a/x.tgz?…");
        artifact.dest_path = Some("raw/x.tgz".into());
        assert_eq!(artifact.place(), Path::new("raw/x.tgz"));
        artifact.uri = "ftp://me:hunter2@h/x".into();
        let said = format!("{artifact:?} {}", artifact.check().unwrap_err());
        assert!(
            said.contains("E:uri-scheme") && !said.contains("hunter2"),
            "{said}"
        );
        for uri in ["/a/b", "file:///x"] {
            assert_eq!(Artifact::new(uri).shown(), uri);
        }
    }
}
