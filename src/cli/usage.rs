//! clap's errors in ucr's words: one line, then a hint; exit code 125, because a container may well
//! return clap's 2.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::num::{IntErrorKind, ParseIntError};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::docker::Refused;
use super::output;
use crate::error::{Fault, Kind};
use crate::exit;

/// Whether errors are to be JSON; asked before anything is parsed.
pub(super) fn asks_for_json(arguments: &[OsString]) -> bool {
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    pairs
        .into_iter()
        .any(|(option, value)| option == "--format" && value == "json")
        || arguments.iter().any(|argument| argument == "--format=json")
}

/// Prints help or an error; returns the exit code.
pub(super) fn report(error: &clap::Error, as_json: bool) -> u8 {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // A reader that goes away early has what it wanted.
        let _ = write!(std::io::stdout(), "{}", error.render());
        return 0;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = write!(std::io::stderr(), "{}", error.render());
        return exit::FAULT;
    }
    output::error(&fault(error).into(), as_json);
    exit::FAULT
}

fn fault(error: &clap::Error) -> Fault {
    // Ours are complete sentences; clap's would say everything twice.
    if let Some(own) = error
        .source()
        .and_then(|source| source.downcast_ref::<Fault>())
    {
        return of_option(own, error);
    }
    if let Some(number) = number(error) {
        return number;
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default();
    let what = what.trim().trim_start_matches("error: ");
    let what = what
        .split('\n')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    let is_named = |option: &str| what.contains(&format!("'{option}'"));
    if let Some(refused) = Refused::find(is_named)
        && text.contains("ucr run")
    {
        return refused.fault();
    }
    let fault = Fault::new(Kind::Usage, what);
    // "use '-- --flag'" is not what somebody who mistyped a flag wants to hear.
    let tips = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "));
    let tip = tips.into_iter().find(|tip| !tip.starts_with("to pass"));
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("Usage: ucr "));
    match (tip, usage) {
        (Some(tip), _) => fault.hint(tip),
        (None, Some(usage)) => fault.hint(usage_of(usage)),
        (None, None) => fault.hint("--help says what there is"),
    }
}

/// A fault of a value, which need not say what the value is of.
fn of_option(fault: &Fault, error: &clap::Error) -> Fault {
    let message = fault.to_string();
    let Some(option) = option(error).filter(|_| message.starts_with('\'')) else {
        return fault.clone();
    };
    let named = Fault::new(fault.kind(), format!("{option} {message}"));
    match crate::error::hint(&fault.clone().into()) {
        Some(hint) => named.hint(hint),
        None => named,
    }
}

/// clap has the standard library's words for what is no number.
fn number(error: &clap::Error) -> Option<Fault> {
    let number = error.source()?.downcast_ref::<ParseIntError>()?;
    let why = match number.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "it is too large",
        _ => "it is not a whole number",
    };
    let value = match error.get(ContextKind::InvalidValue)? {
        ContextValue::String(value) => value,
        _ => return None,
    };
    let message = format!("{} '{value}': {why}", option(error)?);
    Some(Fault::new(Kind::Usage, message).hint("say a number in digits"))
}

/// The option that an error is about, without its value's name.
fn option(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(option) => Some(option.split(' ').next()?.to_owned()),
        _ => None,
    }
}

/// clap's own usage line lists options that were only set in the environment.
fn usage_of(words: &str) -> String {
    let mut command = super::command();
    command.build();
    let name = words.split(' ').next().unwrap_or_default();
    let known = command
        .find_subcommand_mut(name)
        .map(|found| found.render_usage().to_string());
    let usage = known.unwrap_or_else(|| command.render_usage().to_string());
    let usage = usage.replacen("Usage", "usage", 1);
    // A hint is one line.
    let lines: Vec<_> = usage.lines().map(str::trim).collect();
    lines.join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claps_words_become_one_line_and_a_hint() {
        let message = |arguments: &[&str]| {
            let error = super::super::command()
                .try_get_matches_from(arguments)
                .unwrap_err();
            let fault = fault(&error);
            (
                fault.to_string(),
                crate::error::hint(&fault.into()).unwrap(),
            )
        };
        let (what, hint) = message(&["ucr", "pull", "--polcy", "never", "x"]);
        assert_eq!(what, "unexpected argument '--polcy' found");
        assert!(hint.contains("--policy"), "{hint}");
        let (what, hint) = message(&["ucr", "pull"]);
        assert!(what.contains("<IMAGE>"), "{what}");
        assert!(hint.starts_with("usage: ucr pull"), "{hint}");
        let (what, hint) = message(&["ucr", "run", "-v", "a/b:/c", "x"]);
        assert_eq!(what, "volume 'a/b:/c': 'a/b' is no name of a volume");
        assert!(hint.contains("path of the host"), "{hint}");
        for option in [["--storage-opt", "80"], ["--storage-opt=x", "80"]] {
            let (what, hint) = message(&["ucr", "run", option[0], option[1], "x"]);
            let begin = "docker's --storage-opt is not supported: ";
            assert!(what.starts_with(begin), "{what}");
            assert!(hint.contains("--read-only"), "{hint}");
        }
        let (what, _) = message(&["ucr", "pull", "-d", "x"]);
        assert_eq!(what, "unexpected argument '-d' found");
        let (what, _) = message(&["ucr", "run", "--shm-size", "x", "y"]);
        assert_eq!(what, "--shm-size 'x': it is not an amount of bytes");
        for (value, why) in [
            ("x", "not a whole number"),
            ("9".repeat(20).as_str(), "too large"),
        ] {
            let (what, hint) = message(&["ucr", "run", "--pids-limit", value, "y"]);
            assert_eq!(what, format!("--pids-limit '{value}': it is {why}"));
            assert!(!hint.contains("usage"), "{hint}");
        }
        let (_, hint) = message(&["ucr", "run"]);
        assert!(hint.contains(", or ucr run"), "{hint}");
        assert!(!hint.contains('\n'), "{hint}");
    }
}
