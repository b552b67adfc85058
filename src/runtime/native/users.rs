//! Whose users a container's users are: a map that was asked for, or a range that no other
//! container of this machine's ucr has while it runs.

use std::os::fd::BorrowedFd;

use anyhow::Result;

use super::plan::{Plan, Users};
use crate::error::{Fault, Kind};
use crate::runtime::{Published, State};
use crate::sys::users::Range;

/// First ID that is given out: above those that useradd and systemd give to anybody
/// (systemd.io/UIDS-GIDS), as in podman's documentation.
const FIRST: u32 = 1 << 31;
/// How many IDs a container gets.
const COUNT: u32 = 1 << 16;
/// How many containers can have a range at once; the last range would contain the ID "nobody".
const RANGES: u32 = (1 << 15) - 1;

/// The users of a container, for as long as this lives.
#[derive(Debug)]
pub(super) struct Leased {
    ranges: Vec<Range>,
    taken: Option<Published>,
}

impl Leased {
    /// The map; `None` where the users are the host's.
    pub(super) fn take(plan: &Plan, state: &State) -> Result<Option<Self>> {
        match &plan.users {
            None => Ok(None),
            Some(Users::Auto) => Self::find_free(state).map(Some),
            Some(Users::Map(ids)) => Ok(Some(Self {
                ranges: ids
                    .iter()
                    .map(|ids| (ids.inside, ids.outside, ids.count))
                    .collect(),
                taken: None,
            })),
        }
    }

    fn find_free(state: &State) -> Result<Self> {
        for number in 0..RANGES {
            if let Some(taken) = state.take_range(number)? {
                return Ok(Self {
                    ranges: vec![(0, FIRST + number * COUNT, COUNT)],
                    taken: Some(taken),
                });
            }
        }
        let message = format!("all {RANGES} ranges of users are taken");
        Err(Fault::new(Kind::Limit, message).into())
    }

    /// What holds the range for this process.
    pub(super) fn lock(&self) -> Option<BorrowedFd<'_>> {
        self.taken.as_ref().map(Published::lock)
    }

    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges
    }
}
