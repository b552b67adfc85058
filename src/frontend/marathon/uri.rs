//! What may be fetched from where, and under which name it comes into the sandbox. Pure; messages
//! never repeat an address, which may hold a password.

/// Longest address, in bytes.
const MAX: usize = 1024;
/// What Mesos's fetcher unpacks.
const ARCHIVES: [&str; 9] = [
    ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip", ".gz",
];

/// How an artifact is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A file of this machine: `file:///x` or just `/x`.
    File,
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// FTP.
    Ftp,
    /// FTP over TLS.
    Ftps,
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is none.
    Syntax(&'static str),
    /// Nothing here speaks its scheme.
    Scheme,
}

/// The scheme of an address that can be one.
pub fn scheme(uri: &str) -> Result<Scheme, Refusal> {
    check_characters(uri)?;
    if uri.starts_with('/') {
        return Ok(Scheme::File);
    }
    let (scheme, rest) = uri.split_once(':').ok_or(Refusal::Syntax(
        "is neither an address with a scheme nor an absolute path",
    ))?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
        return Err(Refusal::Syntax("has no proper scheme"));
    }
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "file" => Scheme::File,
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "ftp" => Scheme::Ftp,
        "ftps" => Scheme::Ftps,
        _ => return Err(Refusal::Scheme),
    };
    match scheme {
        Scheme::File => check_file(rest)?,
        _ => check_host(rest)?,
    }
    Ok(scheme)
}

fn check_characters(uri: &str) -> Result<(), Refusal> {
    if uri.is_empty() {
        return Err(Refusal::Syntax("is empty"));
    }
    if uri.len() > MAX {
        return Err(Refusal::Syntax("is longer than 1024 characters"));
    }
    let harmless = |c: char| !c.is_whitespace() && !c.is_control();
    // A path of this machine may have blanks.
    let is_path = uri.starts_with('/');
    if !uri.chars().all(|c| harmless(c) || (is_path && c == ' ')) {
        return Err(Refusal::Syntax("has a blank or a control character"));
    }
    if !is_path && uri.contains(['<', '>', '"', '{', '}', '|', '\\', '^', '`']) {
        return Err(Refusal::Syntax("has a character that no address may have"));
    }
    Ok(())
}

/// `///x`, `//localhost/x` or `/x`.
fn check_file(rest: &str) -> Result<(), Refusal> {
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(Refusal::Syntax("has no absolute path of this machine")),
    }
}

fn check_host(rest: &str) -> Result<(), Refusal> {
    let authority = rest
        .strip_prefix("//")
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .map(|authority| authority.rsplit('@').next().unwrap_or(authority));
    match authority {
        Some(host) if !host.is_empty() && !host.starts_with(':') => Ok(()),
        _ => Err(Refusal::Syntax("names no host")),
    }
}

/// The name of what is fetched: all after the last slash, the query too, as Mesos takes it.
pub fn name(uri: &str) -> Option<&str> {
    let path = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (_, name) = path.rsplit_once('/')?;
    (!matches!(name, "" | "." | "..")).then_some(name)
}

/// Whether something of this name is unpacked.
pub fn is_archive(name: &str) -> bool {
    ARCHIVES.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether the old form `uris` unpacks it: there the query does not count.
pub fn is_old_archive(uri: &str) -> bool {
    is_archive(uri.split(['?', '#']).next().unwrap_or(uri))
}

/// What is wrong with a place in the sandbox.
pub fn check_destination(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.starts_with('/') {
        return Err("has to be relative: it is below the sandbox");
    }
    if path.split('/').any(|part| part == "..") {
        return Err("must not have '..' in it");
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | ".") {
        return Err("has to end in the name of a file");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        for (uri, expected) in [
            ("file:///a", Scheme::File),
            ("file:/a", Scheme::File),
            ("FILE://localhost/a", Scheme::File),
            ("/a b", Scheme::File),
            ("http://h/a", Scheme::Http),
            ("https://u:p@h:1/a?b=c", Scheme::Https),
            ("ftp://h/a", Scheme::Ftp),
            ("ftps://[::1]/a", Scheme::Ftps),
        ] {
            assert_eq!(scheme(uri), Ok(expected), "{uri}");
        }
        for uri in ["hdfs://h/a", "s3://b/a", "s3n://b/a", "gopher://h/", "a:b"] {
            assert_eq!(scheme(uri), Err(Refusal::Scheme), "{uri}");
        }
        let long = format!("http://h/{}", "a".repeat(MAX));
        for uri in [
            "",
            "a",
            "a/b",
            "1x://h/a",
            "://h/a",
            "file://other/a",
            "file:a",
            "http:/a",
            "http://",
            "http://:80/a",
            "http:///a",
            "http://h/a b",
            "http://h/\n",
            "/a\0",
            "http://h/{a}",
            &long,
        ] {
            let refused = matches!(scheme(uri), Err(Refusal::Syntax(_)));
            assert!(refused, "{uri}: {:?}", scheme(uri));
        }
    }

    #[test]
    fn names() {
        assert_eq!(name("http://h/a/x.tgz?sig=1"), Some("x.tgz?sig=1"));
        assert_eq!(name("/a/b"), Some("b"));
        for uri in ["http://h", "http://h/", "/a/..", "/a/."] {
            assert_eq!(name(uri), None, "{uri}");
        }
        assert!(is_archive("x.tar.gz") && is_archive("x.gz") && !is_archive("x.tgz?sig=1"));
        assert!(is_old_archive("http://h/x.tgz?sig=1") && !is_old_archive("http://h/x.txt"));
    }

    #[test]
    fn destinations() {
        for good in ["a", "a/b", "./a", "..a"] {
            assert_eq!(check_destination(good), Ok(()), "{good}");
        }
        for bad in ["", "/etc/x", "..", "a/../b", "a/", "a/."] {
            assert!(check_destination(bad).is_err(), "{bad}");
        }
    }
}
