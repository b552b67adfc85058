//! Printing: JSON, tables, sizes, errors. Text from outside is escaped before it is shown.

use std::io::{self, Write};

use anyhow::{Error, Result};
use serde::Serialize;
use serde_json::json;

use crate::error::{self, Fault, Kind, escape};
use crate::sys;

/// Prints a line of data.
pub(super) fn line(text: &str) -> Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// Prints exact bytes.
pub(super) fn raw(bytes: &[u8]) -> Result<()> {
    match io::stdout()
        .write_all(bytes)
        .and_then(|()| io::stdout().flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(Kind::Kernel, format!("standard output: {error}")).into())
        }
        result => Ok(result?),
    }
}

/// Prints a JSON document.
pub(super) fn json(document: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string_pretty(document)?)
}

/// Prints rows under a head, columns aligned.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<()> {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|column| escape(&row[column])))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let print = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        line(padded.join("  ").trim_end())
    };
    print(head)?;
    rows.iter()
        .try_for_each(|row| print(row.each_ref().map(String::as_str)))
}

/// Prints `name: value` lines, the values aligned; unset ones are left out.
pub(super) fn facts(facts: &[(&str, Option<String>)]) -> Result<()> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    for (name, value) in facts {
        if let Some(value) = value {
            line(&format!("{:width$} {}", format!("{name}:"), escape(value)))?;
        }
    }
    Ok(())
}

/// Prints an error and what to do about it.
pub(super) fn error(error: &Error, as_json: bool) {
    let (message, hint) = (error::render(error), error::hint(error));
    let text = if as_json {
        let kind = error::kind(error).name();
        json!({ "error": { "kind": kind, "message": message, "hint": hint } }).to_string() + "\n"
    } else {
        let hint = hint.map_or(String::new(), |hint| format!("hint: {}\n", escape(&hint)));
        format!("ucr: {message}\n{hint}")
    };
    // With stderr closed there is nobody to tell.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Prints a remark for people.
pub(super) fn remark(kind: &str, text: &str) {
    let _ = writeln!(io::stderr(), "ucr: {kind}: {}", escape(text));
}

/// Prints what to do about a remark.
pub(super) fn hint(text: &str) {
    let _ = writeln!(io::stderr(), "hint: {}", escape(text));
}

/// Whether an error is only that nobody reads our output any more.
pub(super) fn is_closed_pipe(error: &Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// A size for people: `2.1 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// A time for people: how long ago.
pub(super) fn ago(seconds_since_1970: u64) -> String {
    let now = sys::now();
    let passed = now.saturating_sub(seconds_since_1970);
    let (number, unit) = match passed {
        0..60 => (passed, "second"),
        60..3_600 => (passed / 60, "minute"),
        3_600..86_400 => (passed / 3_600, "hour"),
        _ => (passed / 86_400, "day"),
    };
    format!("{} ago", count(number, unit))
}

/// A number of things: `1 layer`, `2 layers`.
pub(super) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let rows = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (2_226_327, "2.1 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(size(bytes), expected);
        }
    }
}
