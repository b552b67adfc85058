//! How registries are named in credential files.
//!
//! Docker writes hosts, URLs (`https://index.docker.io/v1/`) and hosts with a slash; podman adds
//! paths (`quay.io/team/app`), of which the most specific one counts. Pure.

use crate::image::{HUB, is_hub};

/// Docker Hub's key in every file that docker writes, and what its helpers are asked for.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// One name for a registry, however it is written.
fn canonical_host(host: &str) -> String {
    if is_hub(host) {
        HUB.to_owned()
    } else {
        host.to_ascii_lowercase()
    }
}

/// How docker calls a registry in its configuration, and what a helper is asked for.
pub fn docker_key(host: &str) -> String {
    let host = canonical_host(host);
    if host == HUB {
        HUB_KEY.to_owned()
    } else {
        host
    }
}

/// How well a key of a file fits a repository: `None` not at all, else larger is better.
pub(super) fn fit(key: &str, host: &str, repository: &str) -> Option<usize> {
    let (key, is_url) = match key.split_once("://") {
        Some((_, rest)) => (rest, true),
        None => (key, false),
    };
    let (key_host, path) = key.split_once('/').unwrap_or((key, ""));
    if canonical_host(key_host) != canonical_host(host) {
        return None;
    }
    let path = path.trim_matches('/');
    if path.is_empty() || path == "v1" || path == "v2" {
        // An exact host before a URL of it, as docker looks them up.
        return Some(if is_url { 1 } else { 2 });
    }
    if is_url {
        // Docker takes the host of a URL and ignores its path.
        return Some(0);
    }
    let inside = repository
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    inside.then_some(2 + path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits() {
        let rows = [
            ("r.io", "r.io", Some(2)),
            ("R.io", "r.IO", Some(2)),
            ("r.io/", "r.io", Some(2)),
            ("https://r.io", "r.io", Some(1)),
            ("https://r.io/v2/", "r.io", Some(1)),
            ("https://r.io/artifactory/x", "r.io", Some(0)),
            ("r.io:5000", "r.io", None),
            ("r.io", "r.io:5000", None),
            ("[::1]:5000", "[::1]:5000", Some(2)),
            ("r.io/team", "r.io", Some(6)),
            ("r.io/team/app", "r.io", Some(10)),
            ("r.io/tea", "r.io", None),
            ("r.io/team/app/deeper", "r.io", None),
            ("other.io", "r.io", None),
            ("", "r.io", None),
        ];
        for (key, host, expected) in rows {
            assert_eq!(fit(key, host, "team/app"), expected, "{key} for {host}");
        }
    }

    #[test]
    fn docker_hub_has_many_names() {
        let keys = [
            "docker.io",
            "index.docker.io",
            "registry-1.docker.io",
            "registry.hub.docker.com",
            HUB_KEY,
            "https://index.docker.io/v1",
            "index.docker.io/v1/",
        ];
        for key in keys {
            assert!(fit(key, "docker.io", "library/x").is_some(), "{key}");
        }
        assert_eq!(docker_key("docker.io"), HUB_KEY);
        assert_eq!(docker_key("quay.io"), "quay.io");
    }
}
