//! All results of a run, and what follows from them. Kept as JSON.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cell::Sample;
use crate::image::Image;
use crate::machine::Machine;
use crate::tool::Tool;
use crate::trace::Calls;

/// A run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where and with what.
    pub machine: Machine,
    /// Each image with its results.
    pub images: Vec<ImageResult>,
}

/// An image and what became of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImageResult {
    /// The image.
    pub image: Image,
    /// Each tool that was measured.
    pub tools: Vec<ToolResult>,
    /// The system calls of one pull by ucr.
    pub calls: Option<Calls>,
    /// What is drawn from the rest, for those who read the JSON.
    pub ratios: Option<Ratios>,
}

/// A tool on an image.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToolResult {
    /// Who.
    pub tool: Tool,
    /// The median of each field by itself.
    pub median: Sample,
    /// All of them, in the order in which they were taken.
    pub samples: Vec<Sample>,
    /// Peak memory in KiB, daemon included.
    pub peak_kib: Option<u64>,
}

/// ucr against the rest, medians of wall time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ratios {
    /// The fastest peer.
    pub best_peer: Option<Tool>,
    /// ucr's time divided by its.
    pub peer: Option<f64>,
    /// The same with both synced; the best peer may be another one.
    pub peer_synced: Option<f64>,
    /// ucr's time divided by the floor's.
    pub floor: Option<f64>,
    /// The same with both synced.
    pub floor_synced: Option<f64>,
}

impl Report {
    /// Nothing has been measured yet.
    pub fn new(machine: Machine, images: Vec<Image>, tools: &[Tool]) -> Self {
        let images = images.into_iter().map(|image| ImageResult {
            image,
            tools: tools.iter().copied().map(ToolResult::new).collect(),
            calls: None,
            ratios: None,
        });
        Self {
            machine,
            images: images.collect(),
        }
    }

    /// Those that are measured.
    pub fn tools(&self) -> Vec<Tool> {
        let first = self.images.first();
        first.map_or_else(Vec::new, |image| {
            image.tools.iter().map(|result| result.tool).collect()
        })
    }

    /// The image that is pulled soonest.
    pub fn smallest(&self) -> &Image {
        let images = self.images.iter().map(|result| &result.image);
        images.min_by_key(|image| image.size()).expect("an image")
    }

    /// What `write` has written.
    pub fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes it as JSON.
    pub fn write(&mut self, path: &Path) {
        for image in &mut self.images {
            image.ratios = image.ratios();
        }
        let mut text = serde_json::to_string_pretty(self).expect("it is JSON");
        text.push('\n');
        let parent = path.parent().expect("a file");
        fs::create_dir_all(parent).expect("make the directory of the results");
        fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl ImageResult {
    /// A tool's results, if it was measured.
    pub fn of(&self, tool: Tool) -> Option<&ToolResult> {
        self.tools.iter().find(|result| result.tool == tool)
    }

    /// The same, to add to.
    pub fn of_mut(&mut self, tool: Tool) -> &mut ToolResult {
        let mut tools = self.tools.iter_mut();
        tools
            .find(|result| result.tool == tool)
            .expect("a tool that is measured")
    }

    /// ucr against the rest; nothing without ucr.
    pub fn ratios(&self) -> Option<Ratios> {
        let ucr = self.of(Tool::Ucr)?.median;
        let best = |time: fn(&Sample) -> f64| {
            let peers = self.tools.iter().filter(|result| result.tool.is_peer());
            peers.min_by(|a, b| time(&a.median).total_cmp(&time(&b.median)))
        };
        let (peer, peer_synced) = (best(|s| s.seconds), best(|s| s.synced));
        let floor = self.of(Tool::Floor);
        Some(Ratios {
            best_peer: peer.map(|peer| peer.tool),
            peer: peer.map(|peer| ucr.seconds / peer.median.seconds),
            peer_synced: peer_synced.map(|peer| ucr.synced / peer.median.synced),
            floor: floor.map(|floor| ucr.seconds / floor.median.seconds),
            floor_synced: floor.map(|floor| ucr.synced / floor.median.synced),
        })
    }
}

impl ToolResult {
    fn new(tool: Tool) -> Self {
        Self {
            tool,
            median: Sample::default(),
            samples: Vec::new(),
            peak_kib: None,
        }
    }

    /// Adds a measurement.
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
        self.median = median(&self.samples);
    }
}

fn median(samples: &[Sample]) -> Sample {
    let of = |field: fn(&Sample) -> f64| {
        let mut values: Vec<_> = samples.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
        f64::midpoint(values[low], values[high])
    };
    Sample {
        seconds: of(|s| s.seconds),
        synced: of(|s| s.synced),
        user: of(|s| s.user),
        system: of(|s| s.system),
        registry_cpu: of(|s| s.registry_cpu),
        kib: of(|s| s.kib as f64) as u64,
        inodes: of(|s| s.inodes as f64) as u64,
    }
}
