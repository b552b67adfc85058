//! The results as a table for a terminal.

use std::fmt::Write;

use crate::report::{Report, ToolResult};
use crate::tool::{Tool, View};

/// The whole table.
pub fn render(report: &Report) -> String {
    let mut text = report.machine.to_string();
    if !report.machine.is_quiet() {
        let busy = report.machine.busy;
        let _ = writeln!(text, "NOT QUIET: others kept {busy:.1} cores busy\n");
    }
    let runs = report.tools.first().map_or(0, |it| it.samples.len());
    let title = format!("ms, start to exit, of {runs}");
    let _ = writeln!(
        text,
        "{title:<36}{:>9}{:>9}{:>9}{:>9}{:>12}",
        "median", "p90", "CPU", "to ucr", "no overlay"
    );
    let ucr = report.of(Tool::Ucr).map(|it| it.median(|s| s.wall));
    for result in &report.tools {
        row(&mut text, result, ucr);
    }
    text.push_str("(+: sees cgroups of version 2 alone)\n\n");
    for result in &report.tools {
        if let (Some(ucr), Some(target)) = (ucr, result.tool.target()) {
            target_row(&mut text, result, ucr, target);
        }
    }
    text
}

fn row(text: &mut String, result: &ToolResult, ucr: Option<f64>) {
    let wall = result.median(|s| s.wall);
    let mark = if result.tool.view() == View::V2 {
        " +"
    } else {
        ""
    };
    let _ = write!(
        text,
        "{:<36}{wall:>9.2}{:>9.2}{:>9.2}",
        format!("{}{mark}", result.tool.title()),
        result.quantile(0.9, |s| s.wall),
        result.median(|s| s.cpu),
    );
    match ucr {
        Some(ucr) => drop(write!(text, "{:>9.2}", wall / ucr)),
        None => drop(write!(text, "{:>9}", "")),
    }
    if result.tool.is_low_level() {
        let _ = write!(text, "{:>12.2}", result.median(|s| s.bare));
    }
    text.push('\n');
}

fn target_row(text: &mut String, result: &ToolResult, ucr: f64, target: f64) {
    let ratio = ucr / result.median(|s| s.wall);
    let verdict = if ratio <= target { "pass" } else { "MISS" };
    let _ = writeln!(
        text,
        "ucr / {:<30}{ratio:>9.3}   target ≤ {target:<5} {verdict}",
        result.tool.title()
    );
}
