//! Archives as `docker save` and its like write them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::digest;
use super::image::Image;
use super::layer::Blob;
use super::raw_tar::RawTar;

/// Whose way of writing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Docker up to 24: `ID/layer.tar`, and a symbolic link for a layer that was there before.
    Docker20,
    /// Docker from 25 on: an OCI layout beside `manifest.json`.
    Docker25,
    /// podman, skopeo and buildah: `DIFFID.tar`.
    Podman,
    /// crane and kaniko: `sha256:CONFIG` and layers as they are on the registry, `BLOB.tar.gz`.
    Crane,
}

/// All of them.
pub const FORMS: [Form; 4] = [Form::Docker20, Form::Docker25, Form::Podman, Form::Crane];

/// An archive that is being put together.
#[derive(Clone, Debug, Default)]
pub struct DockerArchive {
    tar: RawTar,
    items: Vec<Value>,
    /// Member of each blob that is there.
    written: BTreeMap<String, String>,
}

impl DockerArchive {
    /// Without an image.
    pub fn new() -> Self {
        Self::default()
    }

    /// An archive of one image.
    pub fn of(form: Form, tag: &str, image: &Image) -> Vec<u8> {
        Self::new().add(form, &[tag], image).bytes()
    }

    /// Adds an image with its tags.
    #[must_use]
    pub fn add(mut self, form: Form, tags: &[&str], image: &Image) -> Self {
        let packed = image.pack();
        let config = serde_json::to_vec(&image.config(&packed)).expect("JSON");
        let name = config_name(form, &digest(&config));
        self.tar = self.tar.file(&name, config);
        let mut layers = Vec::new();
        for (place, layer) in packed.iter().enumerate() {
            let Blob::Bytes(bytes) = &layer.blob else {
                panic!("a layer in memory");
            };
            let name = self.layer(form, place, bytes, &layer.diff_id);
            layers.push(name);
        }
        let tags = (!tags.is_empty()).then_some(tags);
        self.items
            .push(json!({"Config": name, "RepoTags": tags, "Layers": layers}));
        self
    }

    fn layer(&mut self, form: Form, place: usize, bytes: &[u8], diff_id: &str) -> String {
        let blob = digest(bytes);
        let id = digest(format!("{place} {} {blob}", self.items.len()).as_bytes());
        let name = match form {
            Form::Docker20 => format!("{}/layer.tar", hex(&id)),
            Form::Docker25 => format!("blobs/{}", blob.replace(':', "/")),
            Form::Podman => format!("{}.tar", hex(diff_id)),
            Form::Crane => format!("{}.tar.gz", hex(&blob)),
        };
        let tar = std::mem::take(&mut self.tar);
        self.tar = match self.written.get(&blob) {
            Some(_) if form != Form::Docker20 => tar,
            Some(first) => tar.symlink(&name, &format!("../{first}")),
            None => tar.file(&name, bytes),
        };
        self.written.entry(blob).or_insert(name.clone());
        name
    }

    /// Anything else, at its place.
    #[must_use]
    pub fn with(mut self, more: impl FnOnce(RawTar) -> RawTar) -> Self {
        self.tar = more(self.tar);
        self
    }

    /// Changes the list of images.
    #[must_use]
    pub fn listing(mut self, change: impl FnOnce(&mut Vec<Value>)) -> Self {
        change(&mut self.items);
        self
    }

    /// The archive, `manifest.json` last, as docker has it.
    pub fn bytes(self) -> Vec<u8> {
        let list = serde_json::to_vec(&self.items).expect("JSON");
        self.tar.file("manifest.json", list).bytes()
    }
}

fn config_name(form: Form, config: &str) -> String {
    match form {
        Form::Docker20 | Form::Podman => format!("{}.json", hex(config)),
        Form::Docker25 => format!("blobs/{}", config.replace(':', "/")),
        Form::Crane => config.to_owned(),
    }
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").expect("a sha256 digest")
}
