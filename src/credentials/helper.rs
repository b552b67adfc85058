//! Credential helpers: `docker-credential-NAME get`, with the registry on its standard input.
//!
//! Bounded in time and output, because helpers of desktop products hang when their product is not
//! running. A helper that fails never ends a pull: the registry may not want a credential.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;

use super::Secret;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// How often a helper that closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Asks a helper. `None` if it knows nothing; the reason if it could not be asked, without
/// anything that it wrote except its own error line.
pub(super) fn ask(
    name: &str,
    registry: &str,
    path: Option<&OsStr>,
    timeout: Duration,
) -> Result<Option<Secret>, String> {
    let program = locate(name, path)?;
    let deadline = Instant::now() + timeout;
    let mut command = Command::new(program);
    command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may answer without reading; then the pipe is broken, and it does not matter.
        let _ = writeln!(stdin, "{registry}");
    }
    let collected = collect(&mut child, deadline);
    let Some((output, status)) = collected else {
        end(&mut child);
        return Err(format!("no answer within {} s", timeout.as_secs_f32()));
    };
    understand(&output, status)
}

fn locate(name: &str, path: Option<&OsStr>) -> Result<PathBuf, String> {
    if name.contains('/') {
        return Err("its name holds a '/'".into());
    }
    let file = format!("docker-credential-{name}");
    let fallback = OsString::from("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    std::env::split_paths(path.unwrap_or(&fallback))
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(&file))
        .find(|file| {
            file.metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
        .ok_or_else(|| "not found in PATH".to_owned())
}

/// The whole output and the status, or `None` when time is up.
fn collect(child: &mut Child, deadline: Instant) -> Option<(Vec<u8>, ExitStatus)> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut output = Vec::new();
        // What was read before an error is what there is to judge.
        let _ = stdout.take(MAX_ANSWER + 1).read_to_end(&mut output);
        let _ = sender.send(output);
    });
    let left = deadline.saturating_duration_since(Instant::now());
    let output = receiver.recv_timeout(left).ok()?;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some((output, status));
        }
        std::thread::sleep(POLL);
    }
    None
}

/// Ends the helper and whatever it started.
fn end(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        // Not yet waited for, so the number is still this child's.
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// What a helper says on stdout when it fails, unless that is an answer, which holds the secret.
fn complaint(text: &str) -> Option<String> {
    let line = text.lines().next()?;
    (!line.contains('{')).then(|| line.chars().take(200).collect())
}

fn understand(output: &[u8], status: ExitStatus) -> Result<Option<Secret>, String> {
    if output.len() as u64 > MAX_ANSWER {
        return Err("its answer is larger than 1 MiB".into());
    }
    if !status.success() {
        let text = String::from_utf8_lossy(output);
        if text.contains("credentials not found") {
            return Ok(None);
        }
        return Err(match complaint(&text) {
            Some(line) => format!("{status}: {line}"),
            None => status.to_string(),
        });
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(output) else {
        return Err("its answer is not what a credential helper says".into());
    };
    if answer.secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(if answer.username == "<token>" {
        Secret::IdentityToken {
            user: None,
            token: answer.secret,
        }
    } else {
        Secret::Basic {
            user: answer.username,
            password: answer.secret,
        }
    }))
}
