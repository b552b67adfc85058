//! The results as an SVG bar chart: one panel for each image, readable on light and on dark.

use std::fmt::Write;

use crate::report::{ImageResult, Report};
use crate::tool::Tool;

const WIDTH: f64 = 880.0;
const COLUMNS: usize = 2;
const PANEL: f64 = WIDTH / COLUMNS as f64;
const MARGIN: f64 = 12.0;
/// Room for the tools' names, left of the bars.
const NAMES: f64 = 122.0;
/// Room for the seconds, right of the longest bar.
const VALUES: f64 = 52.0;
const LINE: f64 = 19.0;
const BAR: f64 = 13.0;
const HEAD: f64 = 44.0;

/// GitHub's colours of text, in both of its modes.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
.head{font-weight:600;font-size:13px}.small{fill:#59636e;font-size:11px}.ucr{font-weight:600}\
.name{text-anchor:end}rect{fill:#afb8c1}rect.ucr{fill:#0969da}\
rect.floor{fill:none;stroke:#818b98;stroke-dasharray:3 2}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}rect{fill:#59636e}\
rect.ucr{fill:#4493f8}}";

/// The chart.
pub fn draw(report: &Report) -> String {
    let tools = report.tools().len() as f64;
    let panel = HEAD + tools * LINE + MARGIN;
    // The last field is for the notes.
    let rows = (report.images.len() + 1).div_ceil(COLUMNS);
    let height = rows as f64 * panel;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Cold pull and unpack, seconds</title>\n<style>{STYLE}</style>\n"
    );
    for (number, image) in report.images.iter().enumerate() {
        let (x, y) = place(number, panel);
        draw_image(&mut svg, image, x, y);
    }
    let (x, y) = place(report.images.len(), panel);
    draw_notes(&mut svg, report, x, y);
    svg.push_str("</svg>\n");
    svg
}

fn place(number: usize, panel: f64) -> (f64, f64) {
    let (column, row) = (number % COLUMNS, number / COLUMNS);
    (column as f64 * PANEL, row as f64 * panel)
}

fn draw_image(svg: &mut String, result: &ImageResult, x: f64, y: f64) {
    let image = &result.image;
    let left = x + MARGIN;
    text(svg, left, y + 18.0, "head", &image.title);
    let about = format!(
        "{} files, {} MB, {} MB compressed",
        grouped(image.files()),
        grouped(image.unpacked() / 1_000_000),
        grouped(image.size() / 1_000_000)
    );
    text(svg, left, y + 34.0, "small", &about);
    let times = result.tools.iter().map(|tool| tool.median.seconds);
    let longest = times.fold(f64::MIN_POSITIVE, f64::max);
    for (number, tool) in result.tools.iter().enumerate() {
        let top = y + HEAD + number as f64 * LINE;
        let share = tool.median.seconds / longest;
        draw_bar(svg, tool.tool, tool.median.seconds, share, (x, top));
    }
}

fn draw_bar(svg: &mut String, tool: Tool, seconds: f64, share: f64, (x, top): (f64, f64)) {
    let class = match tool {
        Tool::Ucr => "ucr",
        Tool::Floor => "floor",
        _ => "peer",
    };
    let (start, baseline) = (x + NAMES, top + BAR - 2.5);
    let length = (share * (PANEL - NAMES - VALUES - MARGIN)).max(1.0);
    text(
        svg,
        start - 7.0,
        baseline,
        &format!("name {class}"),
        tool.title(),
    );
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{start}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>"
    );
    text(
        svg,
        start + length + 6.0,
        baseline,
        class,
        &format!("{seconds:.2} s"),
    );
}

fn draw_notes(svg: &mut String, report: &Report, x: f64, y: f64) {
    let machine = &report.machine;
    let version = |name: &str| {
        let version = machine.versions.get(name).map_or("", String::as_str);
        // Debian's own suffixes say nothing to those who compare.
        let upstream = version.split(['+', '-']).next().unwrap_or(version);
        format!("{name} {upstream}")
    };
    let runs = report.images.iter().flat_map(|image| &image.tools);
    let runs = runs.map(|tool| tool.samples.len()).max().unwrap_or(0);
    let noise = if machine.is_quiet() {
        ""
    } else {
        "; NOT QUIET"
    };
    let lines = [
        format!(
            "wall time, median of {runs}, in turn; {}{noise}",
            machine.date
        ),
        "registry on loopback; each pull on a new ext4 in memory".into(),
        "curl | pigz | tar checks and keeps nothing".into(),
        format!("{} × {}", machine.cores, machine.cpu),
        format!("Linux {}", machine.kernel),
        ["ucr", "crane", "containerd", "podman"]
            .map(version)
            .join(", "),
        ["skopeo", "umoci", "docker.io", "pigz"]
            .map(version)
            .join(", "),
    ];
    text(svg, x + MARGIN, y + 18.0, "head", "Cold pull and unpack");
    for (number, line) in lines.iter().enumerate() {
        text(
            svg,
            x + MARGIN,
            y + 37.0 + number as f64 * 17.0,
            "small",
            line,
        );
    }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>"
    );
}

/// 22229 as 22,229.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
