//! All results of a run. Kept as JSON.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::tool::Tool;

/// A run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where and with what.
    pub machine: Machine,
    /// Each tool with its results.
    pub tools: Vec<ToolResult>,
}

/// What the world prints.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// Cores that others kept busy just after.
    pub busy: f64,
    /// Each tool with its results.
    pub tools: Vec<ToolResult>,
}

/// A tool and how it did.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToolResult {
    /// Who.
    pub tool: Tool,
    /// In the order in which they were taken.
    pub samples: Vec<Sample>,
}

/// One start, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// From before it was started until it was waited for, its overlay included.
    pub wall: f64,
    /// Without the overlay, where that is made by the caller.
    pub bare: f64,
    /// Processor time of the command and of those that it waited for; what a daemon does, or what
    /// is left behind, is not counted.
    pub cpu: f64,
}

impl Results {
    /// Nothing has been measured yet.
    pub fn new(tools: &[Tool]) -> Self {
        let result = |tool: &Tool| ToolResult {
            tool: *tool,
            samples: Vec::new(),
        };
        Self {
            busy: 0.0,
            tools: tools.iter().map(result).collect(),
        }
    }
}

impl ToolResult {
    /// This part of all measurements are not longer.
    pub fn quantile(&self, part: f64, field: fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<_> = self.samples.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        let place = part * (values.len() - 1) as f64;
        f64::midpoint(
            values[place.floor() as usize],
            values[place.ceil() as usize],
        )
    }

    /// The median.
    pub fn median(&self, field: fn(&Sample) -> f64) -> f64 {
        self.quantile(0.5, field)
    }
}

impl Report {
    /// A tool's results, if it was measured.
    pub fn of(&self, tool: Tool) -> Option<&ToolResult> {
        self.tools.iter().find(|result| result.tool == tool)
    }

    /// Writes it as JSON.
    pub fn write(&self, path: &Path) {
        let mut text = serde_json::to_string_pretty(self).expect("it is JSON");
        text.push('\n');
        let parent = path.parent().expect("a file");
        fs::create_dir_all(parent).expect("make the directory of the results");
        fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
