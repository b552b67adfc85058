//! What a refusal means: error envelopes, statuses and cuts, in the words of ucr's faults.
//!
//! Server text is passed on as it is; only `main` prints it, escaped.

use std::time::{Duration, SystemTime};

use oci_distribution::errors::OciEnvelope;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;

use super::retry::{Timing, is_passing};
use super::transport::{Broken, How, Response};
use super::wire::Trouble;

/// Longest piece of server text in a message, in characters.
const MAX_TEXT: usize = 300;

/// The reason that a server gives, else the status.
pub(super) fn reason(status: StatusCode, body: &[u8]) -> String {
    let said = envelope(body).or_else(|| token_error(body));
    match said.filter(|text| !text.is_empty()) {
        Some(text) => text.chars().take(MAX_TEXT).collect(),
        None => status.to_string(),
    }
}

/// The envelope of distribution-spec, "Error Codes".
fn envelope(body: &[u8]) -> Option<String> {
    let envelope: OciEnvelope = serde_json::from_slice(body).ok()?;
    let parts: Vec<String> = envelope
        .errors
        .iter()
        .map(|error| match (&error.message, error.detail.as_str()) {
            (message, Some(detail)) if message.is_empty() => detail.to_owned(),
            (message, Some(detail)) if !detail.is_empty() => format!("{message}: {detail}"),
            (message, _) if message.is_empty() => format!("{:?}", error.code),
            (message, _) => message.clone(),
        })
        .collect();
    Some(parts.join("; "))
}

/// What token servers say instead: `details` (Docker Hub, Harbor), or OAuth 2's pair.
fn token_error(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    ["error_description", "details", "message", "error"]
        .iter()
        .find_map(|key| value.get(key)?.as_str())
        .map(str::to_owned)
}

/// How long to wait before asking again, after the `failures`th failure in a row: what the server
/// asks for, else the usual back-off. `None` if it would bring the same again.
pub(super) fn wait_after(
    timing: &Timing,
    outcome: &Result<Response, Trouble>,
    failures: u32,
) -> Option<Duration> {
    let asked = match outcome {
        Ok(response) if is_passing(response.status.as_u16()) => {
            let header = response.headers.get(RETRY_AFTER);
            header
                .and_then(|value| value.to_str().ok())
                .and_then(|text| timing.asked_for(text, SystemTime::now()))
        }
        Err(Trouble::Broken(broken)) if may_pass(broken, failures) => None,
        _ => return None,
    };
    Some(asked.unwrap_or_else(|| timing.backoff_after(failures)))
}

/// Tries after which a refused connection is believed.
const REFUSALS: u32 = 3;

/// Whether a conversation that broke for the `failures`th time in a row may work next time.
fn may_pass(broken: &Broken, failures: u32) -> bool {
    match broken.how {
        How::Connect | How::Cut => true,
        How::Refused => failures < REFUSALS,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let rows = [
            (
                r#"{"errors":[{"code":"DENIED","message":"no access"}]}"#,
                "no access",
            ),
            (
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow","detail":"why"}]}"#,
                "slow: why",
            ),
            (r#"{"errors":[{"code":"DENIED"}]}"#, "Denied"),
            (
                r#"{"errors":[{"code":"X","message":"a"},{"code":"Y","message":"b"}]}"#,
                "a; b",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"expired"}"#,
                "expired",
            ),
            (r#"{"errors":[]}"#, "403 Forbidden"),
            ("<html>", "403 Forbidden"),
            ("", "403 Forbidden"),
        ];
        for (body, expected) in rows {
            let found = reason(StatusCode::FORBIDDEN, body.as_bytes());
            assert_eq!(found, expected, "{body}");
        }
        let long = format!(r#"{{"details":"{}"}}"#, "x".repeat(5000));
        let found = reason(StatusCode::FORBIDDEN, long.as_bytes());
        assert_eq!(found.len(), MAX_TEXT);
    }
}
