//! A run of an app: its ID, which no other has, and when it is.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use chrono::{DateTime, SecondsFormat};

use crate::frontend::marathon::App;
use crate::frontend::marathon::environment::Task;
use crate::runtime::native::host_name;
use crate::sys;

/// Longest container name that is made of an ID, in bytes; docker's and ucr's own end at 128.
const MAX_NAME: usize = 100;

/// A new run of it, called `name` if something else is wanted than the app's.
pub(super) fn task(app: &App, name: Option<String>) -> Result<Task> {
    let segments: Vec<&str> = app.id.split('/').filter(|it| !it.is_empty()).collect();
    let joined = segments.join("_");
    let uuid = uuid(sys::random_number()?, sys::random_number()?);
    // Of an ID there are only letters of one byte.
    let short = joined.get(..MAX_NAME).unwrap_or(&joined);
    Ok(Task {
        id: format!("{joined}.instance-{uuid}._app.1"),
        container_name: name.unwrap_or_else(|| format!("{short}.{}", &uuid[..8])),
        host_name: host_name(),
        version: app.version.clone().unwrap_or_else(now),
    })
}

/// RFC 9562, version 4.
fn uuid(high: u64, low: u64) -> String {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & (u64::MAX >> 2)) | (1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// RFC 3339 with milliseconds, in UTC.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(0));
    let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(
            uuid(u64::MAX, u64::MAX),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
    }

    #[test]
    fn times() {
        let now = now();
        assert_eq!((now.len(), now.ends_with('Z')), (24, true), "{now}");
    }
}
