//! `ucr stats`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::stdout;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::{Format, output};
use crate::exit::Outcome;
use crate::runtime::native::{Sample, sample};
use crate::runtime::{Container, State};
use crate::store::Store;
use crate::sys::tty::is_terminal;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The same when there are only two.
const SHORT: Duration = Duration::from_millis(500);
/// Clears a terminal from its first place on.
const CLEAR: &[u8] = b"\x1b[H\x1b[J";

/// Show what running containers use
///
/// Once a second, until those that were named have ended; without a name all that run. What the
/// kernel does not count is "--", or null, and a note says why.
#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Show it once
    #[arg(long)]
    no_stream: bool,
    /// Names or IDs
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// One container between two looks.
struct Row {
    id: String,
    name: Option<String>,
    now: Sample,
    /// In hundredths of a processor.
    cpu: Option<f64>,
}

impl Stats {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let (store, state) = (context.store()?, context.state()?);
        for name in &self.names {
            state.find_running(&store, name)?;
        }
        let mut said = BTreeSet::new();
        let mut before = self.look(&store, &state)?;
        loop {
            std::thread::sleep(if self.no_stream { SHORT } else { PAUSE });
            let now = self.look(&store, &state)?;
            if now.is_empty() && !self.names.is_empty() {
                return Ok(Outcome::Done);
            }
            let rows: Vec<_> = now.values().map(|it| Row::new(it, &before)).collect();
            self.print(context, &rows)?;
            for row in &rows {
                tell(row, &mut said, context);
            }
            if self.no_stream {
                return Ok(Outcome::Done);
            }
            before = now;
        }
    }

    /// By ID; those that end meanwhile are left out.
    fn look(&self, store: &Store, state: &State) -> Result<BTreeMap<String, (Container, Sample)>> {
        let mut found = BTreeMap::new();
        let all = match self.names.is_empty() {
            true => state.running(store)?,
            false => {
                let named = self.names.iter();
                let named = named.filter_map(|name| state.find_running(store, name).ok());
                named.collect()
            }
        };
        for container in all {
            if let Ok(sample) = sample(&container) {
                found.insert(container.record.id.clone(), (container, sample));
            }
        }
        Ok(found)
    }

    fn print(&self, context: &Context, rows: &[Row]) -> Result<()> {
        if context.wants_json(Format::Text) {
            return rows
                .iter()
                .try_for_each(|row| output::line(&row.json().to_string()));
        }
        if !self.no_stream && is_terminal(stdout()) {
            output::raw(CLEAR)?;
        }
        let head = [
            "ID",
            "NAME",
            "CPU %",
            "MEMORY / LIMIT",
            "MEMORY %",
            "NET IN / OUT",
            "BLOCK IN / OUT",
            "PIDS",
        ];
        output::table(head, &rows.iter().map(Row::text).collect::<Vec<_>>())
    }
}

/// Says once what is not counted; in JSON it stands with the rest.
fn tell(row: &Row, said: &mut BTreeSet<(String, String)>, context: &Context) {
    if context.wants_json(Format::Text) || context.is_quiet() {
        return;
    }
    let name = row.name.as_ref().unwrap_or(&row.id);
    for note in &row.now.notes {
        if said.insert((row.id.clone(), note.clone())) {
            output::remark("note", &format!("{name}: {note}"));
        }
    }
}

impl Row {
    fn new(
        (container, now): &(Container, Sample),
        before: &BTreeMap<String, (Container, Sample)>,
    ) -> Self {
        let record = &container.record;
        let earlier = before.get(&record.id).map(|(_, sample)| sample);
        Self {
            id: record.id.clone(),
            name: record.spec.name.clone(),
            now: now.clone(),
            cpu: earlier.and_then(|earlier| cpu_percent(earlier, now)),
        }
    }

    fn memory_percent(&self) -> Option<f64> {
        let limit = self.now.memory_limit.filter(|limit| *limit > 0)?;
        Some(100.0 * float(self.now.memory?) / float(limit))
    }

    fn json(&self) -> Value {
        let now = &self.now;
        let pair = |pair: Option<[u64; 2]>, place: usize| pair.map(|pair| pair[place]);
        json!({
            "id": self.id,
            "name": self.name,
            "cpu_percent": self.cpu.map(hundredths),
            "cpu_nanoseconds": now.cpu,
            "memory_bytes": now.memory,
            "memory_limit": now.memory_limit,
            "memory_percent": self.memory_percent().map(hundredths),
            "pids": now.pids,
            "pids_limit": now.pids_limit,
            "network_received": pair(now.network, 0),
            "network_sent": pair(now.network, 1),
            "block_read": pair(now.block, 0),
            "block_written": pair(now.block, 1),
            "notes": now.notes,
        })
    }

    fn text(&self) -> [String; 8] {
        let now = &self.now;
        let unknown = || "--".to_owned();
        let percent = |value: Option<f64>| value.map_or_else(unknown, |it| format!("{it:.2}"));
        let both = |pair: Option<[u64; 2]>| {
            let [one, other] = pair.map(|pair| pair.map(output::size))?;
            Some(format!("{one} / {other}"))
        };
        let memory = now.memory.map(|used| {
            let limit = now.memory_limit.map_or_else(unknown, output::size);
            format!("{} / {limit}", output::size(used))
        });
        [
            self.id.clone(),
            self.name.clone().unwrap_or_default(),
            percent(self.cpu),
            memory.unwrap_or_else(unknown),
            percent(self.memory_percent()),
            both(now.network).unwrap_or_else(unknown),
            both(now.block).unwrap_or_else(unknown),
            now.pids.map_or_else(unknown, |number| number.to_string()),
        ]
    }
}

/// Of one processor, as top(1) and docker count: two busy ones are 200.
fn cpu_percent(before: &Sample, now: &Sample) -> Option<f64> {
    let passed = now.at.checked_duration_since(before.at)?.as_secs_f64();
    let used = now.cpu?.saturating_sub(before.cpu?);
    (passed > 0.0).then(|| 100.0 * float(used) / 1e9 / passed)
}

#[allow(clippy::cast_precision_loss, reason = "for people; 53 bits are enough")]
fn float(number: u64) -> f64 {
    number as f64
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
