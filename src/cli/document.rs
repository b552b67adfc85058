//! The JSON documents that `inspect`, `images` and `ps` print. ucr-inspect(1) describes them; a key
//! neither disappears nor changes its type.

use anyhow::{Context as _, Result};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::error::{Fault, Kind};
use crate::image::{Document, ImageConfig, chain_ids};
use crate::provision;
use crate::runtime::native::host_name;
use crate::runtime::{Container, Ended, HealthState, Started};
use crate::spec::{ContainerSpec, Definition, process};
use crate::store::{ImageRecord, RootfsRecord, Store, VolumeRecord};
use crate::sys::process::Exit;

/// RFC 3339, in UTC.
fn time(seconds_since_1970: u64) -> Option<String> {
    let seconds = i64::try_from(seconds_since_1970).ok()?;
    let time = DateTime::from_timestamp(seconds, 0)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The same, from milliseconds.
fn exact_time(milliseconds_since_1970: u64) -> Option<String> {
    let time = DateTime::from_timestamp_millis(i64::try_from(milliseconds_since_1970).ok()?)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// What a name stands for, without looking into the image.
pub(super) fn image_summary(record: &ImageRecord) -> Value {
    json!({
        "kind": "image",
        "name": record.name,
        "index_digest": record.index_digest,
        "manifest_digest": record.manifest_digest,
        "config_digest": record.config_digest,
        "platform": record.platform,
        "source": record.source,
        "size": record.size,
        "pulled_at": time(record.pulled_at),
    })
}

/// An image with its layers, its own configuration as it is, and what `ucr run` would execute:
/// null if the image does not say.
pub(super) fn image(store: &Store, record: &ImageRecord) -> Result<Value> {
    let config_raw = store.blob(&record.config_digest)?;
    let config = ImageConfig::parse(config_raw.bytes())?;
    let Document::Image(manifest) = store.blob(&record.manifest_digest)?.parse()? else {
        return Err(Fault::new(Kind::Store, "the image's manifest is an index").into());
    };
    let chain = chain_ids(&config.diff_ids);
    let layers = manifest.layers.iter().zip(&config.diff_ids).zip(&chain);
    let layers = layers.map(|((layer, diff_id), chain)| {
        let unpacked = store.layer(chain)?;
        Ok(json!({
            "digest": layer.digest,
            "media_type": layer.media_type,
            "size": layer.size,
            "diff_id": diff_id,
            "chain_id": chain,
            "unpacked_size": unpacked.map(|layer| layer.unpacked_size),
        }))
    });
    let mut document = image_summary(record);
    document["chain_id"] = json!(chain.last());
    document["layers"] = layers.collect::<Result<Vec<_>>>().context("layers")?.into();
    document["config"] = serde_json::from_slice(config_raw.bytes())?;
    document["run"] = run(record, &config)?;
    Ok(document)
}

fn run(record: &ImageRecord, config: &ImageConfig) -> Result<Value> {
    let spec = ContainerSpec {
        image: record.name.clone(),
        ..ContainerSpec::default()
    };
    let process = process(&spec, config, &host_name()).ok();
    Ok(json!(process.map(|process| json!({
        "argv": process.argv,
        "env": process.env,
        "workdir": process.working_dir,
        "user": process.user.unwrap_or_else(|| "0".to_owned()),
    }))))
}

/// A container.
pub(super) fn container(container: &Container) -> Value {
    let (record, life) = (&container.record, &container.life);
    let mut document = json!({
        "kind": "container",
        "id": record.id,
        "name": record.spec.name,
        "image": Some(&record.image).filter(|name| !name.is_empty()),
        "manifest_digest": record.manifest,
        "status": container.status(),
        "pid": container.process().map(|process| process.pid),
        "argv": record.process.argv,
        "created_at": time(record.created_at),
        "started_at": life.started.and_then(|started: Started| time(started.at)),
        "restarts": life.restarts,
        "connection": match &life.attached {
            Some(attached) => json!(attached),
            None => json!(record.connection),
        },
        "spec": record.spec,
    });
    if let Some(health) = &life.health {
        document["health"] = self::health(health);
    }
    if let Some(ended) = &life.ended {
        document["ended"] = self::ended(ended);
    }
    document
}

/// Whether a container is well.
fn health(health: &HealthState) -> Value {
    let log = health.log.iter().map(|result| {
        json!({
            "started_at": exact_time(result.started_at),
            "ended_at": exact_time(result.ended_at),
            "exit_code": result.exit_code,
            "output": result.output,
        })
    });
    json!({
        "status": health.status,
        "failing_streak": health.failing_streak,
        "log": log.collect::<Vec<_>>(),
    })
}

/// How a container ended.
pub(super) fn ended(ended: &Ended) -> Value {
    json!({
        "exit_code": ended.exit.code(),
        "signal": match ended.exit {
            Exit::Signal(number) => Some(number),
            Exit::Code(_) => None,
        },
        "oom_killed": ended.oom_kills > 0,
        "ended_at": time(ended.at),
        "error": ended.error,
    })
}

/// A named volume, and the containers that have it.
pub(super) fn volume(record: &VolumeRecord, used_by: &[&str]) -> Value {
    json!({
        "kind": "volume",
        "name": record.name,
        "path": record.path,
        "created_at": time(record.created_at),
        "used_by": used_by,
    })
}

/// A network, and the containers that are on it.
pub(super) fn network(definition: &Definition, containers: Vec<Value>) -> Value {
    json!({
        "kind": "network",
        "name": definition.name,
        "bridge": definition.bridge,
        "subnet": definition.subnet,
        "gateway": definition.gateway,
        "ip_range": definition.ip_range,
        "subnet6": definition.subnet6,
        "gateway6": definition.gateway6,
        "internal": definition.internal,
        "mtu": definition.mtu,
        "created_at": match definition.created_at {
            0 => None,
            made => time(made),
        },
        "containers": containers,
    })
}

/// A provisioned root filesystem.
pub(super) fn rootfs(record: &RootfsRecord) -> Result<Value> {
    Ok(json!({
        "kind": "rootfs",
        "id": record.id,
        "image": record.image,
        "manifest_digest": record.manifest,
        "status": rootfs_status(record)?,
        "backend": record.backend,
        "path": record.path,
        "bundle": record.bundle,
        "created_at": time(record.created_at),
    }))
}

/// Whether a root filesystem is there.
pub(super) fn rootfs_status(record: &RootfsRecord) -> Result<&'static str> {
    Ok(if provision::is_ready(record)? {
        "ready"
    } else {
        "not mounted"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(time(1_795_350_305).as_deref(), Some("2026-11-22T12:25:05Z"));
        assert_eq!(time(u64::MAX), None);
    }
}
