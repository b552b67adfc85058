//! The identity of a command, and what it must not have: the last thing before it is executed.

use anyhow::{Context, Result};

use super::plan::Plan;
use crate::error::{Fault, Kind};
use crate::spec::Account;
use crate::sys::credential::{Identity, bound_capabilities, take_identity};
use crate::sys::process;

/// Becomes the user with exactly the capabilities and groups that the plan says.
pub(super) fn give_up_privileges(plan: &Plan, account: &Account) -> Result<()> {
    let confinement = &plan.confinement;
    bound_capabilities(&confinement.capabilities).context("drop capabilities")?;
    match (confinement.no_new_privileges, &plan.filter) {
        (true, _) => process::no_new_privileges()?,
        // Later we may not any more.
        (false, Some(filter)) => filter.load()?,
        (false, None) => (),
    }
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
    let identity = Identity {
        uid: account.uid,
        gid: account.gid,
        groups,
    };
    take_identity(&identity, &confinement.capabilities, &confinement.ambient)
        .context("become the container's user")
}
