//! Volumes of Docker's drivers beside each other.

use std::collections::BTreeSet;

use crate::frontend::marathon::app::{External, VolumeKind};
use crate::frontend::marathon::read::{DRIVER, Moved, Sink, step};

/// All rules.
pub fn check(moved: &Moved, sink: &Sink) {
    let volumes = moved.volumes.iter().zip(moved.app.volumes());
    let externals: Vec<(usize, &External)> = volumes
        .filter_map(|(index, volume)| match &volume.kind {
            VolumeKind::External(external) => Some((*index, external)),
            _ => None,
        })
        .collect();
    let Some((_, first)) = externals.first() else {
        return;
    };
    if moved.app.instances > 1 {
        let text = "an app with external volumes has one instance at most";
        sink.add("/instances", "E:external-instances", text);
    }
    let mut names = BTreeSet::new();
    for (index, external) in &externals {
        let path = format!("/container/volumes({index})/external");
        if external.options.get(DRIVER) != first.options.get(DRIVER) {
            let text = "a container has one volume driver, and this is another";
            sink.add(&path, "E:volume-driver-mixed", text);
        }
        if !names.insert(&external.name) && !external.shared {
            let text = format!("the volume '{}' is there twice", step(&external.name));
            sink.add(path, "E:external-name-dup", text);
        }
    }
}
