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
/// nothing (CVE-2022-24769). `is_next_hidden`: nobody of the same user can look into the next
/// program that is executed, until it allows that.
pub fn take_identity(
    identity: &Identity,
    keep: &[Capability],
    ambient: &[Capability],
    is_next_hidden: bool,
) -> io::Result<()> {
    let is_root = identity.uid == 0;
    // Else the change of the user would clear the permitted set.
    rustix::thread::set_keep_capabilities(!is_root && !ambient.is_empty())?;
    switch_groups(identity)?;
    if is_next_hidden {
        hide_next_program(identity.gid);
    }
    switch_user(identity.uid)?;
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
    switch_groups(identity)?;
    switch_user(identity.uid)
}

fn switch_groups(identity: &Identity) -> io::Result<()> {
    let gid = Gid::from_raw(identity.gid);
    if let Some(groups) = &identity.groups {
        let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        rustix::thread::set_thread_groups(&groups)?;
    }
    Ok(rustix::thread::set_thread_res_gid(gid, gid, gid)?)
}

fn switch_user(uid: u32) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    Ok(rustix::thread::set_thread_res_uid(uid, uid, uid)?)
}

/// Another group for files than the process has (setfsgid(2)) ends with exec, and is then a change
/// of credentials, for which the kernel makes the new program one that cannot be traced: from its
/// first moment, where it could hide itself a moment later only. Where no other group is mapped,
/// that is what it does.
fn hide_next_program(gid: u32) {
    let others = [gid.wrapping_add(1), gid.wrapping_sub(1), 65534, 0];
    for other in others.into_iter().filter(|other| *other != gid) {
        // SAFETY: the calls take integers; the second changes nothing and says what is set.
        let is_set = unsafe {
            libc::setfsgid(other);
            libc::setfsgid(u32::MAX).cast_unsigned() == other
        };
        if is_set {
            return;
        }
    }
}
