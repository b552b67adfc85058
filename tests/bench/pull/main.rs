//! Cold pull and unpack: ucr, its peers and the floor, side by side. Started by tests/bench/run.
//!
//! Every measurement is a world of its own (tests/bench/cell) with a new file system; tools and
//! images take turns, so that a machine that slows down does so for all. What is run apart from the
//! measurements, because it would disturb them: peak memory, and `strace`.
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

mod cell;
mod chart;
mod image;
mod memory;
mod registry;
mod report;
mod table;
mod tool;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;

use cell::{Cell, Sample};
use image::Image;
use machine::Machine;
use registry::Registry;
use report::Report;
use tool::Tool;

/// Measures cold pull and unpack
#[derive(Debug, Parser)]
struct Options {
    /// The ucr to measure
    #[arg(long)]
    ucr: PathBuf,
    /// Where tests/bench/prepare has put images and peers
    #[arg(long)]
    cache: PathBuf,
    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only these images: debian, npm, pypi, big, layers
    #[arg(long, value_name = "IMAGE,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these tools: ucr, podman, umoci, docker, containerd, crane, floor
    #[arg(long, value_name = "TOOL,…", value_delimiter = ',')]
    tools: Vec<String>,
    /// The results; the chart is put beside them
    #[arg(long, value_name = "FILE", default_value = "target/bench/pull.json")]
    out: PathBuf,
    /// Measure nothing, draw the chart of results that are there
    #[arg(long)]
    draw: bool,
    /// Given by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let report = if options.draw {
        Report::read(&options.out)
    } else {
        let mut report = measure(&options);
        report.write(&options.out);
        println!("{}", table::render(&report));
        report
    };
    let drawn = options.out.with_extension("svg");
    fs::write(&drawn, chart::draw(&report)).expect("write the chart");
    println!("{} and {}", options.out.display(), drawn.display());
}

fn measure(options: &Options) -> Report {
    support::need::root();
    let path = |path: &Path| {
        fs::canonicalize(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (cache, ucr) = (&path(&options.cache), &path(&options.ucr));
    let images = Image::all(cache, &options.only);
    let tools = Tool::some(&options.tools);
    let packages: Vec<_> = tools
        .iter()
        .flat_map(|tool| tool.packages())
        .copied()
        .collect();
    let machine = Machine::look(cache, ucr, &packages);
    if !machine.is_quiet() {
        eprintln!("not quiet: others keep {:.1} cores busy", machine.busy);
    }
    warm(cache);
    let registry = Registry::start(cache);
    let cell = Cell::new(cache, ucr, &registry);
    let mut report = Report::new(machine, images, &tools);
    take_turns(options.runs, &cell, &mut report);
    measure_apart(&cell, &mut report);
    report
}

/// Reads everything that the registry will send, so that no disk is measured.
fn warm(cache: &Path) {
    support::process::tool(
        std::process::Command::new("find")
            .arg(cache.join("registry"))
            .args(["-type", "f", "-exec", "cat", "{}", "+"])
            .stdout(std::process::Stdio::null()),
    );
}

fn take_turns(runs: usize, cell: &Cell, report: &mut Report) {
    for tool in report.tools() {
        // The programs themselves are read from a disk the first time.
        cell.pull(tool, report.smallest());
    }
    for run in 0..runs {
        for number in 0..report.images.len() {
            let mut tools = report.tools();
            // Nobody always runs after the same one.
            let count = tools.len();
            tools.rotate_left(run % count);
            for tool in tools {
                let result = &mut report.images[number];
                let sample = cell.pull(tool, &result.image);
                progress(run, runs, &result.image, tool, &sample);
                result.of_mut(tool).add(sample);
            }
        }
    }
}

fn progress(run: usize, runs: usize, image: &Image, tool: Tool, sample: &Sample) {
    eprintln!(
        "{}/{runs} {:<8}{:<12}{:>8.3} s",
        run + 1,
        image.name,
        tool.name(),
        sample.seconds
    );
}

fn measure_apart(cell: &Cell, report: &mut Report) {
    for result in &mut report.images {
        // A daemon's memory would be that of all its images; what counts here is ucr's.
        for tool in result
            .tools
            .iter_mut()
            .filter(|tool| tool.tool == Tool::Ucr)
        {
            let peak = cell.peak_memory(tool.tool, &result.image);
            eprintln!(
                "memory {:<8}{:<12}{peak:>8} KiB",
                result.image.name,
                tool.tool.name()
            );
            tool.peak_kib = Some(peak);
        }
        if result.of(Tool::Ucr).is_some() {
            result.calls = Some(cell.trace(&result.image));
        }
    }
}
