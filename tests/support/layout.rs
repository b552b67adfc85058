//! OCI image layouts on disk: made here, or found where another tool wrote them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::image::Image;
use super::layer::Blob;
use super::scratch::Scratch;
use super::scripted_registry::ScriptedRegistry;
use super::ucr::children;
use super::{digest, digest_reader};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const LIST_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A directory in the form of the OCI image layout specification.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    /// Owns the directory, when it is ours.
    _scratch: Option<Scratch>,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout {
    /// An empty layout in a directory of its own.
    pub fn new() -> Self {
        let scratch = Scratch::new();
        let path = scratch.join("layout");
        fs::create_dir_all(path.join("blobs/sha256")).expect("blobs/sha256");
        let layout = Self {
            path,
            _scratch: Some(scratch),
        };
        layout.write("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}));
        layout.write_index(&[]);
        layout
    }

    /// A layout which is there already, and stays.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            _scratch: None,
        }
    }

    /// A layout with one image under one tag.
    pub fn of(tag: &str, image: &Image) -> Self {
        let layout = Self::new();
        layout.add(tag, image);
        layout
    }

    /// A registry that serves one image of it under the same tag, and misbehaves as it is told.
    pub fn serve(&self, tag: &str) -> ScriptedRegistry {
        let server = ScriptedRegistry::start();
        for path in children(&self.path.join("blobs/sha256")) {
            server.blob(&fs::read(path).expect("a blob"));
        }
        let digest = self.resolve(tag);
        let media_type = self.json(&digest)["mediaType"].clone();
        let bytes = fs::read(self.blob_path(&digest)).expect("a manifest");
        server.manifest(tag, media_type.as_str().expect("a type"), &bytes);
        server
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How ucr and skopeo name an image of it.
    pub fn reference(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path.display())
    }

    /// Adds an image under a tag; gives the digest of its manifest.
    pub fn add(&self, tag: &str, image: &Image) -> String {
        let descriptor = self.image(image);
        self.tag(tag, descriptor)
    }

    /// Adds an index over several images under a tag (a manifest list, if the first of them is in
    /// Docker's words); gives the digest of the index.
    pub fn add_index(&self, tag: &str, images: &[Image]) -> String {
        let entries = images.iter().map(|image| {
            let mut entry = self.image(image);
            entry["platform"] = image.platform();
            entry
        });
        let docker = images.first().is_some_and(Image::is_docker);
        let media_type = if docker { LIST_TYPE } else { INDEX_TYPE };
        self.tag_index(tag, media_type, entries.collect())
    }

    /// Adds an OCI index over descriptors whose blobs are here, as after [`Layout::copy_from`].
    pub fn add_index_of(&self, tag: &str, manifests: Vec<Value>) -> String {
        self.tag_index(tag, INDEX_TYPE, manifests)
    }

    fn tag_index(&self, tag: &str, media_type: &str, manifests: Vec<Value>) -> String {
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        let descriptor = self.put(&bytes(&index), media_type);
        self.tag(tag, descriptor)
    }

    /// Copies another layout's blobs; gives the descriptors of its index.
    pub fn copy_from(&self, other: &Layout) -> Vec<Value> {
        for entry in fs::read_dir(other.path.join("blobs/sha256")).expect("blobs") {
            let entry = entry.expect("readdir");
            let target = self.path.join("blobs/sha256").join(entry.file_name());
            fs::copy(entry.path(), target).expect("copy a blob");
        }
        other.manifests()
    }

    /// Stores bytes as a blob; gives its descriptor.
    pub fn put(&self, content: &[u8], media_type: &str) -> Value {
        let name = digest(content);
        fs::write(self.blob_path(&name), content).expect("write a blob");
        json!({"mediaType": media_type, "digest": name, "size": content.len()})
    }

    /// The file of a blob.
    pub fn blob_path(&self, digest: &str) -> PathBuf {
        self.path.join("blobs").join(digest.replace(':', "/"))
    }

    /// A JSON blob.
    pub fn json(&self, digest: &str) -> Value {
        let content = fs::read(self.blob_path(digest)).expect("a blob");
        serde_json::from_slice(&content).expect("JSON in a blob")
    }

    /// The digests of the layers of a manifest, lowest first.
    pub fn layer_digests(&self, manifest: &str) -> Vec<String> {
        let manifest = self.json(manifest);
        let layers = manifest["layers"].as_array().expect("layers");
        layers
            .iter()
            .map(|layer| string(&layer["digest"]))
            .collect()
    }

    /// The descriptors in index.json.
    pub fn manifests(&self) -> Vec<Value> {
        let content = fs::read(self.path.join("index.json")).expect("index.json");
        let index: Value = serde_json::from_slice(&content).expect("JSON in index.json");
        index["manifests"].as_array().expect("manifests").clone()
    }

    /// The digest behind a tag.
    pub fn resolve(&self, tag: &str) -> String {
        let found = self
            .manifests()
            .into_iter()
            .find(|entry| entry["annotations"][REF_NAME] == tag);
        string(&found.unwrap_or_else(|| panic!("{tag} in {}", self.path.display()))["digest"])
    }

    /// Writes an image in the form of skopeo's `dir:` transport, which takes Docker's media types
    /// too (`oci:` does not); gives skopeo's name for it.
    pub fn export(&self, tag: &str, directory: &Path) -> String {
        let top = self.resolve(tag);
        let link = |digest: &str, name: &str| {
            let target = directory.join(name);
            let done = fs::hard_link(self.blob_path(digest), &target);
            done.or_else(|_| fs::copy(self.blob_path(digest), &target).map(drop))
                .unwrap_or_else(|error| panic!("export {digest}: {error}"));
        };
        link(&top, "manifest.json");
        for child in self.json(&top)["manifests"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let digest = string(&child["digest"]);
            link(&digest, &format!("{}.manifest.json", hex(&digest)));
        }
        for entry in fs::read_dir(self.path.join("blobs/sha256")).expect("blobs") {
            let name = entry.expect("readdir").file_name();
            let name = name.to_str().expect("the name of a blob");
            link(&format!("sha256:{name}"), name);
        }
        fs::write(
            directory.join("version"),
            "Directory Transport Version: 1.1\n",
        )
        .expect("version");
        format!("dir:{}", directory.display())
    }

    fn image(&self, image: &Image) -> Value {
        let packed = image.pack();
        let config = self.put(&bytes(&image.config(&packed)), image.config_type());
        let layers = packed.into_iter().map(|layer| {
            let media_type = image.layer_type(layer.packing);
            match layer.blob {
                Blob::Bytes(bytes) => self.put(&bytes, media_type),
                Blob::File(file) => self.adopt(&file, media_type),
            }
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": image.manifest_type(),
            "config": config,
            "layers": layers.collect::<Vec<_>>(),
        });
        self.put(&bytes(&manifest), image.manifest_type())
    }

    /// Moves a file in as a blob.
    fn adopt(&self, file: &Path, media_type: &str) -> Value {
        let (name, size) = digest_reader(&mut File::open(file).expect("the file of a blob"));
        fs::rename(file, self.blob_path(&name)).expect("move a blob into the layout");
        json!({"mediaType": media_type, "digest": name, "size": size})
    }

    /// Names a descriptor in index.json; gives its digest.
    pub fn tag(&self, tag: &str, mut descriptor: Value) -> String {
        descriptor["annotations"] = json!({REF_NAME: tag});
        let name = string(&descriptor["digest"]);
        let mut manifests = self.manifests();
        manifests.push(descriptor);
        self.write_index(&manifests);
        name
    }

    /// Gives the image of one tag another tag, which may belong to another image so far.
    pub fn retag(&self, from: &str, to: &str) {
        let mut manifests = self.manifests();
        manifests.retain(|entry| entry["annotations"][REF_NAME] != to);
        for entry in &mut manifests {
            if entry["annotations"][REF_NAME] == from {
                entry["annotations"][REF_NAME] = json!(to);
            }
        }
        self.write_index(&manifests);
    }

    fn write_index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests});
        self.write("index.json", &index);
    }

    fn write(&self, name: &str, value: &Value) {
        fs::write(self.path.join(name), bytes(value)).expect("write into the layout");
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").expect("a sha256 digest")
}
