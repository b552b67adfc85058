//! The help texts: there for each command, complete, and no wider than a terminal.

use crate::support::ucr::Ucr;

/// Every command that clap knows.
fn commands() -> Vec<String> {
    let top = ucr::cli::command();
    let names: Vec<_> = top
        .get_subcommands()
        .map(|it| it.get_name().to_owned())
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    names
}

/// The word for brief help; -h of run is docker's --hostname.
fn short(command: &str) -> &'static str {
    match command {
        "run" => "--help",
        _ => "-h",
    }
}

#[test]
fn every_command_has_help() {
    let ucr = Ucr::new();
    let top = ucr.run(["--help"]).ok().stdout;
    for command in &commands() {
        assert!(
            top.lines()
                .any(|line| line.trim_start().starts_with(&format!("{command} "))),
            "{command} is not in --help:\n{top}"
        );
        let long = ucr.run([command, "--help"]).ok().stdout;
        let short = ucr.run([command, short(command)]).ok().stdout;
        for text in [&long, &short] {
            assert!(
                text.contains(&format!("Usage: ucr {command}")),
                "{command}:\n{text}"
            );
            let wide = text.lines().find(|line| line.chars().count() > 100);
            assert_eq!(wide, None, "ucr {command} --help is wider than 100 columns");
        }
    }
}

/// No option without a word about it.
#[test]
fn every_option_is_explained() {
    let ucr = Ucr::new();
    for command in &commands() {
        let text = ucr.run([command, short(command)]).ok().stdout;
        // What is said before may begin a line with an option's name.
        let (_, text) = text.split_once("Options:\n").expect("options");
        let lines: Vec<_> = text.lines().collect();
        let options = lines.iter().enumerate().filter(|(_, line)| {
            let line = line.trim_start();
            line.starts_with("-") && !line.starts_with("- ")
        });
        let mut count = 0;
        for (at, line) in options {
            count += 1;
            let said = line
                .trim_start()
                .split_once("  ")
                .is_some_and(|(_, said)| !said.is_empty());
            // A long option has its text on the next line, further in.
            let below = lines
                .get(at + 1)
                .is_some_and(|next| next.starts_with("          "));
            assert!(
                said || below,
                "ucr {command}: nothing is said about {line:?}"
            );
        }
        assert!(count > 0, "ucr {command} -h shows no option:\n{text}");
    }
}
