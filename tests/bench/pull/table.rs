//! The results as a table for a terminal.

use std::fmt::Write;

use crate::report::{ImageResult, Report};
use crate::tool::Tool;

const FIRST: usize = 28;
const COLUMN: usize = 17;

/// The whole table.
pub fn render(report: &Report) -> String {
    let mut text = report.machine.to_string();
    let runs = report.images.iter().flat_map(|image| &image.tools);
    let runs = runs.map(|tool| tool.samples.len()).max().unwrap_or(0);
    row(
        &mut text,
        &format!("seconds, median of {runs}"),
        report,
        |image| image.image.name.clone(),
    );
    for tool in report.tools() {
        row(&mut text, tool.title(), report, |image| time(image, tool));
    }
    text.push_str("(in parentheses: until all that was written is synced)\n\n");
    row(&mut text, "ucr / best peer", report, |image| {
        ratio(
            image.ratios().and_then(|r| r.peer),
            Some(image.image.peer_target),
        )
    });
    row(&mut text, "  which is", report, |image| {
        let peer = image.ratios().and_then(|r| r.best_peer);
        peer.map_or("", Tool::title).into()
    });
    row(&mut text, "  both synced", report, |image| {
        ratio(image.ratios().and_then(|r| r.peer_synced), None)
    });
    row(&mut text, "ucr / floor", report, |image| {
        ratio(
            image.ratios().and_then(|r| r.floor),
            image.image.floor_target,
        )
    });
    row(&mut text, "  both synced", report, |image| {
        ratio(image.ratios().and_then(|r| r.floor_synced), None)
    });
    text.push('\n');
    cost(&mut text, report);
    calls(&mut text, report);
    text
}

fn row(text: &mut String, name: &str, report: &Report, cell: impl Fn(&ImageResult) -> String) {
    let _ = write!(text, "{name:<FIRST$}");
    for image in &report.images {
        let _ = write!(text, "{:>COLUMN$}", cell(image));
    }
    text.push('\n');
}

fn time(image: &ImageResult, tool: Tool) -> String {
    let of = |result: &crate::report::ToolResult| {
        format!("{:.2} ({:.2})", result.median.seconds, result.median.synced)
    };
    image.of(tool).map_or_else(String::new, of)
}

fn ratio(ratio: Option<f64>, target: Option<f64>) -> String {
    match (ratio, target) {
        (None, _) => String::new(),
        (Some(ratio), None) => format!("{ratio:.2}"),
        (Some(ratio), Some(target)) => {
            let verdict = if ratio <= target { "≤" } else { "MISSED" };
            format!("{ratio:.2} {verdict} {target}")
        }
    }
}

fn cost(text: &mut String, report: &Report) {
    let without_daemon = |tool: &Tool| !matches!(tool, Tool::Containerd | Tool::Docker);
    for tool in report.tools().into_iter().filter(without_daemon) {
        row(text, &format!("CPU s, {}", tool.title()), report, |image| {
            let median = image.of(tool).map(|result| result.median);
            median.map_or_else(String::new, |m| format!("{:.2} + {:.2}", m.user, m.system))
        });
    }
    text.push_str("(user + system)\n\n");
    row(text, "peak MiB, ucr", report, |image| {
        let peak = image.of(Tool::Ucr).and_then(|result| result.peak_kib);
        peak.map_or_else(String::new, |kib| format!("{:.1}", kib as f64 / 1024.0))
    });
    text.push_str("(it and its children, sampled every 10 ms in a run of its own)\n\n");
    for tool in report.tools() {
        row(
            text,
            &format!("registry s, {}", tool.title()),
            report,
            |image| {
                let seconds = image.of(tool).map(|result| result.median.registry_cpu);
                seconds.map_or_else(String::new, |seconds| format!("{seconds:.2}"))
            },
        );
    }
    text.push_str("(CPU seconds of the registry)\n\n");
}

fn calls(text: &mut String, report: &Report) {
    let per_entry = |image: &ImageResult, count: u64| count as f64 / image.image.entries() as f64;
    row(text, "calls per entry", report, |image| {
        let calls = image.calls.as_ref();
        calls.map_or_else(String::new, |c| {
            format!("{:.2}", per_entry(image, c.total()))
        })
    });
    row(text, "  on files", report, |image| {
        let calls = image.calls.as_ref();
        calls.map_or_else(String::new, |c| {
            format!("{:.2}", per_entry(image, c.on_files()))
        })
    });
    for image in &report.images {
        let Some(calls) = &image.calls else { continue };
        let most = calls.by_count().into_iter().take(9);
        let most: Vec<_> = most
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let _ = writeln!(
            text,
            "  {}: {} entries, {} files: {}",
            image.image.name,
            image.image.entries(),
            image.image.files(),
            most.join(", ")
        );
    }
}
