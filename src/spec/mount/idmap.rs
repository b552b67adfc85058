//! Whose the files of a bind appear to be: the kernel's idmapped mounts (mount_setattr(2)).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most ranges of one list: the kernel takes 340 lines of uid_map.
const MAX_RANGES: usize = 340;

/// A mapping of owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IdMap {
    /// That of the container's user namespace.
    Container,
    /// These.
    Explicit {
        /// Of users.
        uids: Vec<IdRange>,
        /// Of groups; those of users if there are none.
        gids: Vec<IdRange>,
    },
}

/// Owners `on_disk`, and the following, appear as `shown`, and the following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first ID in the filesystem.
    pub on_disk: u32,
    /// The first ID that is seen.
    pub shown: u32,
    /// How many.
    pub count: u32,
}

impl FromStr for IdMap {
    type Err = String;

    /// `container`, or `uids=DISK-SHOWN-COUNT[#…];gids=…`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "container" {
            return Ok(Self::Container);
        }
        let (mut uids, mut gids) = (Vec::new(), Vec::new());
        for part in text.split(';') {
            match part.split_once('=') {
                Some(("uids", list)) if uids.is_empty() => uids = ranges(list)?,
                Some(("gids", list)) if gids.is_empty() => gids = ranges(list)?,
                _ => {
                    return Err(format!(
                        "the idmap '{text}' is not uids=DISK-SHOWN-COUNT[#…];gids=…"
                    ));
                }
            }
        }
        if uids.is_empty() {
            return Err(format!("the idmap '{text}' has no uids"));
        }
        Ok(Self::Explicit { uids, gids })
    }
}

fn ranges(list: &str) -> Result<Vec<IdRange>, String> {
    let ranges: Vec<IdRange> = list.split('#').map(range).collect::<Result<_, _>>()?;
    if ranges.len() > MAX_RANGES {
        return Err(format!("an idmap has {MAX_RANGES} ranges at most"));
    }
    Ok(ranges)
}

fn range(text: &str) -> Result<IdRange, String> {
    let bad = || format!("the idmap range '{text}' is not DISK-SHOWN-COUNT");
    let numbers: Vec<u32> = text
        .split('-')
        .map(|number| match number.bytes().all(|b| b.is_ascii_digit()) {
            true => number.parse().map_err(|_| bad()),
            false => Err(bad()),
        })
        .collect::<Result<_, _>>()?;
    let [on_disk, shown, count] = numbers[..] else {
        return Err(bad());
    };
    // The last ID means "none" to the kernel.
    let fits = |first: u32| first.checked_add(count).is_some();
    if count == 0 || !fits(on_disk) || !fits(shown) {
        return Err(bad());
    }
    Ok(IdRange {
        on_disk,
        shown,
        count,
    })
}

impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Explicit { uids, gids } = self else {
            return f.write_str("container");
        };
        write!(f, "uids={}", shown(uids))?;
        match gids.as_slice() {
            [] => Ok(()),
            gids => write!(f, ";gids={}", shown(gids)),
        }
    }
}

fn shown(ranges: &[IdRange]) -> String {
    let one = |range: &IdRange| format!("{}-{}-{}", range.on_disk, range.shown, range.count);
    ranges.iter().map(one).collect::<Vec<_>>().join("#")
}

impl TryFrom<String> for IdMap {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<IdMap> for String {
    fn from(map: IdMap) -> Self {
        map.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_and_written_the_same() {
        for text in [
            "container",
            "uids=0-1000-1",
            "uids=0-1000-1#1-2000-5;gids=0-0-4294967295",
        ] {
            assert_eq!(text.parse::<IdMap>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "uids=",
            "uids=0-1",
            "uids=0-1-0",
            "uids=0-1-1-1",
            "uids=+0-1-1",
            "uids=-0-1-1",
            "uids=0-4294967295-1",
            "gids=0-0-1",
            "uids=0-0-1;uids=1-1-1",
            "uids=0-0-1;x=0-0-1",
            "uids=0-0-1;",
        ] {
            assert!(text.parse::<IdMap>().is_err(), "{text}");
        }
    }
}
