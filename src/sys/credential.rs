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
    /// Supplementary groups; exactly these and no other.
    pub groups: Vec<u32>,
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

/// Becomes `identity`. Root keeps `keep`; any other user keeps nothing (CVE-2018-10856), and the
/// inheritable and ambient sets are empty for all (CVE-2022-24769).
pub fn take_identity(identity: &Identity, keep: &[Capability]) -> io::Result<()> {
    let groups: Vec<Gid> = identity
        .groups
        .iter()
        .map(|gid| Gid::from_raw(*gid))
        .collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let kept: CapsHashSet = if uid.is_root() {
        keep.iter().copied().collect()
    } else {
        CapsHashSet::new()
    };
    let set = |which, value: &CapsHashSet| caps::set(None, which, value).map_err(io::Error::other);
    set(CapSet::Inheritable, &CapsHashSet::new())?;
    set(CapSet::Effective, &kept)?;
    set(CapSet::Permitted, &kept)
}
