//! The layers of one pull: fetched and unpacked several at once, committed in order.
//!
//! Of two processes that want the same blob one fetches it: the right to the image is taken first,
//! those to blobs in the order of their digests, so nobody waits in a circle, and whoever gets a right looks first whether the layer
//! has appeared meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Error, Result};

use super::{Origin, Progress};
use crate::error::{self, Fault, Kind, kind};
use crate::image::{ChainId, Descriptor, Digest};
use crate::layer::{Expect, Limits, Unpacked, settle, unpack};
use crate::registry::BlobReader;
use crate::store::{Ingest, LayerRecord, Patience, SPOOL_FROM, Staging, Store};

/// Layers unpacked at once. Two cores inflate and write; a third hides the network's round trips.
const PARALLEL: usize = 3;

/// The layers of an image, all three lists bottom first and of one length.
pub(super) struct Job<'a> {
    pub(super) layers: &'a [Descriptor],
    pub(super) diff_ids: &'a [Digest],
    pub(super) chain: &'a [ChainId],
    pub(super) limits: &'a Limits,
    pub(super) deadline: Option<Instant>,
}

/// A blob to fetch, and the places in the image where it is a layer.
struct Fetch {
    ingest: Ingest,
    places: Vec<usize>,
}

/// Whom to ask for a blob.
#[derive(Clone, Copy)]
enum Trust {
    /// Mirrors first, if there are any.
    Mirrors,
    /// Only the place that the image's name says.
    RegistryOnly,
}

/// A layer that is unpacked, but not yet on its parents.
struct Staged {
    staging: Staging,
    unpacked: Unpacked,
}

/// Brings every missing layer into the store.
pub(super) fn fetch(
    store: &Store,
    origin: &dyn Origin,
    job: &Job,
    progress: &dyn Progress,
) -> Result<()> {
    let fetches = rights(store, job, progress)?;
    let workers = PARALLEL.min(fetches.len());
    let crew = Crew {
        store,
        origin,
        job,
        progress,
        queue: Mutex::new(fetches.into()),
        staged: Mutex::new(job.layers.iter().map(|_| None).collect()),
        spent: Mutex::default(),
        failure: Mutex::new(None),
        stop: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| crew.work());
        }
    });
    if let Some(error) = into_inner(crew.failure) {
        return Err(error);
    }
    commit(store, job, into_inner(crew.staged), progress)
}

/// Takes the right to fetch each missing blob; waits for other processes where it must.
fn rights(store: &Store, job: &Job, progress: &dyn Progress) -> Result<Vec<Fetch>> {
    let mut wanted: BTreeMap<&Digest, Vec<usize>> = BTreeMap::new();
    for (place, layer) in job.layers.iter().enumerate() {
        if store.has_layer(&job.chain[place]) {
            progress.present(layer);
        } else {
            wanted.entry(&layer.digest).or_default().push(place);
        }
    }
    let mut fetches = Vec::new();
    for (blob, mut places) in wanted {
        let take = |patience| store.ingest(blob, patience);
        let ingest = right(take, blob, job.deadline, progress)?;
        places.retain(|place| {
            let here = store.has_layer(&job.chain[*place]);
            if here {
                progress.present(&job.layers[*place]);
            }
            !here
        });
        if !places.is_empty() {
            fetches.push(Fetch { ingest, places });
        }
    }
    fetches.sort_by_key(|fetch| fetch.places.first().copied());
    Ok(fetches)
}

/// Takes the right to pull an image, before any right to a blob.
pub(super) fn image_right(
    store: &Store,
    config: &Digest,
    deadline: Option<Instant>,
    progress: &dyn Progress,
) -> Result<Ingest> {
    let take = |patience| store.ingest_image(config, patience);
    right(take, config, deadline, progress)
}

/// Takes a right, and says so when that means waiting.
fn right(
    take: impl Fn(Patience) -> Result<Option<Ingest>>,
    blob: &Digest,
    deadline: Option<Instant>,
    progress: &dyn Progress,
) -> Result<Ingest> {
    if let Some(ingest) = take(Patience::Try)? {
        return Ok(ingest);
    }
    progress.note(&format!(
        "another ucr is fetching {}; waiting for it",
        blob.short()
    ));
    take(deadline.map_or(Patience::Wait, Patience::Until))?.ok_or_else(|| {
        let message = format!(
            "waiting for the ucr that fetches {} took longer than allowed",
            blob.short()
        );
        Fault::new(Kind::Network, message)
            .hint("allow more time with --pull-timeout")
            .into()
    })
}

/// What the workers of one pull share.
struct Crew<'a> {
    store: &'a Store,
    origin: &'a dyn Origin,
    job: &'a Job<'a>,
    progress: &'a dyn Progress,
    queue: Mutex<VecDeque<Fetch>>,
    /// By place in the image.
    staged: Mutex<Vec<Option<Staged>>>,
    /// Held until the layers have their names: whoever waits for a right finds them then.
    spent: Mutex<Vec<Ingest>>,
    failure: Mutex<Option<Error>>,
    stop: AtomicBool,
}

impl Crew<'_> {
    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(fetch) = lock(&self.queue).pop_front() else {
                return;
            };
            if let Err(error) = self.layer(fetch) {
                // The first failure is the cause; those after it are mostly "stopped".
                lock(&self.failure).get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn layer(&self, mut fetch: Fetch) -> Result<()> {
        let [first, others @ ..] = fetch.places.as_slice() else {
            return Ok(());
        };
        let layer = &self.job.layers[*first];
        self.progress.started(layer);
        let spool = layer.size >= SPOOL_FROM || !others.is_empty();
        let staged = self
            .bring(*first, &mut fetch.ingest, spool)
            .with_context(|| format!("layer {}", layer.digest))?;
        let mut done = vec![(*first, staged)];
        for place in others {
            let staged = self.unpack(*place, fetch.ingest.partial()?)?;
            done.push((*place, staged));
        }
        self.progress.finished(layer);
        let mut staged = lock(&self.staged);
        for (place, layer) in done {
            staged[place] = Some(layer);
        }
        lock(&self.spent).push(fetch.ingest);
        Ok(())
    }

    /// Unpacks a layer from its origin. What an earlier try left may be wrong, and so may a mirror:
    /// a digest that does not match is tried once more, from the start and from the real registry.
    fn bring(&self, place: usize, ingest: &mut Ingest, spool: bool) -> Result<Staged> {
        let layer = &self.job.layers[place];
        let here = if spool { ingest.resumable()? } else { 0 };
        let here = if here <= layer.size { here } else { 0 };
        let result = match self.attempt(place, ingest, spool.then_some(here), Trust::Mirrors) {
            Err(error)
                if kind(&error) == Kind::Integrity && (here > 0 || self.origin.has_mirrors()) =>
            {
                let what = error::render(&error);
                self.progress
                    .note(&format!("{what}; fetching it again from the start"));
                self.attempt(place, ingest, spool.then_some(0), Trust::RegistryOnly)
            }
            result => result,
        };
        if let Err(error) = &result
            && layer.size >= SPOOL_FROM
            && matches!(
                kind(error),
                Kind::Network | Kind::Interrupted | Kind::NoSpace
            )
        {
            ingest.keep_partial();
        }
        result
    }

    /// Reads the first bytes from what is kept and the others from the origin; keeps those too if
    /// `kept` says how many there are.
    fn attempt(
        &self,
        place: usize,
        ingest: &Ingest,
        kept: Option<u64>,
        trust: Trust,
    ) -> Result<Staged> {
        let layer = &self.job.layers[place];
        let here = kept.unwrap_or(0);
        let file = ingest.partial()?;
        file.set_len(here)?;
        self.progress.advanced(layer, here);
        let rest: Box<dyn Read> = match trust {
            _ if here > 0 && here == layer.size => Box::new(io::empty()),
            Trust::Mirrors => self.origin.blob(layer, here)?,
            Trust::RegistryOnly => self.origin.blob_past_mirrors(layer)?,
        };
        let spool = kept
            .map(|position| file.try_clone().map(|file| (file, position)))
            .transpose()?;
        let watched = Watched {
            rest,
            spool,
            layer,
            crew: self,
        };
        self.unpack(place, file.take(here).chain(watched))
            .map_err(|error| {
                // A fault of the network crosses `Read` inside an I/O error.
                match error.downcast::<io::Error>() {
                    Ok(io) => BlobReader::recover(io),
                    Err(error) => error,
                }
            })
    }

    fn unpack(&self, place: usize, blob: impl Read) -> Result<Staged> {
        let layer = &self.job.layers[place];
        let staging = self.store.stage()?;
        let expect = Expect {
            blob: &layer.digest,
            size: layer.size,
            diff_id: &self.job.diff_ids[place],
        };
        let unpacked = unpack(blob, &expect, staging.root(), self.job.limits)?;
        for warning in &unpacked.warnings {
            self.progress
                .note(&format!("layer {}: {warning}", layer.digest.short()));
        }
        Ok(Staged { staging, unpacked })
    }
}

/// A panic of another worker has already decided the pull's fate; the data is still sound.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Bytes on their way from the origin: counted, kept if the layer is large, stopped when another
/// layer has failed.
struct Watched<'a> {
    rest: Box<dyn Read + 'a>,
    /// Where the bytes are kept, and how many are there.
    spool: Option<(File, u64)>,
    layer: &'a Descriptor,
    crew: &'a Crew<'a>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.crew.stop.load(Ordering::Relaxed) {
            let why = "stopped, because another layer failed";
            return Err(io::Error::other(Fault::new(Kind::Interrupted, why)));
        }
        let read = self.rest.read(buffer)?;
        if let Some((spool, position)) = &mut self.spool {
            // By position: reading the kept part moves the file's own.
            spool.write_all_at(&buffer[..read], *position)?;
            *position += read as u64;
        }
        self.crew.progress.advanced(self.layer, read as u64);
        Ok(read)
    }
}

/// Puts the staged layers on their parents, makes everything durable at once, and names them.
fn commit(
    store: &Store,
    job: &Job,
    staged: Vec<Option<Staged>>,
    progress: &dyn Progress,
) -> Result<()> {
    if staged.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut parents = Vec::new();
    let mut ready = Vec::new();
    for (place, staged) in staged.into_iter().enumerate() {
        let chain = &job.chain[place];
        let Some(Staged { staging, unpacked }) = staged else {
            parents.insert(0, store.open_layer(chain)?);
            continue;
        };
        let record = LayerRecord {
            diff_id: job.diff_ids[place].clone(),
            parent: place.checked_sub(1).map(|below| job.chain[below].clone()),
            blob: job.layers[place].digest.clone(),
            unpacked_size: unpacked.bytes,
            entries: unpacked.entries,
        };
        let warnings = settle(unpacked, staging.root(), &parents)
            .with_context(|| format!("layer {}", record.blob))?;
        for warning in warnings {
            progress.note(&format!("layer {}: {warning}", record.blob.short()));
        }
        staging.describe(&record)?;
        parents.insert(0, staging.reopen()?);
        ready.push((chain, staging));
    }
    store.sync()?;
    for (chain, staging) in ready {
        store.commit_layer(staging, chain)?;
    }
    store.sync_layers()
}
