//! VERB 1: reference → image in the store.
//!
//! Resolve the name to a manifest, choose the platform, read the configuration, then fetch and
//! unpack the missing layers, several at once, each into a staging directory of its own (design
//! D4). When all are there they are settled on their parents in order, synced once, named in
//! order, and last of all the image's name is written. Until then nobody sees anything; after a
//! `kill -9` the next command sweeps what was staged.

mod fetch;
mod incoming;
mod origin;
mod progress;
mod publish;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::engine;
use crate::error::{Fault, Kind, kind};
use crate::image::{
    Descriptor, Digest, Document, ImageConfig, Manifest, Platform, Raw, chain_ids, choose_platform,
    is_layer,
};
use crate::layer::Limits;
use crate::registry;
use crate::source::ImageName;
use crate::store::{Durability, Image, ImageRecord, Store};
use crate::sys;
use crate::sys::mount::MAX_LAYERS;

pub use origin::{Origin, Peek};
pub use progress::Progress;

/// Deepest nesting of indexes that is followed.
const MAX_INDEX_DEPTH: usize = 3;

/// When to look at the origin although the image may be here already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Ask for the manifest every time; fetch what is missing.
    Always,
    /// Only if the image is not here.
    Missing,
    /// Fetch if the origin has another one; use what is here if the origin cannot be reached.
    Newer,
    /// Never; the image must be here.
    Never,
}

/// What to pull, and how.
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Request<'a> {
    /// The image.
    pub name: &'a ImageName,
    /// The platform to choose.
    pub platform: &'a Platform,
    /// When to ask the origin.
    pub policy: Policy,
    /// What a layer may contain at most.
    pub limits: &'a Limits,
    /// When to stop waiting: for another process that fetches the same, as for a registry.
    pub deadline: Option<Instant>,
    /// Whether to wait until the layers are on the disk.
    pub durability: Durability,
    /// How to talk to registries. Taken only when one is asked.
    pub registry: &'a dyn Fn() -> Result<registry::Options>,
    /// Which Docker Engine is meant. Taken only when one is asked.
    pub engine: &'a dyn Fn() -> engine::Environment,
}

/// Pulls an image, or finds it in the store if the policy allows. Idempotent; concurrent pulls of
/// one image fetch every layer once.
pub fn pull(store: &Store, request: &Request, progress: &dyn Progress) -> Result<Image> {
    let found = local(store, request.name, request.platform)?;
    let image = match (request.policy, found) {
        (Policy::Missing | Policy::Never, Some(image)) => return Ok(image),
        (Policy::Never, None) => return Err(not_here(request.name)),
        (Policy::Newer, Some(image)) => newer(store, request, progress, image),
        (_, _) => from_origin(store, request, progress),
    };
    image
        .map_err(|error| match kind(&error) {
            // Which of this machine's disks it is.
            Kind::NoSpace => error.context(format!("store {}", store.root().display())),
            _ => error,
        })
        .with_context(|| format!("pull {}", request.name))
}

/// Says that an image is not in the store.
pub fn not_here(name: &ImageName) -> anyhow::Error {
    Fault::new(Kind::NotFound, format!("image {name} is not in the store"))
        .hint("pull it, or choose another --policy")
        .into()
}

/// The image as it is in the store, if it is there completely and for this platform. No network.
pub fn local(store: &Store, name: &ImageName, platform: &Platform) -> Result<Option<Image>> {
    let Some(record) = store.image(&name.to_string())? else {
        return Ok(None);
    };
    // An image without an index may say that it is for a newer variant than was asked for; it was
    // accepted when it was pulled.
    let fits = platform.rank(&record.platform).is_some()
        || platform.variant().is_none() && is_for(&record.platform, platform);
    if fits {
        store.open_image(record)
    } else {
        Ok(None)
    }
}

fn newer(store: &Store, request: &Request, progress: &dyn Progress, image: Image) -> Result<Image> {
    match from_origin(store, request, progress) {
        Err(error) if matches!(kind(&error), Kind::Network | Kind::NotFound | Kind::Kernel) => {
            progress.note(&format!(
                "{} cannot be asked, so the image of the store is used: {}",
                request.name,
                crate::error::render(&error)
            ));
            Ok(image)
        }
        result => result,
    }
}

/// A name followed down to one image's manifest.
struct Narrowed {
    index: Option<Raw>,
    manifest_raw: Raw,
    manifest: Manifest,
}

fn from_origin(store: &Store, request: &Request, progress: &dyn Progress) -> Result<Image> {
    if !sys::is_root() {
        return Err(Fault::new(Kind::Unsupported, "unpacking layers needs root")
            .hint("run ucr as root")
            .into());
    }
    let origin = origin::open(store, request)?;
    let known = local(store, request.name, request.platform)?;
    if let Some(image) = &known
        && is_current(&*origin, &image.record)?
    {
        return Ok(image.clone());
    }
    let narrowed = narrow(&*origin, origin.top()?, request.platform)?;
    if let Some(image) = known
        && &image.record.manifest_digest == narrowed.manifest_raw.digest()
    {
        // Nothing to do, and nobody to wait for.
        return Ok(image);
    }
    fetch_all(store, &*origin, request, narrowed, progress)
}

fn fetch_all(
    store: &Store,
    origin: &dyn Origin,
    request: &Request,
    narrowed: Narrowed,
    progress: &dyn Progress,
) -> Result<Image> {
    // From here on a prune waits for us, and so does whoever pulls the same image: it finds
    // everything here when we are done.
    let _shared = store.lock_shared()?;
    let config_digest = &narrowed.manifest.config.digest;
    let _right = fetch::image_right(store, config_digest, request.deadline, progress)?;
    let config_raw = configuration(origin, store, &narrowed.manifest.config)?;
    let config = ImageConfig::parse(config_raw.bytes())?;
    check_platform(&config.platform, request.platform)?;
    check_layers(&narrowed.manifest, &config.diff_ids)?;
    let layers = chain_ids(&config.diff_ids);
    sys::process::allow_many_descriptors();
    let job = fetch::Job {
        layers: &narrowed.manifest.layers,
        diff_ids: &config.diff_ids,
        chain: &layers,
        limits: request.limits,
        deadline: request.deadline,
        durability: request.durability,
    };
    let (ready, _rights) = fetch::fetch(store, origin, &job, progress)?;
    let mut documents = Vec::new();
    for raw in narrowed
        .index
        .iter()
        .chain([&config_raw, &narrowed.manifest_raw])
    {
        documents.extend(store.stage_blob(raw)?);
    }
    let record = record(request, origin, &narrowed, &config);
    let image = store.stage_image(&record)?;
    publish::publish(store, ready, documents, image)?;
    Ok(Image {
        record,
        config,
        layers,
    })
}

/// Whether the origin still has what a name stands for here. A question without a body: Docker Hub
/// does not count it as a pull.
fn is_current(origin: &dyn Origin, record: &ImageRecord) -> Result<bool> {
    match origin.peek() {
        Ok(Some(Peek::Top(digest))) => {
            Ok(digest == record.manifest_digest || Some(&digest) == record.index_digest.as_ref())
        }
        Ok(Some(Peek::Configuration(digest))) => Ok(digest == record.config_digest),
        Ok(None) => Ok(false),
        Err(error) if kind(&error) == Kind::Network => Err(error),
        // The real request says why in words.
        Err(_) => Ok(false),
    }
}

fn record(
    request: &Request,
    origin: &dyn Origin,
    narrowed: &Narrowed,
    config: &ImageConfig,
) -> ImageRecord {
    ImageRecord {
        name: request.name.to_string(),
        index_digest: narrowed.index.as_ref().map(|raw| raw.digest().clone()),
        manifest_digest: narrowed.manifest_raw.digest().clone(),
        config_digest: narrowed.manifest.config.digest.clone(),
        platform: config.platform.clone(),
        source: origin.describe(),
        size: narrowed
            .manifest
            .layers
            .iter()
            .fold(0, |sum, layer| sum.saturating_add(layer.size)),
        pulled_at: sys::now(),
    }
}

/// Follows indexes down to the manifest for a platform; keeps the outermost index.
fn narrow(origin: &dyn Origin, top: Raw, platform: &Platform) -> Result<Narrowed> {
    let mut outermost = None;
    let mut raw = top;
    for _ in 0..=MAX_INDEX_DEPTH {
        match raw.parse()? {
            Document::Image(manifest) => {
                return Ok(Narrowed {
                    index: outermost,
                    manifest_raw: raw,
                    manifest,
                });
            }
            Document::Index(index) => {
                let next = choose_platform(&index, platform)?.digest.clone();
                let below = origin.document(&next)?;
                outermost.get_or_insert(raw);
                raw = below;
            }
        }
    }
    let message = format!("indexes are nested more than {MAX_INDEX_DEPTH} deep");
    Err(Fault::new(Kind::Registry, message).into())
}

fn configuration(origin: &dyn Origin, store: &Store, config: &Descriptor) -> Result<Raw> {
    let raw = match store.sound_blob(&config.digest)? {
        Some(raw) => raw,
        None => {
            let bytes = origin.small_blob(config).context("image configuration")?;
            Raw::verified(bytes, None, &config.digest).context("image configuration")?
        }
    };
    // Files of this machine are read without regard to the size that a descriptor says.
    let (size, found) = (config.size, raw.bytes().len());
    if found as u64 != size {
        let message = format!("blob {}: {found} bytes long, not {size}", config.digest);
        return Err(Fault::new(Kind::Integrity, message)).context("image configuration");
    }
    Ok(raw)
}

/// Without an index an image has one platform, and it must be the wanted one: it would be stored,
/// started, and fail there. The variant is left to the kernel. Fails with [`Kind::Platform`].
pub fn check_platform(found: &Platform, wanted: &Platform) -> Result<()> {
    if is_for(found, wanted) {
        return Ok(());
    }
    Err(Fault::new(
        Kind::Platform,
        format!("the image is for {found}, not for {wanted}"),
    )
    .hint(format!("pull it all the same with --platform {found}"))
    .into())
}

fn is_for(found: &Platform, wanted: &Platform) -> bool {
    found.os() == wanted.os() && found.architecture() == wanted.architecture()
}

fn check_layers(manifest: &Manifest, diff_ids: &[Digest]) -> Result<()> {
    let count = manifest.layers.len();
    if count > MAX_LAYERS {
        let message =
            format!("the image has {count} layers; the kernel's overlay stacks {MAX_LAYERS}");
        return Err(Fault::new(Kind::Limit, message)
            .hint("build it again with fewer layers, or squash them")
            .into());
    }
    if count != diff_ids.len() {
        let ids = diff_ids.len();
        let message = format!("the manifest has {count} layers, the configuration {ids} diff IDs");
        return Err(Fault::new(Kind::Integrity, message).into());
    }
    match manifest
        .layers
        .iter()
        .find(|layer| !is_layer(&layer.media_type))
    {
        None => Ok(()),
        Some(layer) => {
            let message = format!(
                "layer {}: unknown media type {}",
                layer.digest, layer.media_type
            );
            Err(Fault::new(Kind::Unsupported, message).into())
        }
    }
}
