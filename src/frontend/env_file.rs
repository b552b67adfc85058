//! `--env-file` and `--label-file`, as docker reads them: one `NAME=value` a line, nothing quoted, nothing expanded.

use crate::error::{Fault, Kind};

/// The variables that a file sets; `file` names it and the option. A name alone copies ours, if we have it; `#` begins a comment
/// at the start of a line only.
pub fn variables(
    file: &str,
    bytes: &[u8],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Fault> {
    let bad = |line: usize, why: &str| {
        let message = format!("{file}: line {}: {why}", line + 1);
        Fault::new(Kind::Usage, message).hint("write NAME=VALUE, without quotes")
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        bad(
            bytes[..error.valid_up_to()].split(|b| *b == b'\n').count() - 1,
            "it is not UTF-8",
        )
    })?;
    let mut variables = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(bad(
                number,
                "the variable's name is empty or contains white space",
            ));
        }
        match line.contains('=') {
            true => variables.push(line.to_owned()),
            false => variables.extend(lookup(name).map(|value| format!("{name}={value}"))),
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<String>, Fault> {
        variables("f", bytes, &|name| (name == "OURS").then(|| "1".to_owned()))
    }

    #[test]
    fn nothing_is_quoted_and_only_whole_lines_are_comments() {
        let text = b"\xef\xbb\xbfA=1\n# no\n\n  # no\nB=\"x y\" # z\r\n  C=\nOURS\nTHEIRS\nD==\n";
        assert_eq!(
            read(text).unwrap(),
            ["A=1", "B=\"x y\" # z", "C=", "OURS=1", "D=="]
        );
    }

    #[test]
    fn what_has_no_name_is_refused_by_line() {
        for (bytes, line) in [
            (&b"A=1\n=x\n"[..], "line 2"),
            (b"export A=1\n", "line 1"),
            (b"A=1\nB=1\nC=\xff\n", "line 3"),
        ] {
            let fault = read(bytes).unwrap_err().to_string();
            assert!(fault.contains(line), "{fault}");
        }
    }
}
