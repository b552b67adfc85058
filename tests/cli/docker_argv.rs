//! What Docker Engine is told for a description: one file for each case in `tests/data/docker-argv`,
//! a word a line and then the lines of the file with variables, rewritten by `UCR_BLESS=1 cargo test --test cli docker_argv` after a change that
//! is meant; what is refused, in which words; and that no key of a description is forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use caps::Capability;
use clap::Parser;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use ucr::error::{self, Fault, Kind};
use ucr::frontend::flags::{ContainerFlags, Lines};
use ucr::image::ImageConfig;
use ucr::runtime::docker::UNREAD_SECRETS;
use ucr::runtime::docker::arguments::{Arguments, Circumstances, arguments};
use ucr::spec::{
    ContainerSpec, Endpoint, Health, HostDevice, Log, Mount, Naming, Resources, Security, Sharing,
};

#[path = "docker_argv/accepted.rs"]
mod accepted;
#[path = "docker_argv/refused.rs"]
mod refused;

use accepted::ACCEPTED;
use refused::REFUSED;

/// As the image of plans.rs, with a check.
const IMAGE: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
    "config":{"Entrypoint":["/bin/app"],"Cmd":["--serve"],"Env":["PATH=/bin","A=image"],
              "WorkingDir":"/srv","User":"ada","Volumes":{"/data":{}},
              "Healthcheck":{"Test":["CMD","/bin/well"]}}}"#;

/// The same without a check or a command, in a container of somebody else's.
const BARE: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
    "config":{"Env":["container=oci"]}}"#;

/// A command and no entrypoint.
const COMMAND: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
    "config":{"Cmd":["/bin/app","--serve"]}}"#;

/// Today's Engine, Debian 12's, and what came before.
const NEW: (u32, u32) = (1, 47);
const OLD: (u32, u32) = (1, 41);
const OLDER: (u32, u32) = (1, 39);

/// Where a case takes place.
#[derive(Clone, Copy)]
struct Place {
    api: (u32, u32),
    image: &'static str,
    apparmor: bool,
    selinux: bool,
    max_files: u64,
    lacks: &'static [Capability],
}

const HERE: Place = Place {
    api: NEW,
    image: IMAGE,
    apparmor: true,
    selinux: true,
    max_files: u64::MAX,
    lacks: &[],
};

/// A description of a container: what follows `ucr run`, or, with a brace first, more keys than
/// options can say.
struct Case {
    name: &'static str,
    place: Place,
    says: &'static str,
}

const fn case(name: &'static str, says: &'static str) -> Case {
    Case {
        name,
        place: HERE,
        says,
    }
}

const fn at(api: (u32, u32), name: &'static str, says: &'static str) -> Case {
    let place = Place { api, ..HERE };
    Case { name, place, says }
}

#[derive(Parser)]
#[command(disable_help_flag = true)]
struct Command {
    #[command(flatten)]
    flags: ContainerFlags,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Separated by spaces, unless between single quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn describe(says: &str) -> ContainerSpec {
    let spec = match says.strip_prefix('{') {
        Some(keys) => {
            let image = match keys.starts_with(r#""rootfs""#) {
                true => "",
                false => r#""image":"example.com/app:1","#,
            };
            let text = format!(r#"{{"version":1,{image}{keys}"#);
            ContainerSpec::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{says}: {fault}"))
        }
        None => {
            let words = ["run".to_owned()].into_iter().chain(split(says));
            let command = Command::try_parse_from(words);
            let command = command.unwrap_or_else(|error| panic!("{says}: {error}"));
            let (image, args) = command.words.split_first().expect("an image");
            let made = command
                .flags
                .spec(image.clone(), args.to_vec(), Lines::default(), &|_| None);
            made.unwrap_or_else(|fault| panic!("{says}: {fault}"))
        }
    };
    spec.check()
        .unwrap_or_else(|fault| panic!("{says}: {fault}"));
    spec
}

fn told(case: &Case) -> Result<Arguments, Fault> {
    let config = ImageConfig::parse(case.place.image.as_bytes()).expect("a configuration");
    let mut capabilities = caps::all();
    capabilities.retain(|it| !case.place.lacks.contains(it));
    let circumstances = Circumstances {
        capabilities: &capabilities,
        name: "ucr-0123456789ab",
        image: "sha256:cafe",
        config: &config,
        api: case.place.api,
        seccomp: Path::new("/run/ucr/seccomp.json"),
        env_file: Path::new("/run/ucr/env"),
        secrets: &UNREAD_SECRETS,
        apparmor: case.place.apparmor,
        selinux: case.place.selinux,
        max_files: case.place.max_files,
    };
    arguments(&describe(case.says), &circumstances)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/docker-argv")
}

#[test]
fn docker_is_told_what_it_was_told() {
    assert!(ACCEPTED.len() >= 85, "{}", ACCEPTED.len());
    let bless = std::env::var_os("UCR_BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for case in ACCEPTED {
        let told = told(case).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        let mut lines = told.words;
        if !told.variables.is_empty() {
            lines.push("--- env-file".to_owned());
            lines.extend(told.variables);
        }
        // A word is a line, also one of more lines.
        let lines = lines
            .iter()
            .map(|word| word.escape_debug_but_quotes() + "\n");
        let now = format!("# {}\n{}", case.says, lines.collect::<String>());
        let path = directory().join(format!("{}.txt", case.name));
        if bless {
            fs::write(&path, &now).unwrap();
        }
        let then = fs::read_to_string(&path).unwrap_or_default();
        if now != then {
            wrong.push(format!(
                "{}\nnow:\n{now}\nin the file:\n{then}",
                path.display()
            ));
        }
    }
    let what = "UCR_BLESS=1 cargo test --test cli docker_argv rewrites them";
    assert!(wrong.is_empty(), "{what}\n{}", wrong.join("\n"));
    check_names();
}

trait Escape {
    fn escape_debug_but_quotes(&self) -> String;
}

impl Escape for String {
    fn escape_debug_but_quotes(&self) -> String {
        let escape = |c: char| match c {
            '\'' | '"' => c.to_string(),
            c => c.escape_debug().collect(),
        };
        self.chars().map(escape).collect()
    }
}

/// Every case has a name of its own, and there is no file of another.
fn check_names() {
    let names: BTreeSet<_> = ACCEPTED.iter().map(|case| case.name.to_owned()).collect();
    assert_eq!(names.len(), ACCEPTED.len());
    let files = fs::read_dir(directory()).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.trim_end_matches(".txt").to_owned()
    });
    assert_eq!(files.collect::<BTreeSet<_>>(), names);
}

#[test]
fn what_docker_cannot_do_is_refused_by_name() {
    for (case, message, hint) in REFUSED {
        let fault = told(case).err();
        let fault = fault.unwrap_or_else(|| panic!("{} is accepted", case.says));
        assert!(matches!(fault.kind(), Kind::Unsupported | Kind::Spec));
        let error = fault.into();
        let said = (
            error::render(&error),
            error::hint(&error).unwrap_or_default(),
        );
        let expected = ((*message).to_owned(), (*hint).to_owned());
        assert_eq!(said, expected, "{}", case.says);
    }
}

/// Docker has an option of each name that it is told.
#[test]
fn docker_knows_the_options() {
    let table = include_str!("../data/docker-run-flags.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let known: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
    for case in ACCEPTED {
        let words = told(case).unwrap().words;
        let end = words.iter().position(|word| word == "sha256:cafe").unwrap();
        for word in &words[..end] {
            let name = word.split('=').next().unwrap();
            assert!(known.contains(name), "{}: {word}", case.name);
        }
    }
}

/// The keys that a reader has.
fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = match serde_json::from_str::<T>(r#"{"?": 0}"#) {
        Ok(_) => panic!("it takes every key"),
        Err(error) => error.to_string(),
    };
    let (_, known) = error.split_once(", expected ").expect("a list");
    let words = known.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn no_key_is_forgotten() {
    let cases = ACCEPTED.iter().chain(REFUSED.iter().map(|(case, ..)| case));
    let specs: Vec<Value> = cases
        .map(|case| serde_json::to_value(describe(case.says)).unwrap())
        .collect();
    let objects = |path: &[&str]| -> Vec<&Map<String, Value>> {
        let mut found: Vec<&Value> = specs.iter().collect();
        for key in path {
            let inner = found.into_iter().filter_map(|value| value.get(key));
            found = inner.flat_map(elements).collect();
        }
        found.into_iter().filter_map(Value::as_object).collect()
    };
    let rooms: [(&[&str], BTreeSet<String>); 11] = [
        (&[], keys::<ContainerSpec>()),
        (&["log"], keys::<Log>()),
        (&["health"], keys::<Health>()),
        (&["naming"], keys::<Naming>()),
        (&["sharing"], keys::<Sharing>()),
        (&["mounts"], keys::<Mount>()),
        (&["devices"], keys::<HostDevice>()),
        (&["endpoint"], keys::<Endpoint>()),
        (&["resources"], keys::<Resources>()),
        (&["security"], keys::<Security>()),
        (
            &["docker_parameters"],
            ["key", "value"].map(str::to_owned).into(),
        ),
    ];
    for (path, known) in rooms {
        assert!(known.len() >= 2, "{path:?}");
        let used: BTreeSet<String> = objects(path)
            .iter()
            .flat_map(|it| it.keys().cloned())
            .collect();
        let missing: Vec<_> = known.difference(&used).collect();
        assert!(missing.is_empty(), "{path:?}: {missing:?}");
    }
}

fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(all) => all.iter().collect(),
        other => vec![other],
    }
}
