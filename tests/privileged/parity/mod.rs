//! The same under both runtimes: one table of containers, each run by ucr itself and by a real
//! Docker Engine, from the same image of the same registry. What is seen of it must be equal: exit
//! code, stdout, stderr, and the facts that a probe finds inside. What cannot be equal is in
//! [`DIFFERENCES`], with its reason, and so in ucr-docker(7); what is listed there and is equal
//! fails, too.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::engine::Engine;

use differences::DIFFERENCES;
use facts::Facts;
use half::Half;
use image::Images;
use row::Row;

mod differences;
mod facts;
mod half;
mod image;
mod row;
mod table;

/// The issue's.
const ENOUGH: usize = 85;
const THREADS: usize = 4;

/// What all threads find.
#[derive(Debug, Default)]
struct Findings {
    wrong: Vec<String>,
    used: BTreeSet<usize>,
}

struct Table<'a> {
    images: Images,
    native: Half,
    docker: Half,
    rows: &'a [Row],
    next: AtomicUsize,
    findings: Mutex<Findings>,
}

impl Table<'_> {
    /// One row after the other, with those that other threads do not take.
    fn work(&self) {
        while let Some(row) = self.rows.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let native = self.native.facts(row, &self.images);
            let docker = self.docker.facts(row, &self.images);
            let mut wrong = not_shown("native", row, &native);
            if !(row.capabilities && cannot(&docker)) {
                wrong.extend(not_shown("docker", row, &docker));
                wrong.extend(self.unlike(row, &native, &docker));
            }
            self.findings.lock().expect("no panic").wrong.extend(wrong);
        }
    }

    /// What differs and is not listed.
    fn unlike(&self, row: &Row, native: &Facts, docker: &Facts) -> Vec<String> {
        let names: BTreeSet<_> = native.0.keys().chain(docker.0.keys()).collect();
        let differ = names
            .into_iter()
            .filter(|name| native.0.get(*name) != docker.0.get(*name));
        let mut wrong = Vec::new();
        for name in differ {
            let covers = |it: &differences::Difference| it.covers(row.name, name);
            match DIFFERENCES.iter().position(covers) {
                Some(place) => {
                    self.findings.lock().expect("no panic").used.insert(place);
                }
                None => wrong.push(format!(
                    "{}: {name}: native {:?}, docker {:?}",
                    row.name,
                    native.0.get(name),
                    docker.0.get(name)
                )),
            }
        }
        wrong
    }
}

/// What a row is there to show, and does not.
fn not_shown(runtime: &str, row: &Row, facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    if facts.get("exit code") != row.code.to_string() {
        wrong.push(format!("exit code, not {}", row.code));
    }
    let lines = row.shows.iter().filter(|line| !facts.shows(line));
    wrong.extend(lines.map(|line| format!("no '{line}'")));
    let message = facts.get("message");
    let is_quiet = row.says.is_empty() && row.code < 125 && !row.capabilities;
    if is_quiet && !message.is_empty() {
        wrong.push("a message".to_owned());
    }
    let words = row.says.iter().filter(|word| !message.contains(*word));
    wrong.extend(words.map(|word| format!("no message about '{word}'")));
    if wrong.is_empty() {
        return wrong;
    }
    vec![format!(
        "{}: {runtime}: {}: {:#?}",
        row.name,
        wrong.join(", "),
        facts.0
    )]
}

/// Older versions of runc want to give capabilities that they do not have themselves.
fn cannot(docker: &Facts) -> bool {
    let mine = fs::read_to_string("/proc/self/status").expect("it is there");
    let lacks_some = !mine.contains("CapBnd:\t000001ffffffffff");
    lacks_some && docker.get("message").contains("unable to apply caps")
}

#[test]
fn both_runtimes_do_the_same() {
    let rows = table::rows();
    let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "names of rows");
    assert!(rows.len() >= ENOUGH, "{} rows", rows.len());
    let engine = Engine::shared();
    let findings = engine.on_its_machine(|| compare(engine, &rows));
    let listed = DIFFERENCES.iter().enumerate();
    let unused = listed.filter(|(place, _)| !findings.used.contains(place));
    let unused = unused.map(|(_, it)| format!("listed, and does not differ: {}", it.title));
    let wrong: Vec<_> = findings.wrong.into_iter().chain(unused).collect();
    assert!(
        wrong.is_empty(),
        "{} in all:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn compare(engine: &Engine, rows: &[Row]) -> Findings {
    let table = Table {
        images: Images::publish(),
        native: Half::new("native", engine),
        docker: Half::new(
            if std::env::var_os("HALF").is_some() {
                "native"
            } else {
                "docker"
            },
            engine,
        ),
        rows,
        next: AtomicUsize::new(0),
        findings: Mutex::default(),
    };
    for name in table.images.names() {
        table.native.ucr.pull(&name);
        engine.ask(["pull", "--quiet", &name]);
    }
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| table.work())).collect();
        for worker in workers {
            worker.join().expect("its rows could be run");
        }
    });
    assert_eq!(
        engine.ask(["ps", "--all", "--quiet"]),
        "",
        "containers stay"
    );
    table.findings.into_inner().expect("no panic")
}
