//! What people are told when the agent answers something else than it should.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::http::{Head, Part};
use crate::error::escape;

/// Most bytes of an answer that are kept for people, and most that are read at all.
const MAX_KEPT: usize = 4 << 10;
const MAX_READ: usize = 64 << 10;
/// Most characters that are shown.
const MAX_SHOWN: usize = 200;

/// An answer that is only looked at for its status and, if that is a bad one, its words.
#[derive(Debug, Default)]
pub(super) struct Short {
    head: Option<Head>,
    body: Vec<u8>,
    read: usize,
}

impl Short {
    /// Of which the head is there already.
    pub(super) fn of(head: Head) -> Self {
        Self {
            head: Some(head),
            ..Self::default()
        }
    }

    /// Keeps what came. Fails if it does not end.
    pub(super) fn take(&mut self, part: Part<'_>) -> Result<(), String> {
        match part {
            Part::Head(head) => self.head = Some(head),
            Part::Body(bytes) => {
                self.read += bytes.len();
                if self.read > MAX_READ {
                    return Err("the agent's answer does not end".to_owned());
                }
                let room = MAX_KEPT - self.body.len();
                self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Part::End => (),
        }
        Ok(())
    }

    /// Once the head is there.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// One line for people. An agent that echoes a secret does not make us show it.
    pub(super) fn why(&self, kind: &str, secret: Option<&Zeroizing<String>>) -> String {
        let status = self.head.as_ref().map_or(0, |head| head.status);
        let mut text = format!("the agent answered {status} to {kind}");
        let mut said = Zeroizing::new(String::from_utf8_lossy(&self.body).trim().to_owned());
        if let Some(secret) = secret {
            said = Zeroizing::new(said.replace(secret.as_str(), "(the token)"));
        }
        if !said.is_empty() {
            text.push_str(": ");
            text.extend(escape(&said).chars().take(MAX_SHOWN));
        }
        if let Some(advice) = advice(status, kind) {
            // A String takes all.
            let _ = write!(text, "; {advice}");
        }
        text
    }
}

fn advice(status: u16, kind: &str) -> Option<&'static str> {
    match (status, kind) {
        (401, _) => Some(
            "the token is missing or wrong: look at MESOS_EXECUTOR_AUTHENTICATION_TOKEN, and at \
             --authenticate_http_executors and --jwt_secret_key of the agent",
        ),
        (403, "SUBSCRIBE") => Some(
            "the token is another executor's or container's, or the path is wrong: look at \
             MESOS_EXECUTOR_AUTHENTICATION_TOKEN and at what is before '@' in MESOS_SLAVE_PID",
        ),
        (403, _) => Some(
            "the agent does not know that we are subscribed, or the token is another executor's",
        ),
        _ => None,
    }
}
