//! Who a process is: user, groups, capabilities.

use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use rustix::process::{Gid, Uid};

/// Numeric identity of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups; exactly these and no other. `None`: those it has, in a user namespace
    /// where nobody may choose.
    pub groups: Option<Vec<u32>>,
}

/// What this process may do, and hand on.
pub fn available() -> io::Result<CapsHashSet> {
    let read = |set| caps::read(None, set).map_err(io::Error::other);
    Ok(read(CapSet::Permitted)?
        .intersection(&read(CapSet::Bounding)?)
        .copied()
        .collect())
}

/// Limits what this process and its children can ever have: first the bounding set, which needs
/// CAP_SETPCAP, later, by [`take_identity`], the rest.
pub fn bound_capabilities(keep: &[Capability]) -> io::Result<()> {
    for capability in caps::all() {
        if keep.contains(&capability) {
            continue;
        }
        match caps::drop(None, CapSet::Bounding, capability) {
            Ok(()) => (),
            // The kernel is older than the crate and does not know this one.
            Err(_) if caps::has_cap(None, CapSet::Bounding, capability).is_err() => (),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(())
}

/// Becomes `identity`. Root keeps `keep`; any other user keeps `ambient`, usually nothing
/// (CVE-2018-10856). The inheritable and ambient sets are empty for root, and for all who keep
/// nothing (CVE-2022-24769).
pub fn take_identity(
    identity: &Identity,
    keep: &[Capability],
    ambient: &[Capability],
) -> io::Result<()> {
    let is_root = identity.uid == 0;
    // Else the change of the user would clear the permitted set.
    rustix::thread::set_keep_capabilities(!is_root && !ambient.is_empty())?;
    switch_identity(identity)?;
    let kept: CapsHashSet = if is_root { keep } else { ambient }
        .iter()
        .copied()
        .collect();
    let inherited = if is_root {
        CapsHashSet::new()
    } else {
        kept.clone()
    };
    let set = |which, value: &CapsHashSet| caps::set(None, which, value).map_err(io::Error::other);
    set(CapSet::Inheritable, &inherited)?;
    set(CapSet::Effective, &kept)?;
    set(CapSet::Permitted, &kept)?;
    if !inherited.is_empty() {
        set(CapSet::Ambient, &inherited)?;
    }
    Ok(())
}

/// Changes user and groups, and leaves capabilities to the kernel's rules.
pub fn switch_identity(identity: &Identity) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    if let Some(groups) = &identity.groups {
        let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        rustix::thread::set_thread_groups(&groups)?;
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    Ok(rustix::thread::set_thread_res_uid(uid, uid, uid)?)
}
