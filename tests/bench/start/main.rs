//! Start to exit of a container that does nothing: ucr and its peers side by side. Started by
//! tests/bench/run.
//!
//! All of it happens in one world (tests/bench/cell), where this program runs once more, with
//! `--inside`, and starts everybody in turns, so that a machine that slows down does so for all.
//! What a low-level runtime leaves to its caller, the overlay, is part of its time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is test code outside of #[test] functions"
)]

#[path = "../../support/mod.rs"]
mod support;

#[path = "../machine.rs"]
mod machine;

mod bundle;
mod daemon;
mod phases;
mod report;
mod run;
mod table;
mod tool;
mod views;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;

use machine::Machine;
use report::{Report, Results};
use support::need;
use tool::Tool;
use world::{BESIDE, World};

/// Measures start to exit
#[derive(Debug, Parser)]
struct Options {
    /// The ucr to measure
    #[arg(long, required_unless_present = "inside")]
    ucr: Option<PathBuf>,
    /// Where tests/bench/prepare has put the peers
    #[arg(long, required_unless_present = "inside")]
    cache: Option<PathBuf>,
    /// How often everything is measured
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// Only these: see the first column of the table
    #[arg(long, value_name = "TOOL,…", value_delimiter = ',')]
    tools: Vec<String>,
    /// Show where the time of ucr goes, instead
    #[arg(long)]
    phases: bool,
    /// Another build of ucr, to be measured beside it
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// The results
    #[arg(long, value_name = "FILE", default_value = "target/bench/start.json")]
    out: PathBuf,
    /// Measure, in the world where all tools are, and print results as JSON
    #[arg(long, hide = true)]
    inside: bool,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let mut tools = Tool::some(&options.tools);
    tools.retain(|tool| *tool != Tool::Beside || options.beside.is_some());
    match (&options.ucr, &options.cache) {
        (Some(ucr), Some(cache)) if !options.inside => outside(&options, &tools, ucr, cache),
        _ => inside(&options, &tools),
    }
}

fn outside(options: &Options, tools: &[Tool], ucr: &Path, cache: &Path) {
    need::root();
    let path = |path: &Path| {
        fs::canonicalize(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (cache, ucr) = (&path(cache), &path(ucr));
    let beside = options.beside.as_deref().map(path);
    if options.phases {
        let table = in_world(options, ucr, cache, beside.as_deref());
        print!("{}", String::from_utf8_lossy(&table));
        return;
    }
    let packages: Vec<_> = tools.iter().flat_map(|tool| tool.packages()).collect();
    let mut machine = Machine::look(
        cache,
        ucr,
        &packages.into_iter().copied().collect::<Vec<_>>(),
    );
    let results = in_world(options, ucr, cache, beside.as_deref());
    let results: Results = serde_json::from_slice(&results).expect("results as JSON");
    machine.busy = machine.busy.max(results.busy);
    let report = Report {
        machine,
        tools: results.tools,
    };
    report.write(&options.out);
    print!("{}", table::render(&report));
    println!("{}", options.out.display());
}

/// Should this process be killed, the kernel kills `unshare`, with it PID 1 of the world, with it
/// all that is in there; and unmounts what nobody can see any more.
fn in_world(options: &Options, ucr: &Path, cache: &Path, beside: Option<&Path>) -> Vec<u8> {
    let cell = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/cell");
    let mut command = Command::new(need::program("setpriv", "util-linux"));
    command
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .arg(cell)
        .arg("start")
        .arg(std::env::current_exe().expect("our own program"))
        .args(["--inside", "--runs", &options.runs.to_string()])
        .env("UCR_BENCH_DIR", cache)
        .env("UCR_BINARY", ucr);
    if !options.tools.is_empty() {
        command.args(["--tools", &options.tools.join(",")]);
    }
    if let Some(beside) = beside {
        command.args(["--beside", BESIDE]).env("UCR_BESIDE", beside);
    }
    if options.phases {
        command.arg("--phases");
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("start the world");
    assert!(
        output.status.success(),
        "the world ended: {}",
        output.status
    );
    output.stdout
}

fn inside(options: &Options, tools: &[Tool]) {
    if options.phases {
        let _world = World::build(&[Tool::Ucr]);
        print!("{}", phases::table(options.runs, &mut world::traced));
        return;
    }
    let world = World::build(tools);
    let mut results = Results::new(tools);
    // The first round is not counted: programs are read from a disk, caches are filled.
    for round in 0..=options.runs {
        let mut order: Vec<usize> = (0..tools.len()).collect();
        // Nobody always runs after the same one.
        order.rotate_left(round % tools.len());
        for number in order {
            let sample = world.measure(tools[number]);
            if round > 0 {
                results.tools[number].samples.push(sample);
            }
        }
        if round % 10 == 0 {
            eprintln!("{round}/{}", options.runs);
        }
    }
    drop(world);
    results.busy = machine::busy(std::time::Duration::from_secs(1));
    println!("{}", serde_json::to_string(&results).expect("it is JSON"));
}
