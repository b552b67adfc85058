//! The layers of one pull: fetched and unpacked several at once, put on their parents in order.
//!
//! Of two processes that want the same blob one fetches it: the right to the image is taken first,
//! those to blobs in the order of their digests, so nobody waits in a circle, and whoever gets a right looks first whether the layer
//! has appeared meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Error, Result};

use super::incoming::{self, Keep, Pipes, Trust};
use super::publish::Ready;
use super::{Origin, Progress};
use crate::error::{self, Fault, Kind, kind};
use crate::image::{ChainId, Descriptor, Digest};
use crate::layer::{Buffers, Expect, Limits, Unpacked, settle, unpack};
use crate::store::{Durability, Ingest, LayerRecord, Patience, Staging, Store};

/// Layers unpacked at once. Two cores inflate and write; a third hides the network's round trips.
const PARALLEL: usize = 3;

/// The layers of an image, all three lists bottom first and of one length.
pub(super) struct Job<'a> {
    pub(super) layers: &'a [Descriptor],
    pub(super) diff_ids: &'a [Digest],
    pub(super) chain: &'a [ChainId],
    pub(super) limits: &'a Limits,
    pub(super) deadline: Option<Instant>,
    pub(super) durability: Durability,
}

/// A blob to fetch, and the places in the image where it is a layer.
struct Fetch {
    ingest: Ingest,
    places: Vec<usize>,
}

/// A layer that is unpacked, but not yet on its parents.
struct Staged {
    staging: Staging,
    unpacked: Unpacked,
}

/// Fetches, unpacks and settles every missing layer. The rights to them are to be held until the
/// layers have their names: whoever waits for one looks for its layer then.
pub(super) fn fetch<'a>(
    store: &Store,
    origin: &dyn Origin,
    job: &Job<'a>,
    progress: &dyn Progress,
) -> Result<(Ready<'a>, Vec<Ingest>)> {
    let fetches = rights(store, job, progress)?;
    let workers = PARALLEL.min(fetches.len());
    let writeback = store.writeback(job.durability)?;
    let crew = Crew {
        store,
        job,
        pipes: Pipes {
            origin,
            progress,
            writeback: &writeback,
            stop: &AtomicBool::new(false),
        },
        buffers: Buffers::default(),
        queue: Mutex::new(fetches.into()),
        staged: Mutex::new(job.layers.iter().map(|_| None).collect()),
        spent: Mutex::default(),
        failure: Mutex::new(None),
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| crew.work());
        }
    });
    let mut spent = into_inner(crew.spent);
    if let Some(error) = into_inner(crew.failure) {
        if is_passing(&error) {
            let queued = into_inner(crew.queue).into_iter();
            spent.extend(queued.map(|fetch| fetch.ingest));
            spent.iter_mut().for_each(Ingest::keep_partial);
        }
        return Err(error);
    }
    for ingest in &spent {
        // The sync below would write bytes that nobody needs any more.
        ingest.truncate(0)?;
    }
    let staged = into_inner(crew.staged);
    let layers = settle_all(store, job, staged, writeback.durability(), progress)?;
    Ok((Ready { layers, writeback }, spent))
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
    job: &'a Job<'a>,
    pipes: Pipes<'a>,
    buffers: Buffers,
    queue: Mutex<VecDeque<Fetch>>,
    /// By place in the image.
    staged: Mutex<Vec<Option<Staged>>>,
    /// Held until the layers have their names: whoever waits for a right finds them then.
    spent: Mutex<Vec<Ingest>>,
    failure: Mutex<Option<Error>>,
}

impl Crew<'_> {
    fn work(&self) {
        while !self.pipes.stop.load(Ordering::Relaxed) {
            let Some(fetch) = lock(&self.queue).pop_front() else {
                return;
            };
            if let Err(error) = self.layer(fetch) {
                // The first failure is the cause; those after it are mostly "stopped".
                lock(&self.failure).get_or_insert(error);
                self.pipes.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn layer(&self, mut fetch: Fetch) -> Result<()> {
        let [first, others @ ..] = fetch.places.as_slice() else {
            return Ok(());
        };
        let layer = &self.job.layers[*first];
        self.pipes.progress.started(layer);
        // A blob that is two layers is fetched once and unpacked twice.
        let keep = match others {
            [] => Keep::Late,
            _ => Keep::All,
        };
        let staged = self
            .bring(*first, &mut fetch.ingest, keep)
            .with_context(|| format!("layer {}", layer.digest))?;
        let mut done = vec![(*first, staged)];
        for place in others {
            let staged = self.unpack(*place, fetch.ingest.read(0..layer.size)?)?;
            done.push((*place, staged));
        }
        self.pipes.progress.finished(layer);
        let mut staged = lock(&self.staged);
        for (place, layer) in done {
            staged[place] = Some(layer);
        }
        lock(&self.spent).push(fetch.ingest);
        Ok(())
    }

    /// Unpacks a layer from its origin. What an earlier try left may be wrong, and so may a mirror:
    /// a digest that does not match is tried once more, from the start and from the real registry.
    fn bring(&self, place: usize, ingest: &mut Ingest, keep: Keep) -> Result<Staged> {
        let layer = &self.job.layers[place];
        let kept = ingest.kept()?;
        let kept = if kept.end <= layer.size { kept } else { 0..0 };
        // Who was cut once may be cut again.
        let keep = if kept.is_empty() { keep } else { Keep::All };
        let had = !kept.is_empty();
        let result = match self.attempt(place, ingest, (kept, keep), Trust::Mirrors) {
            Err(error)
                if kind(&error) == Kind::Integrity && (had || self.pipes.origin.has_mirrors()) =>
            {
                let what = error::render(&error);
                self.pipes
                    .progress
                    .note(&format!("{what}; fetching it again from the start"));
                self.attempt(place, ingest, (0..0, keep), Trust::RegistryOnly)
            }
            result => result,
        };
        if result.as_ref().is_err_and(is_passing) {
            ingest.keep_partial();
        }
        result
    }

    fn attempt(
        &self,
        place: usize,
        ingest: &Ingest,
        kept: (Range<u64>, Keep),
        trust: Trust,
    ) -> Result<Staged> {
        let layer = &self.job.layers[place];
        let blob = incoming::open(self.pipes, layer, ingest, kept, trust)?;
        self.unpack(place, blob)
    }

    fn unpack(&self, place: usize, blob: impl Read) -> Result<Staged> {
        let layer = &self.job.layers[place];
        let staging = self.store.stage()?;
        let expect = Expect {
            blob: &layer.digest,
            size: layer.size,
            diff_id: &self.job.diff_ids[place],
        };
        let unpacked = unpack(
            blob,
            &expect,
            staging.root(),
            self.job.limits,
            &self.buffers,
        )?;
        for warning in &unpacked.warnings {
            self.pipes
                .progress
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

/// Whether what was fetched so far is worth keeping: neither the bytes nor the image are to blame.
fn is_passing(error: &Error) -> bool {
    matches!(
        kind(error),
        Kind::Network | Kind::Interrupted | Kind::NoSpace
    )
}

/// Puts the staged layers on their parents.
fn settle_all<'a>(
    store: &Store,
    job: &Job<'a>,
    staged: Vec<Option<Staged>>,
    durability: Durability,
    progress: &dyn Progress,
) -> Result<Vec<(&'a ChainId, Staging)>> {
    let mut ready = Vec::new();
    if staged.iter().all(Option::is_none) {
        return Ok(ready);
    }
    let mut parents = Vec::new();
    for (place, staged) in staged.into_iter().enumerate() {
        let chain = &job.chain[place];
        let Some(Staged { staging, unpacked }) = staged else {
            parents.insert(0, store.open_layer(chain)?);
            continue;
        };
        let record = LayerRecord {
            diff_id: job.diff_ids[place].clone(),
            blob: job.layers[place].digest.clone(),
            unpacked_size: unpacked.bytes,
        };
        let warnings = settle(unpacked, staging.root(), &parents)
            .with_context(|| format!("layer {}", record.blob))?;
        for warning in warnings {
            progress.note(&format!("layer {}: {warning}", record.blob.short()));
        }
        staging.describe(&record, durability)?;
        parents.insert(0, staging.reopen()?);
        ready.push((chain, staging));
    }
    Ok(ready)
}
