//! Images: layers, a configuration and a platform, in OCI's or Docker's words.

use serde_json::{Map, Value, json};

use super::layer::{Layer, Packed, Packing};

/// An image that is being put together.
#[derive(Clone, Debug)]
pub struct Image {
    layers: Vec<Layer>,
    config: Map<String, Value>,
    architecture: String,
    variant: Option<String>,
    docker: bool,
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    /// No layers, linux/amd64, OCI media types, a PATH and nothing else in the configuration.
    pub fn new() -> Self {
        let mut config = Map::new();
        config.insert("Env".into(), json!(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]));
        Self {
            layers: Vec::new(),
            config,
            architecture: "amd64".into(),
            variant: None,
            docker: false,
        }
    }

    /// One more layer, on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// The default command.
    #[must_use]
    pub fn cmd(self, words: &[&str]) -> Self {
        self.set("Cmd", json!(words))
    }

    /// The entry point.
    #[must_use]
    pub fn entrypoint(self, words: &[&str]) -> Self {
        self.set("Entrypoint", json!(words))
    }

    /// The environment, instead of the PATH.
    #[must_use]
    pub fn env(self, variables: &[&str]) -> Self {
        self.set("Env", json!(variables))
    }

    /// The user, as text.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    /// The working directory.
    #[must_use]
    pub fn workdir(self, directory: &str) -> Self {
        self.set("WorkingDir", json!(directory))
    }

    /// Any member of the configuration's `config`.
    #[must_use]
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.into(), value);
        self
    }

    /// Another architecture, and its variant.
    #[must_use]
    pub fn on(mut self, architecture: &str, variant: Option<&str>) -> Self {
        self.architecture = architecture.into();
        self.variant = variant.map(Into::into);
        self
    }

    /// Docker's schema 2 instead of OCI.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// Is it in Docker's words?
    pub fn is_docker(&self) -> bool {
        self.docker
    }

    /// The layers as blobs, lowest first.
    pub fn pack(&self) -> Vec<Packed> {
        self.layers.iter().map(Layer::pack).collect()
    }

    /// The configuration blob.
    pub fn config(&self, packed: &[Packed]) -> Value {
        let diff_ids: Vec<_> = packed.iter().map(|layer| &layer.diff_id).collect();
        let mut config = json!({
            "created": "1843-09-01T00:00:00Z",
            "os": "linux",
            "architecture": self.architecture,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        if let Some(variant) = &self.variant {
            config["variant"] = json!(variant);
        }
        config
    }

    /// The platform, as an index names it.
    pub fn platform(&self) -> Value {
        let mut platform = json!({"os": "linux", "architecture": self.architecture});
        if let Some(variant) = &self.variant {
            platform["variant"] = json!(variant);
        }
        platform
    }

    /// The media type of the manifest.
    pub fn manifest_type(&self) -> &'static str {
        if self.docker {
            "application/vnd.docker.distribution.manifest.v2+json"
        } else {
            "application/vnd.oci.image.manifest.v1+json"
        }
    }

    /// The media type of the configuration.
    pub fn config_type(&self) -> &'static str {
        if self.docker {
            "application/vnd.docker.container.image.v1+json"
        } else {
            "application/vnd.oci.image.config.v1+json"
        }
    }

    /// The media type of a layer. Docker's schema has no zstd; its tools write OCI then.
    pub fn layer_type(&self, packing: Packing) -> &'static str {
        match (self.docker, packing) {
            (true, Packing::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (true, Packing::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
            (_, Packing::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (false, Packing::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (false, Packing::Plain) => "application/vnd.oci.image.layer.v1.tar",
        }
    }
}
