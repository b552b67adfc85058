//! What the CLI says when something did not go well, in our words where it matters which it is.

use crate::error::{Fault, Kind};

/// Longest part of a message that is repeated, in characters.
const MAX_WORDS: usize = 600;

/// What goes before the reason.
const PREFIXES: [&str; 4] = [
    "docker: ",
    "Error response from daemon: ",
    "Error: ",
    "error during connect: ",
];

/// The reason in what was written on stderr: of the last line that has one.
pub fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let is_reason = |line: &&str| {
        let is_advice = line.starts_with("See '") || line.starts_with("Run 'docker");
        let is_usage = is_advice || line.starts_with("Usage:");
        !line.is_empty() && !is_usage && !line.starts_with("WARNING")
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(is_reason).collect();
    let is_marked = |line: &&&str| PREFIXES.iter().any(|it| line.starts_with(it));
    // What the CLI itself does not understand it says without any of them.
    let line = lines.iter().find(is_marked).or(lines.last()).copied();
    let line = line.or_else(|| text.lines().map(str::trim).rfind(|line| !line.is_empty()));
    let mut line = line.unwrap_or("it failed without a word");
    while let Some(rest) = PREFIXES.iter().find_map(|it| line.strip_prefix(it)) {
        line = rest;
    }
    let line = line
        .trim_end_matches(['.', ':'])
        .trim_end_matches(": unknown");
    line.chars().take(MAX_WORDS).collect()
}

/// Of what is not there.
const NOT_FOUND: [&str; 5] = [
    "No such container",
    "No such image",
    "No such object",
    "No such network",
    "reference does not exist",
];

/// Whether there is no Engine that answers.
fn is_absent(words: &str) -> bool {
    [
        "Cannot connect to the Docker daemon",
        "Is the docker daemon running",
        "failed to connect to the docker API",
        "error during connect",
        "connection refused",
        "permission denied while trying to connect",
        "unable to resolve docker endpoint",
    ]
    .iter()
    .any(|it| words.contains(it))
}

/// Whether it is the CLI that speaks, of itself or of the Engine.
pub fn is_own_word(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr);
    PREFIXES.iter().any(|it| text.starts_with(it)) || is_absent(&text)
}

/// Why `docker VERB` failed.
pub fn fault(verb: &str, stderr: &[u8]) -> Fault {
    let words = said(stderr);
    let all = String::from_utf8_lossy(stderr);
    if is_absent(&all) {
        let message = format!("Docker Engine does not answer: {words}");
        return Fault::new(Kind::Network, message).hint(
            "start it (systemctl start docker), see $DOCKER_HOST and 'docker context ls', or say \
             --runtime native",
        );
    }
    let message = format!("docker {verb}: {words}");
    let has = |part: &str| all.contains(part);
    if has("unknown flag") || has("unknown shorthand flag") || has("requires API version") {
        return Fault::new(Kind::Unsupported, message)
            .hint("this docker is too old for it, or was told it by --docker-param or an app's parameters");
    }
    if has("no space left on device") {
        return Fault::new(Kind::NoSpace, message).hint("docker system prune frees some");
    }
    if NOT_FOUND.iter().any(|it| has(it)) {
        return Fault::new(Kind::NotFound, message);
    }
    if has("is already in use by container") {
        return Fault::new(Kind::Usage, message).hint("take another --name, or remove that one");
    }
    if verb == "pull" {
        return pull_fault(message, &all);
    }
    match stderr.is_empty() {
        true => Fault::new(Kind::Spec, message)
            .hint("the Engine's log may say more (journalctl -u docker)"),
        false => Fault::new(Kind::Spec, message),
    }
}

/// Registries say little; these are the words of dockerd around it.
fn pull_fault(message: String, all: &str) -> Fault {
    let has = |part: &str| all.contains(part);
    if has("unauthorized") || has("denied") || has("no basic auth credentials") {
        return Fault::new(Kind::Denied, message)
            .hint("say --creds or --pull-secret; -v says which credential was used");
    }
    if has("manifest unknown") || has("not found") {
        return Fault::new(Kind::NotFound, message).hint("check the image's name and tag");
    }
    if has("no matching manifest") || has("no match for platform") {
        return Fault::new(Kind::Platform, message).hint("say --platform OS/ARCH");
    }
    let is_network = has("no such host") || has("timeout") || has("dial tcp") || has("EOF");
    let kind = match is_network {
        true => Kind::Network,
        false => Kind::Registry,
    };
    let needs_http = has("server gave HTTP response to HTTPS client") || has("x509:");
    match needs_http {
        true => Fault::new(kind, message).hint(
            "the Engine has its own list: insecure-registries in /etc/docker/daemon.json, or \
             certificates in /etc/docker/certs.d",
        ),
        false => Fault::new(kind, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let rows = [
            (
                "run",
                "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
                Kind::Network,
                "Docker Engine does not answer: Cannot connect",
            ),
            (
                "create",
                "Error response from daemon: Conflict. The container name \"/x\" is already in use \
                 by container \"1\".",
                Kind::Usage,
                "docker create: Conflict. The container name",
            ),
            (
                "create",
                "unknown flag: --annotation\n\nUsage:  docker create\n\nRun 'docker create --help'",
                Kind::Unsupported,
                "docker create: ",
            ),
            (
                "pull",
                "Error response from daemon: Get \"http://r/v2/\": unauthorized: x",
                Kind::Denied,
                "docker pull: Get",
            ),
            (
                "pull",
                "Error response from daemon: manifest for r/x:1 not found: manifest unknown: m",
                Kind::NotFound,
                "docker pull: manifest for r/x:1",
            ),
            (
                "inspect",
                "",
                Kind::Spec,
                "docker inspect: it failed without a word",
            ),
        ];
        for (verb, stderr, kind, begin) in rows {
            let fault = fault(verb, stderr.as_bytes());
            assert_eq!(fault.kind(), kind, "{stderr}");
            assert!(fault.to_string().starts_with(begin), "{fault}");
        }
    }

    #[test]
    fn the_reason_is_found() {
        let rows = [
            ("docker: Error response from daemon: no: unknown.", "no"),
            ("WARNING: x\nError response from daemon: y", "y"),
            ("Error: No such container: z\n", "No such container: z"),
            ("a\nb\n", "b"),
            (
                "unknown flag: --x\n\nUsage:  docker create [OPTIONS]\n\n\
                 Run 'docker create --help' for more information\n",
                "unknown flag: --x",
            ),
            ("See 'docker'\n", "See 'docker'"),
        ];
        for (stderr, reason) in rows {
            assert_eq!(said(stderr.as_bytes()), reason, "{stderr}");
        }
        assert_eq!(said("Error: ".repeat(9000).as_bytes()), "Error");
        assert_eq!(said(&vec![b'x'; 100_000]).len(), MAX_WORDS);
    }
}
