//! Other containers that a command line names: whose namespaces are joined, whose mounts are shown.

use anyhow::{Context as _, Result};

use super::context::Context;
use crate::error::{Fault, Kind};
use crate::image::{Document, ImageConfig};
use crate::runtime::ContainerRecord;
use crate::spec::mount::{Source, mounts};
use crate::spec::{ContainerSpec, Device, IpcMode, Mount, PidMode};
use crate::store::Store;

/// Replaces names and short IDs of running containers by whole IDs.
pub(super) fn resolve(context: &Context, spec: &mut ContainerSpec) -> Result<()> {
    if let Some(PidMode::Container(name)) = &mut spec.sharing.pid {
        *name = running(context, "--pid container", name)?.id;
    }
    if let Some(IpcMode::Container(name)) = &mut spec.sharing.ipc {
        *name = running(context, "--ipc container", name)?.id;
    }
    Ok(())
}

/// Adds what is mounted in running containers to what was asked for, `ID[:ro|:rw]` each: what was
/// asked for directly wins, then the container that was named last. Memory is nobody else's.
pub(super) fn add_volumes(
    context: &Context,
    words: &[String],
    spec: &mut ContainerSpec,
) -> Result<()> {
    for word in words.iter().rev() {
        let (name, read_only) = match word.split_once(':') {
            None => (word.as_str(), false),
            Some((name, "rw")) => (name, false),
            Some((name, "ro")) => (name, true),
            Some((_, mode)) => {
                let message = format!("--volumes-from {word}: '{mode}' is not known");
                return Err(Fault::new(Kind::Usage, message)
                    .hint("say ID, ID:ro or ID:rw")
                    .into());
            }
        };
        let record = running(context, "--volumes-from", name)?;
        for mut mount in shared(&context.store()?, &record)? {
            if spec.mounts.iter().any(|own| own.target == mount.target) {
                continue;
            }
            if read_only {
                mount.access.read_only = Some(true);
            }
            spec.mounts.push(mount);
        }
    }
    Ok(())
}

fn running(context: &Context, what: &str, name: &str) -> Result<ContainerRecord> {
    let found = context.state()?.find_running(&context.store()?, name);
    Ok(found.with_context(|| what.to_owned())?.record)
}

/// What is mounted in a container, but for its sandbox.
fn shared(store: &Store, record: &ContainerRecord) -> Result<Vec<Mount>> {
    let config = config(store, record)?;
    let all = mounts(&record.spec, &config)?;
    let is_unnamed =
        |mount: &Mount| matches!(&mount.source, Source::Volume(volume) if volume.name.is_none());
    let mut devices = record.spec.devices.iter();
    if all.iter().any(is_unnamed) && devices.any(|it| matches!(it, Device::Cdi(_))) {
        // Such a device may have mounts, too, and which volume is whose is counted.
        let message = format!(
            "--volumes-from {}: it has CDI devices and volumes without a name",
            record.id
        );
        return Err(Fault::new(Kind::Unsupported, message)
            .hint("give its volumes names: -v NAME:/DIR")
            .into());
    }
    let all = all.into_iter().enumerate();
    let all = all.filter_map(|(number, mut mount)| match &mount.source {
        Source::Tmpfs(_) => None,
        _ if Some(mount.target.as_path()) == record.spec.sandbox_inside() => None,
        // In the other container's private directory, and gone with it.
        Source::Volume(volume) if volume.name.is_none() => {
            let directory = store.root().join("containers").join(&record.id);
            let shown = Mount::bind(directory.join(format!("volume-{number}")), &mount.target);
            mount.source = shown.source;
            Some(mount)
        }
        _ => Some(mount),
    });
    Ok(all.collect())
}

/// Of the image that a container was made from, whatever its name stands for by now.
fn config(store: &Store, record: &ContainerRecord) -> Result<ImageConfig> {
    let Some(manifest) = &record.manifest else {
        return Ok(ImageConfig::none());
    };
    let Document::Image(manifest) = store.blob(manifest)?.parse()? else {
        return Err(Fault::new(Kind::Store, "the image's manifest is an index").into());
    };
    ImageConfig::parse(store.blob(&manifest.config.digest)?.bytes())
}
