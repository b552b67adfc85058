//! Which capabilities a container gets: docker's rule for what is added and dropped. Pure.

use caps::{Capability, CapsHashSet};

use super::Security;
use super::defaults::CAPABILITIES;
use crate::error::{Fault, Kind};

/// Decided capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What the container's root has, and the most that anybody in it can get; in the kernel's
    /// order.
    pub bounding: Vec<Capability>,
    /// What a user other than root has, too: only what was asked for by name.
    pub ambient: Vec<Capability>,
    /// Defaults that ucr itself does not have.
    pub missing: Vec<Capability>,
}

/// Decides. `available` is what ucr may hand on. Fails with [`Kind::Usage`] on a name that is no
/// capability's, and with [`Kind::Unsupported`] on one that was asked for and is not available.
pub fn capabilities(security: &Security, available: &CapsHashSet) -> Result<Capabilities, Fault> {
    let (add, drop) = (
        List::parse(&security.cap_add)?,
        List::parse(&security.cap_drop)?,
    );
    if let Some(wanted) = add.names.iter().find(|name| !available.contains(name)) {
        let message = format!("capability {wanted}: ucr itself does not have it");
        return Err(Fault::new(Kind::Unsupported, message)
            .hint("start ucr with it, or leave it out of --cap-add"));
    }
    let kept = |base: &[Capability]| -> Vec<Capability> {
        let kept = base
            .iter()
            .filter(|name| !drop.all && !drop.names.contains(name));
        kept.chain(&add.names).copied().collect()
    };
    let wanted = if security.privileged {
        caps::all().into_iter().collect()
    } else if add.all {
        let all = caps::all().into_iter();
        all.filter(|name| !drop.names.contains(name)).collect()
    } else {
        kept(&CAPABILITIES)
    };
    let is_default = !security.privileged && !add.all;
    let (mut bounding, mut missing): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|name| available.contains(name));
    if !is_default {
        missing.clear();
    }
    for list in [&mut bounding, &mut missing] {
        list.sort_by_key(|name| name.index());
        list.dedup();
    }
    let ambient = if add.all || security.privileged {
        bounding.clone()
    } else {
        bounding
            .iter()
            .filter(|name| add.names.contains(name))
            .copied()
            .collect()
    };
    Ok(Capabilities {
        bounding,
        ambient,
        missing,
    })
}

/// Refuses names that are no capability's.
pub(super) fn check(security: &Security) -> Result<(), Fault> {
    List::parse(&security.cap_add)?;
    List::parse(&security.cap_drop).map(drop)
}

struct List {
    all: bool,
    names: Vec<Capability>,
}

impl List {
    fn parse(words: &[String]) -> Result<Self, Fault> {
        let mut list = Self {
            all: false,
            names: Vec::new(),
        };
        for word in words {
            match word.to_ascii_uppercase().as_str() {
                "ALL" => list.all = true,
                name => list.names.push(capability(name)?),
            }
        }
        Ok(list)
    }
}

/// With or without `CAP_`, as docker and podman take them.
fn capability(name: &str) -> Result<Capability, Fault> {
    let short = name.strip_prefix("CAP_").unwrap_or(name);
    format!("CAP_{short}").parse().map_err(|_| {
        Fault::new(Kind::Usage, format!("'{name}' is no capability"))
            .hint("capabilities(7) lists them, such as NET_RAW or SYS_PTRACE; ALL is all of them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(add: &[&str], drop: &[&str], privileged: bool) -> Result<Capabilities, Fault> {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let mut available = caps::all();
        available.remove(&Capability::CAP_SYS_RESOURCE);
        let security = Security {
            cap_add: words(add),
            cap_drop: words(drop),
            privileged,
            ..Security::default()
        };
        capabilities(&security, &available)
    }

    #[test]
    fn dockers_rule() {
        use Capability::{CAP_CHOWN, CAP_NET_RAW, CAP_SYS_RESOURCE};
        let bounding = |add: &[&str], drop: &[&str]| decide(add, drop, false).unwrap().bounding;
        let all = caps::all().len() - 1;
        assert_eq!(bounding(&[], &[]).len(), 10);
        assert_eq!(bounding(&["net_raw"], &[]).len(), 11);
        assert_eq!(bounding(&["CAP_NET_RAW"], &["ALL"]), [CAP_NET_RAW]);
        assert!(bounding(&[], &["all"]).is_empty());
        assert_eq!(bounding(&["ALL"], &["CHOWN"]).len(), all - 1);
        assert!(!bounding(&[], &["CHOWN"]).contains(&CAP_CHOWN));
        assert!(bounding(&["CHOWN"], &["CHOWN"]).contains(&CAP_CHOWN));
        assert!(!bounding(&["ALL"], &[]).contains(&CAP_SYS_RESOURCE));
        assert_eq!(decide(&[], &[], true).unwrap().bounding.len(), all);
        assert!(decide(&["SYS_RESOURCE"], &[], false).is_err());
        assert!(decide(&["NO_SUCH"], &[], false).is_err());
        assert!(decide(&[], &["NO_SUCH"], false).is_err());
    }

    #[test]
    fn users_keep_what_was_asked_for_by_name() {
        let ambient = |add: &[&str]| decide(add, &[], false).unwrap().ambient;
        assert!(ambient(&[]).is_empty());
        assert_eq!(ambient(&["NET_RAW"]), [Capability::CAP_NET_RAW]);
    }

    #[test]
    fn a_default_that_we_lack_is_named() {
        let available = CapsHashSet::from([Capability::CAP_KILL]);
        let made = capabilities(&Security::default(), &available).unwrap();
        assert_eq!(made.bounding, [Capability::CAP_KILL]);
        assert_eq!(made.missing.len(), 9);
    }
}
