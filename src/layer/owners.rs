//! Whose the objects of a layer are, where this user namespace does not have every user.
//!
//! With a range of users, an image that needs others is refused: a tree with wrong owners would be
//! taken for a right one later. With one user there is no choice, and everything is theirs.

use super::attributes::Warnings;
use super::entry::Attributes;
use crate::error::{Fault, Kind};
use crate::sys::users::{Mapping, own_mapping};

/// The owners that can be had.
#[derive(Debug)]
pub(super) struct Owners {
    mapping: Option<Mapping>,
    /// How many objects were given to the one user instead.
    adopted: u64,
}

impl Owners {
    /// Those of our own user namespace.
    pub(super) fn here() -> std::io::Result<Self> {
        own_mapping().map(Self::of)
    }

    fn of(mapping: Option<Mapping>) -> Self {
        Self {
            mapping,
            adopted: 0,
        }
    }

    /// Makes an object's owner one that can be had.
    pub(super) fn adopt(&mut self, attributes: &mut Attributes) -> Result<(), Fault> {
        let (uid, gid) = (attributes.uid, attributes.gid);
        let Some(mapping) = &self.mapping else {
            return Ok(());
        };
        if mapping.has(uid, gid) {
            return Ok(());
        }
        if !mapping.is_single() {
            let message = format!("its owner {uid}:{gid} is none of the users that ucr has here");
            return Err(Fault::new(Kind::Unsupported, message).hint(
                "give yourself more subordinate IDs, for example with 'usermod --add-subuids \
                 FIRST-LAST --add-subgids FIRST-LAST USER', or pull as root",
            ));
        }
        (attributes.uid, attributes.gid) = (0, 0);
        // They would name users that there are not.
        attributes
            .xattrs
            .retain(|(name, _)| !name.starts_with(b"system.posix_acl_"));
        self.adopted += 1;
        Ok(())
    }

    /// Says what was lost.
    pub(super) fn report(&self, warnings: &mut Warnings) {
        let adopted = self.adopted;
        if adopted > 0 {
            warnings.push(|| {
                format!("{adopted} objects belong to other users than root, and are yours here")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(mapping: Option<Mapping>, uid: u32, gid: u32) -> Result<(u32, u32, u64), Fault> {
        let mut attributes = Attributes {
            uid,
            gid,
            ..Attributes::default()
        };
        let mut owners = Owners::of(mapping);
        owners.adopt(&mut attributes)?;
        Ok((attributes.uid, attributes.gid, owners.adopted))
    }

    #[test]
    fn who_is_not_here() {
        let range = vec![(0, 1000, 1), (1, 100_000, 65536)];
        let many = Mapping {
            uids: range.clone(),
            gids: range,
            may_set_groups: true,
        };
        let one = Mapping {
            uids: vec![(0, 1000, 1)],
            gids: vec![(0, 100, 1)],
            may_set_groups: false,
        };
        let rows = [
            (None, (70_000, 5), Some((70_000, 5, 0))),
            (Some(&many), (65_536, 33), Some((65_536, 33, 0))),
            (Some(&many), (65_537, 0), None),
            (Some(&many), (0, 65_537), None),
            (Some(&one), (0, 0), Some((0, 0, 0))),
            (Some(&one), (0, 42), Some((0, 0, 1))),
            (Some(&one), (33, 33), Some((0, 0, 1))),
        ];
        for (mapping, (uid, gid), expected) in rows {
            let found = adopted(mapping.cloned(), uid, gid).ok();
            assert_eq!(found, expected, "{uid}:{gid} in {mapping:?}");
        }
    }
}
