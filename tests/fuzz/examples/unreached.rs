//! Which errors of its parser a fuzz target never came to. Called by tests/fuzz/coverage:
//!
//!     unreached TARGET EXPORT UNREACHABLE FILE…
//!
//! EXPORT is what `llvm-cov export` says of the target. In each FILE, tests left out, every place
//! that makes an error must have a count there: a call of one of the [`MAKERS`], or of a function
//! or closure of these files that is made of them; for a limit, and for an error made by name, the
//! `?` behind it. UNREACHABLE lists what no input leads to; an entry that is reached, or that fits
//! nothing, is wrong too.

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use serde::Deserialize;

/// What makes an error in every file.
const MAKERS: [&str; 7] = [
    "Fault::new",
    "Error::new",
    "Error::other",
    "UnexpectedEof.into",
    "anyhow!",
    "bail!",
    "refuse",
];

/// How the signature of a function ends that does nothing else.
const RETURNS: [&str; 2] = [") -> Fault {\n", ") -> anyhow::Error {\n"];

/// A parser that makes no errors, and where it takes no more instead.
const SILENT: &str = "src/registry/challenge.rs";
const GIVES_UP: [&str; 3] = ["return challenges", "    None", ".next()?"];

#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    files: Vec<Measured>,
}

#[derive(Deserialize)]
struct Measured {
    filename: String,
    segments: Vec<Segment>,
}

/// Line, column, count, whether it counts, and two flags; in force until the next one begins.
type Segment = (usize, usize, u64, bool, bool, bool);

/// A source file up to its tests.
struct Source<'a> {
    name: &'a str,
    text: String,
}

/// A place that makes an error.
struct Site {
    file: String,
    /// File and line, for messages.
    place: String,
    line: String,
    /// The line before it: it says when it happens.
    before: String,
    count: u64,
}

/// One entry of the list of what cannot be reached.
struct Excuse {
    file: String,
    part: String,
    used: bool,
}

impl Excuse {
    fn is_for(&self, site: &Site) -> bool {
        let context = format!("{} {}", site.before, site.line);
        let is_there = context.contains(&self.part) && !site.before.contains(&self.part);
        is_there && self.file == site.file
    }
}

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, export, unreachable, files @ ..] = &arguments[..] else {
        eprintln!("usage: unreached TARGET EXPORT UNREACHABLE FILE…");
        return ExitCode::from(2);
    };
    match check(target, export, unreachable, files) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("unreached: {target}: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints one line of result, and one for everything that is wrong.
fn check(target: &str, export: &str, unreachable: &str, files: &[String]) -> Fallible<bool> {
    let sites = sites(export, files)?;
    let mut excuses = excuses(&fs::read_to_string(unreachable)?, files)?;
    let (mut reached, mut excused, mut wrong) = (0, 0, Vec::new());
    for site in &sites {
        let excuse = excuses.iter_mut().find(|excuse| excuse.is_for(site));
        match (&excuse, site.count) {
            (None, 0) => wrong.push(format!("{}: not reached: {}", site.place, site.line)),
            (None, _) => reached += 1,
            (Some(_), 0) => excused += 1,
            (Some(_), _) => wrong.push(format!("{}: reached after all: {}", site.place, site.line)),
        }
        if let Some(excuse) = excuse {
            excuse.used = true;
        }
    }
    let unused = excuses.iter().filter(|excuse| !excuse.used);
    wrong.extend(unused.map(|excuse| format!("{}: no error at '{}'", excuse.file, excuse.part)));
    let total = sites.len();
    println!("{target:<10} error lines {total:>3}, reached {reached:>3}, unreachable {excused:>2}");
    wrong.iter().for_each(|line| println!("  {line}"));
    Ok(wrong.is_empty())
}

/// All places that make an error, with what llvm-cov has counted there.
fn sites(export: &str, files: &[String]) -> Fallible<Vec<Site>> {
    let export: Export = serde_json::from_str(&fs::read_to_string(export)?)?;
    let measured = export.data.into_iter().flat_map(|data| data.files);
    let measured: Vec<Measured> = measured.collect();
    let sources = files.iter().map(|file| read(file));
    let sources: Vec<Source> = sources.collect::<Fallible<_>>()?;
    let makers = makers(&sources);
    let mut sites = Vec::new();
    for source in &sources {
        let counts = measured
            .iter()
            .find(|file| file.filename.ends_with(source.name))
            .map_or(&[][..], |file| &file.segments);
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for at in errors(source, &makers)? {
            let (number, column) = position(&source.text, at);
            sites.push(Site {
                file: source.name.to_owned(),
                place: format!("{}:{number}", source.name),
                line: lines[number - 1].to_owned(),
                before: lines[..number - 1]
                    .last()
                    .copied()
                    .unwrap_or_default()
                    .to_owned(),
                count: count(counts, number, column),
            });
        }
    }
    Ok(sites)
}

fn read(name: &str) -> Fallible<Source<'_>> {
    let mut text = fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?;
    text.truncate(text.find("mod tests {").unwrap_or(text.len()));
    Ok(Source { name, text })
}

/// Entries `FILE: PART: REASON`, those of other files left out. The part stands in the line that
/// makes the error, or begins in the one before.
fn excuses(list: &str, files: &[String]) -> Fallible<Vec<Excuse>> {
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let mut parts = line.splitn(3, ": ").map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(file), Some(part), Some(_reason)) => Ok(Excuse {
                file,
                part,
                used: false,
            }),
            _ => Err(format!("'{line}' is not FILE: PART: REASON").into()),
        }
    });
    let all: Vec<Excuse> = parsed.collect::<Fallible<_>>()?;
    Ok(all
        .into_iter()
        .filter(|excuse| files.contains(&excuse.file))
        .collect())
}

/// The names of everything that makes errors.
fn makers(sources: &[Source]) -> Vec<String> {
    let mut makers = MAKERS.map(str::to_owned).to_vec();
    for source in sources {
        for end in RETURNS {
            let signatures = source.text.match_indices(end).map(|(at, _)| at);
            makers.extend(signatures.filter_map(|at| {
                let (_, signature) = source.text[..at].rsplit_once("fn ")?;
                Some(signature.split(['(', '<']).next()?.to_owned())
            }));
        }
    }
    for line in sources.iter().flat_map(|source| source.text.lines()) {
        let closure = line.trim().strip_prefix("let ");
        if let Some((name, body)) = closure.and_then(|line| line.split_once(" = |"))
            && makers
                .iter()
                .any(|maker| body.contains(&format!("{maker}(")))
        {
            makers.push(name.to_owned());
        }
    }
    makers.sort();
    makers.dedup();
    makers
}

/// Where errors are made, as offsets at which the count is that of the error.
fn errors(source: &Source, makers: &[String]) -> Fallible<Vec<usize>> {
    let text = &source.text;
    let mut found = Vec::new();
    for maker in makers {
        for (at, _) in text.match_indices(maker.as_str()) {
            found.extend(made(text, at, maker.len()));
        }
    }
    for (at, call) in text.match_indices(".check(") {
        let arguments = &text[at + call.len()..];
        let length = closing(arguments).ok_or("a parenthesis that is never closed")?;
        if !arguments[..length].contains("Name::") {
            continue;
        }
        let after = at + call.len() + length + 1;
        if !text[after..].starts_with('?') {
            let (line, _) = position(text, at);
            let why = "without a '?' behind it nobody sees whether this limit was exceeded";
            return Err(format!("{}:{line}: {why}", source.name).into());
        }
        found.push(after);
    }
    if source.name == SILENT {
        let gives_up = GIVES_UP.iter().flat_map(|part| text.match_indices(part));
        // `return` itself has no count.
        found.extend(gives_up.map(|(at, part)| at + part.len() - 1));
    }
    found.retain(|at| !is_comment(text, *at));
    found.sort_unstable();
    Ok(found)
}

/// A call counts where it stands. What is passed by name makes the error that `?` returns; without
/// one, it is the maker's own body that tells.
fn made(text: &str, at: usize, length: usize) -> Option<usize> {
    let (before, after) = (&text[..at], &text[at + length..]);
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    if before.ends_with(is_name) || before.ends_with("fn ") {
        return None;
    }
    if after.starts_with('(') {
        return Some(at);
    }
    (before.ends_with('(') && after.starts_with(")?")).then_some(at + length + 1)
}

/// Where the parenthesis closes that was open before the text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    let mut marks = text.match_indices(['(', ')']);
    let last = marks.find(|(_, mark)| {
        open = if *mark == "(" { open + 1 } else { open - 1 };
        open == 0
    });
    last.map(|(at, _)| at)
}

fn is_comment(text: &str, at: usize) -> bool {
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    line.trim_start().starts_with("//")
}

/// Line and column of an offset, both from 1, as llvm-cov counts.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, at - start + 1)
}

/// How often the code at a place was executed; what was not compiled never was.
fn count(segments: &[Segment], line: usize, column: usize) -> u64 {
    let begun = segments
        .iter()
        .take_while(|segment| (segment.0, segment.1) <= (line, column));
    match begun.last() {
        Some((_, _, count, true, ..)) => *count,
        _ => 0,
    }
}
