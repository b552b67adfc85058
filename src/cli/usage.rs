//! clap's errors in ucr's words: one line, then a hint; exit code 125, because a container may well
//! return clap's 2.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;

use clap::error::ErrorKind;

use super::output;
use crate::error::{Fault, Kind};
use crate::exit;

/// Options of `docker run` that ucr does not have yet: whoever types one did not mistype it.
const DOCKER_OPTIONS: &[&str] = &[
    "--add-host",
    "--annotation",
    "--attach",
    "--blkio-weight-device",
    "--cgroup-parent",
    "--cgroupns",
    "--cidfile",
    "--cpu-rt-period",
    "--cpu-rt-runtime",
    "--detach",
    "--detach-keys",
    "--device-cgroup-rule",
    "--device-read-bps",
    "--device-read-iops",
    "--device-write-bps",
    "--device-write-iops",
    "--dns",
    "--dns-option",
    "--dns-search",
    "--domainname",
    "--expose",
    "--health-cmd",
    "--health-interval",
    "--health-retries",
    "--health-start-interval",
    "--health-start-period",
    "--health-timeout",
    "--ip",
    "--ip6",
    "--ipc",
    "--isolation",
    "--label",
    "--label-file",
    "--link",
    "--link-local-ip",
    "--log-driver",
    "--log-opt",
    "--mac-address",
    "--memory-swappiness",
    "--name",
    "--network-alias",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--pid",
    "--publish",
    "--publish-all",
    "--restart",
    "--sig-proxy",
    "--stop-signal",
    "--stop-timeout",
    "--storage-opt",
    "--sysctl",
    "--use-api-socket",
    "--uts",
    "--volume-driver",
    "--volumes-from",
];

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
        return own.clone();
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
    let docker = DOCKER_OPTIONS
        .iter()
        .find(|option| what.contains(&format!("'{option}'")));
    if let Some(option) = docker {
        let message = format!("docker's {option} is not supported yet");
        return Fault::new(Kind::Usage, message).hint("see LIMITS in ucr-run(1)");
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
    match tip {
        Some(tip) => fault.hint(tip),
        None => fault.hint(usage_of(usage.unwrap_or_default())),
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
    usage.replacen("Usage", "usage", 1)
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
        let (what, _) = message(&["ucr", "run", "--publish", "80", "x"]);
        assert_eq!(what, "docker's --publish is not supported yet");
    }
}
