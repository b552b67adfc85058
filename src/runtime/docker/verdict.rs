//! What a container's end means: the Engine's state in ucr's words and exit codes. Pure.
//!
//! The Engine tells reasons only in sentences, which differ between versions; those of 20.10 to 28
//! with runc and crun are known here. What is not known is repeated as it is.

use serde::Deserialize;

use crate::error::{Fault, Kind};

/// What the Engine says of a container's life.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct State {
    pub(super) status: String,
    pub(super) running: bool,
    #[serde(rename = "OOMKilled")]
    pub(super) oom_killed: bool,
    pub(super) pid: i32,
    pub(super) exit_code: i32,
    pub(super) error: String,
    /// RFC 3339; the year 1 if never.
    pub(super) started_at: String,
    pub(super) finished_at: String,
    pub(super) health: Option<Health>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) failing_streak: u32,
}

impl State {
    /// Whether its command was ever executed.
    pub(super) fn was_started(&self) -> bool {
        !self.started_at.is_empty() && !self.started_at.starts_with("0001-")
    }

    /// Its exit code, as an exit code.
    pub(super) fn code(&self) -> u8 {
        u8::try_from(self.exit_code & 0xff).unwrap_or(u8::MAX)
    }
}

/// Why a command was not executed. `said` is what `docker VERB` wrote.
pub(super) fn failure(verb: &str, state: &State, said: &str, command: &str) -> Fault {
    let all = [&state.error, said]
        .map(|text| text.to_lowercase())
        .join("\n");
    let has = |part: &str| all.contains(part);
    if has("executable file not found in") {
        let message = format!("command '{command}' is not in the container's PATH");
        return Fault::new(Kind::NoCommand, message);
    }
    let is_exec = has("exec: ") || has("exec /") || has("executable");
    let cannot = |why: &str| {
        let message = format!("command '{command}' cannot be executed: {why}");
        Fault::new(Kind::NotExecutable, message)
    };
    if has("unable to find user") || has("unable to find group") || has("no matching entries in") {
        let who = quoted(&[&state.error, said]);
        let message = format!("user of the container: {who}");
        return Fault::new(Kind::Spec, message)
            .hint("say --user with a number, or a name that the image knows");
    }
    if is_exec && has("is a directory") {
        return cannot("it is a directory");
    }
    if is_exec && has("exec format error") {
        return cannot(NO_PROGRAM);
    }
    if is_exec && has("permission denied") {
        return cannot("Permission denied (os error 13)");
    }
    if is_exec && has("no such file or directory") {
        let message = format!("command '{command}' is not in the image");
        return Fault::new(Kind::NoCommand, message);
    }
    let reason = crate::engine::said(match state.error.is_empty() {
        true => said.as_bytes(),
        false => state.error.as_bytes(),
    });
    let kind = match state.exit_code {
        126 => Kind::NotExecutable,
        127 => Kind::NoCommand,
        _ => Kind::Spec,
    };
    Fault::new(kind, format!("docker {verb}: {reason}"))
}

/// What is wrong with a file that is neither.
pub(super) const NO_PROGRAM: &str = "it is no program for this machine, nor a script with '#!'";

/// The part of a sentence that says who was not found.
fn quoted(texts: &[&str]) -> String {
    let part = |text: &&str| {
        // Of some it is docker that says so, with a capital, of others the OCI runtime.
        let at = text.to_ascii_lowercase().find("unable to find ")?;
        let rest = &text[at..];
        let end = rest.find(": unknown").unwrap_or(rest.len());
        Some(rest[..end].lines().next()?.to_owned())
    };
    texts.iter().find_map(part).unwrap_or_default()
}

/// A line of the OCI runtime's in the container's stderr: the path of a file that cannot be
/// executed although it is there, if the container printed nothing else and ended so.
pub(super) fn suspect<'a>(state: &State, stderr: &'a str) -> Option<Suspect<'a>> {
    if state.exit_code != 1 && state.exit_code != 255 && state.exit_code != 127 {
        return None;
    }
    let line = stderr
        .strip_suffix('\n')
        .unwrap_or(stderr)
        .trim_end_matches('\r');
    if line.contains('\n') {
        return None;
    }
    let (path, why) = match line.strip_prefix("exec ") {
        Some(rest) => rest.rsplit_once(": ")?,
        None => {
            let rest = line.strip_prefix("standard_init_linux.go:")?;
            let (_, why) = rest.split_once("exec user process caused: ")?;
            ("", why)
        }
    };
    let lacks = match why.trim_matches('"') {
        "exec format error" => false,
        "no such file or directory" => true,
        _ => return None,
    };
    Some(Suspect { path, lacks })
}

/// A file that cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect<'a> {
    /// Empty if the line does not say it.
    pub(super) path: &'a str,
    /// What it needs is not there; else it is no program.
    pub(super) lacks: bool,
}

impl Suspect<'_> {
    /// Of a file of this kind. `interpreter` is what it names, if it names one; `is_program` whether
    /// its head is that of a program for this machine.
    pub(super) fn fault(
        self,
        command: &str,
        interpreter: Option<&str>,
        is_program: bool,
    ) -> Option<Fault> {
        match (self.lacks, interpreter) {
            (true, Some(interpreter)) => {
                let message =
                    format!("command '{command}' needs '{interpreter}', which is not in the image");
                Some(Fault::new(Kind::NoCommand, message))
            }
            (true, None) | (false, Some(_)) => None,
            (false, None) if is_program => None,
            (false, None) => {
                let message = format!("command '{command}' cannot be executed: {NO_PROGRAM}");
                Some(Fault::new(Kind::NotExecutable, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(exit_code: i32, error: &str) -> State {
        State {
            exit_code,
            error: error.into(),
            ..State::default()
        }
    }

    #[test]
    fn why_it_did_not_start() {
        let rows = [
            (
                127,
                "failed to create task for container: failed to create shim task: OCI runtime create \
                 failed: runc create failed: unable to start container process: exec: \"x\": \
                 executable file not found in $PATH: unknown",
                Kind::NoCommand,
                "command 'x' is not in the container's PATH",
            ),
            (
                127,
                "OCI runtime create failed: container_linux.go:380: starting container process caused: \
                 exec: \"/x\": stat /x: no such file or directory: unknown",
                Kind::NoCommand,
                "command 'x' is not in the image",
            ),
            (
                126,
                "runc create failed: exec: \"/etc\": is a directory: unknown",
                Kind::NotExecutable,
                "it is a directory",
            ),
            (
                126,
                "runc create failed: exec: \"/f\": permission denied: unknown",
                Kind::NotExecutable,
                "Permission denied",
            ),
            (
                125,
                "unable to find user nobody2: no matching entries in passwd file",
                Kind::Spec,
                "unable to find user nobody2: no matching",
            ),
            (
                128,
                "driver failed programming external connectivity",
                Kind::Spec,
                "driver failed",
            ),
            (
                126,
                "something new",
                Kind::NotExecutable,
                "docker start: something new",
            ),
        ];
        for (code, error, kind, part) in rows {
            let fault = failure("start", &state(code, error), "", "x");
            assert_eq!(fault.kind(), kind, "{error}");
            assert!(fault.to_string().contains(part), "{fault}");
        }
        assert!(
            failure("start", &state(0, ""), "why", "x")
                .to_string()
                .contains("why")
        );
    }

    #[test]
    fn suspects() {
        let rows = [
            (1, "exec /x: exec format error\n", Some(("/x", false))),
            (
                1,
                "exec /a: b: no such file or directory\n",
                Some(("/a: b", true)),
            ),
            (1, "exec /x: exec format error\r\n", Some(("/x", false))),
            (
                1,
                "standard_init_linux.go:228: exec user process caused: exec format error\n",
                Some(("", false)),
            ),
            (0, "exec /x: exec format error\n", None),
            (1, "exec /x: exec format error\nmore\n", None),
            (1, "exec /x: too bad\n", None),
            (1, "", None),
        ];
        for (code, stderr, expected) in rows {
            let found = suspect(&state(code, ""), stderr).map(|it| (it.path, it.lacks));
            assert_eq!(found, expected, "{stderr}");
        }
    }

    /// A container may print such a line itself.
    #[test]
    fn only_what_the_file_confirms() {
        let of = |lacks| Suspect { path: "/x", lacks };
        assert!(of(true).fault("/x", None, true).is_none());
        assert!(of(false).fault("/x", None, true).is_none());
        assert!(of(false).fault("/x", Some("/bin/sh"), false).is_none());
        let kind = |fault: Option<Fault>| fault.map(|it| it.kind());
        assert_eq!(
            kind(of(true).fault("/x", Some("/y"), false)),
            Some(Kind::NoCommand)
        );
        assert_eq!(
            kind(of(false).fault("/x", None, false)),
            Some(Kind::NotExecutable)
        );
    }
}
