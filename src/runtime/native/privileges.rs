//! The identity of a command, and what it must not have: the last thing before it is executed.

use anyhow::{Context, Result};

use super::plan::Plan;
use crate::error::{Fault, Kind};
use crate::spec::Account;
use crate::sys::credential::{Identity, bound_capabilities, take_identity};
use crate::sys::process;

/// Becomes the user with exactly the capabilities and groups that the plan says. `is_own_next`: what
/// is executed next is ucr's own program, which has yet to load the filter: who shares its user
/// inside and could trace it would have what it executes without one.
pub(super) fn give_up_privileges(plan: &Plan, account: &Account, is_own_next: bool) -> Result<()> {
    let confinement = &plan.confinement;
    bound_capabilities(&confinement.capabilities).context("drop capabilities")?;
    match (confinement.no_new_privileges, &plan.filter) {
        (true, _) => process::no_new_privileges()?,
        // Later we may not any more.
        (false, Some(filter)) => filter.load()?,
        (false, None) => (),
    }
    let identity = identity(plan, account)?;
    let (keep, ambient) = (&confinement.capabilities, &confinement.ambient);
    take_identity(&identity, keep, ambient, is_own_next).context("become the container's user")
}

/// Whom the command runs as. Fails if there is no such user where the container is.
pub(super) fn identity(plan: &Plan, account: &Account) -> Result<Identity> {
    // The primary group is one of them, so that a set-group-ID program cannot lose it
    // (CVE-2022-36109).
    let mut groups = vec![account.gid];
    groups.extend(&account.groups);
    groups.sort_unstable();
    groups.dedup();
    let users = plan.users.as_ref();
    let ids = [account.uid].into_iter().chain(groups.iter().copied());
    if let Some(id) = users.and_then(|users| ids.into_iter().find(|id| !users.have(*id))) {
        let message = format!("the container's users (--userns) have no ID {id}");
        return Err(Fault::new(Kind::Spec, message)
            .hint("its user or one of its groups is that: map more, or say -u USER:GROUP")
            .into());
    }
    Ok(Identity {
        uid: account.uid,
        gid: account.gid,
        groups: groups_here(plan, account, groups)?,
    })
}

/// The groups, of which there are some only where ucr was not started by root.
fn groups_here(plan: &Plan, account: &Account, groups: Vec<u32>) -> Result<Option<Vec<u32>>> {
    let Some(mapping) = &plan.mapping else {
        return Ok(Some(groups));
    };
    let missing = |what: &str, id: u32| {
        let message = format!("the container's {what} {id} is none of the users that ucr has here");
        Fault::new(Kind::Unsupported, message).hint(
            "give yourself subordinate IDs, for example with 'usermod --add-subuids \
             FIRST-LAST --add-subgids FIRST-LAST USER', or run ucr as root",
        )
    };
    if !mapping.has(account.uid, 0) {
        return Err(missing("user", account.uid).into());
    }
    // Without a choice of groups, those of the image's root are not worth failing for; what was
    // asked for is.
    let needed = if mapping.may_set_groups || !plan.groups.is_empty() {
        groups.as_slice()
    } else {
        &[account.gid]
    };
    match needed.iter().find(|gid| !mapping.has(0, **gid)) {
        Some(gid) => Err(missing("group", *gid).into()),
        None => Ok(mapping.may_set_groups.then_some(groups)),
    }
}
