//! Variables, in a file as far as docker reads them from one as they are: what is in an argument
//! can be read by everybody, and all arguments together must not be long. Pure.

use std::collections::HashSet;
use std::path::Path;

use super::words::{Words, text};
use crate::error::{Fault, Kind};

const OPTION: &str = "--env";

/// Largest line of such a file, in bytes: docker gives up at 64 KiB.
const MAX_LINE: usize = 60_000;
/// Largest argument of a program, in bytes, with the NUL at its end: the kernel's `MAX_ARG_STRLEN`.
const MAX_WORD: usize = 131_072;

/// A variable as `NAME=VALUE`, and the field that it is from.
type Variable<'a> = (String, &'a str);

/// What was asked for, by its fields.
pub(super) fn fields(env: &[String]) -> impl Iterator<Item = Variable<'_>> {
    let all = env.iter().enumerate();
    all.map(|(place, it)| (format!("env[{place}]"), it.as_str()))
}

/// Options that set `all`, the last of a name, and the lines of `file`, which the options name only
/// if there are any.
pub(super) fn add<'a>(
    all: impl Iterator<Item = Variable<'a>>,
    file: &Path,
    words: &mut Words,
) -> Result<Vec<String>, Fault> {
    // docker takes those of the file first, so the order of two of one name would be lost.
    let (in_file, others): (Vec<_>, Vec<_>) = last_of_each_name(all)
        .into_iter()
        .partition(|(_, variable)| is_line(variable));
    if !in_file.is_empty() {
        words.option("--env-file", text(file, "env", OPTION)?);
    }
    for (field, variable) in others {
        check(&field, variable)?;
        words.option(OPTION, variable);
    }
    Ok(in_file.into_iter().map(|(_, it)| it.to_owned()).collect())
}

fn last_of_each_name<'a>(all: impl Iterator<Item = Variable<'a>>) -> Vec<Variable<'a>> {
    let mut all: Vec<_> = all.collect();
    let mut names = HashSet::new();
    all.reverse();
    all.retain(|(_, variable)| names.insert(name(variable)));
    all.reverse();
    all
}

fn name(variable: &str) -> &str {
    variable.split('=').next().unwrap_or_default()
}

/// Whether docker reads it from a file as it is: it trims lines at the left, drops a carriage return
/// at their end and a byte order mark before the first, and takes `#` for a comment.
pub(super) fn is_line(variable: &str) -> bool {
    let name = name(variable);
    let is_name = !name.is_empty()
        && !name.starts_with(['#', '\u{feff}'])
        && !name.contains(char::is_whitespace);
    let is_whole = !variable.contains(['\n', '\0']) && !variable.ends_with('\r');
    is_name && is_whole && variable.len() < MAX_LINE
}

/// The value is not shown.
fn check(field: &str, variable: &str) -> Result<(), Fault> {
    let why = if variable.contains('\0') {
        "no variable can have a NUL in it"
    } else if OPTION.len() + "=".len() + variable.len() >= MAX_WORD {
        "it is longer than an argument of a program can be, 128 KiB"
    } else {
        return Ok(());
    };
    let message = format!("{field} ({OPTION}): {}: {why}", name(variable));
    Err(Fault::new(Kind::Spec, message).hint("put it into a file, and mount that"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(env: &[&str]) -> Result<(Vec<String>, Vec<String>), Fault> {
        let env: Vec<String> = env.iter().map(|it| (*it).to_owned()).collect();
        let mut words = Words::default();
        let lines = add(fields(&env), Path::new("/f"), &mut words)?;
        Ok((words.into_options()?, lines))
    }

    #[test]
    fn what_goes_where() {
        let of_length = |length: usize| format!("L={}", "x".repeat(length - 2));
        let (fits, long) = (of_length(59_999), of_length(60_000));
        let longest = of_length(131_065);
        for line in [
            "A=1",
            "A=",
            "A= b ",
            "A==#'\"\\$",
            "A=\r\t.",
            "A=\u{feff}",
            "é-.=1",
            "B#=1",
            &fits,
        ] {
            let (words, lines) = told(&[line]).unwrap();
            assert_eq!(
                (words, lines),
                (vec!["--env-file=/f".into()], vec![line.into()])
            );
        }
        for word in [
            "A=1\n2",
            "A=1\r",
            " A=1",
            "A B=1",
            "A\t=1",
            "A\u{2003}=1",
            "#A=1",
            "\u{feff}A=1",
            "=1",
            &long,
            &longest,
        ] {
            let (words, lines) = told(&[word]).unwrap();
            assert_eq!((words, lines), (vec![format!("--env={word}")], vec![]));
        }
    }

    #[test]
    fn the_last_of_a_name() {
        let (words, lines) =
            told(&["A=1\n", "B=1", "C=1", "A=2", "B=2\n", "C=3\n", "C=4"]).unwrap();
        assert_eq!(words, ["--env-file=/f", "--env=B=2\n"]);
        assert_eq!(lines, ["A=2", "C=4"]);
        assert_eq!(told(&[]).unwrap(), (vec![], vec![]));
    }

    #[test]
    fn what_no_program_can_get() {
        let long = format!("LONG={}", "x".repeat(131_066 - 5));
        for (variable, why) in [
            (long.as_str(), "LONG: it is longer"),
            ("A=secret\0", "A: no "),
        ] {
            let message = told(&["B=1", variable]).unwrap_err().to_string();
            let expected = format!("env[1] (--env): {why}");
            assert!(message.starts_with(&expected), "{message}");
            assert!(!message.contains("secret"));
            assert!(told(&[variable, &format!("{}=", name(variable))]).is_ok());
        }
    }
}
