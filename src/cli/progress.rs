//! Progress of a pull: bars on a terminal, a line per layer elsewhere, nothing with `-q`.

use std::collections::HashMap;
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::context::Context;
use super::output;
use crate::error::escape;
use crate::image::{Descriptor, Digest};
use crate::pull::Progress;

/// Redraws per second.
const RATE: u8 = 10;

/// Shows a pull on stderr.
pub(super) struct Display {
    bars: Option<Bars>,
    quiet: bool,
    verbose: bool,
}

struct Bars {
    all: MultiProgress,
    by_layer: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Display {
    pub(super) fn new(context: &Context) -> Self {
        let dumb = super::environment::variable("TERM").is_none_or(|term| term == "dumb");
        let draws = stderr().is_terminal() && !dumb && !context.is_quiet();
        let bars = draws.then(|| Bars {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE)),
            by_layer: Mutex::default(),
        });
        Self {
            bars,
            quiet: context.is_quiet(),
            verbose: context.is_verbose(),
        }
    }

    /// Something that only matters with `-v`.
    pub(super) fn detail(&self, text: &str) {
        if self.verbose {
            self.print("note", text);
        }
    }

    /// Something that is wrong, but does not end the pull.
    pub(super) fn warn(&self, text: &str) {
        self.print("warning", text);
    }

    /// Why nothing seems to happen.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            self.print("pull", text);
        }
    }

    /// Above the bars, if there are any.
    fn print(&self, kind: &str, text: &str) {
        match &self.bars {
            // A terminal that went away is no reason to stop.
            Some(bars) => drop(bars.all.println(format!("ucr: {kind}: {}", escape(text)))),
            None => output::remark(kind, text),
        }
    }

    fn with_bar(&self, layer: &Descriptor, act: impl FnOnce(&ProgressBar)) {
        let Some(bars) = &self.bars else { return };
        let mut by_layer = bars
            .by_layer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = by_layer.entry(layer.digest.clone()).or_insert_with(|| {
            bars.all.add(
                ProgressBar::new(layer.size)
                    .with_style(style())
                    .with_prefix(layer.digest.short().to_owned()),
            )
        });
        act(bar);
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix} [{wide_bar}] {binary_bytes:>10}/{binary_total_bytes:10} {binary_bytes_per_sec:>12} {msg}";
    // The template is a constant; if it were wrong, indicatif's own bar would do.
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Progress for Display {
    fn present(&self, layer: &Descriptor) {
        self.detail(&format!("layer {} is present", layer.digest.short()));
    }

    fn started(&self, layer: &Descriptor) {
        self.with_bar(layer, |_| ());
    }

    fn resumed(&self, layer: &Descriptor, bytes: u64) {
        self.with_bar(layer, |bar| bar.set_position(bytes));
    }

    fn advanced(&self, layer: &Descriptor, bytes: u64) {
        self.with_bar(layer, |bar| bar.inc(bytes));
    }

    fn finished(&self, layer: &Descriptor) {
        match &self.bars {
            Some(_) => self.with_bar(layer, |bar| bar.finish_with_message("done")),
            None => {
                let size = output::size(layer.size);
                self.say(&format!(
                    "layer {} fetched and unpacked, {size}",
                    layer.digest.short()
                ));
            }
        }
    }

    fn note(&self, text: &str) {
        self.say(text);
    }
}
