//! Which IDs a user may use beside its own: `/etc/subuid` and `/etc/subgid` (subuid(5)).

use std::fs;
use std::io;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::sys::users::Range;

/// Where ranges begin that useradd gives out, and how long they are (login.defs(5)).
const FIRST: u64 = 100_000;
const COUNT: u64 = 65_536;

/// Whose ranges: their user ID, and their name if they have one.
#[derive(Debug)]
pub(super) struct Account {
    uid: u32,
    name: Option<String>,
}

impl Account {
    /// Looks the name up; where /etc/passwd does not have it, id(1) asks who does.
    pub(super) fn of(uid: u32) -> Self {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = name_in(&passwd, uid).or_else(|| {
            let done = Command::new("id").arg("-un").output().ok()?;
            let name = String::from_utf8(done.stdout).ok()?;
            let name = name.trim();
            (done.status.success() && !name.is_empty()).then(|| name.to_owned())
        });
        Self { uid, name }
    }

    /// Whether it is known by a name.
    pub(super) fn has_name(&self) -> bool {
        self.name.is_some()
    }

    fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        let found = fields.nth(1)?.parse() == Ok(uid);
        found.then(|| name.to_owned())
    })
}

/// One of the two files.
#[derive(Debug)]
pub(super) struct Subordinate {
    /// `uid` or `gid`.
    kind: &'static str,
    text: String,
}

impl Subordinate {
    /// Reads it; one that is not there has nothing for anybody.
    pub(super) fn read(kind: &'static str) -> Result<Self> {
        let path = format!("/etc/sub{kind}");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("read {path}"))?,
        };
        Ok(Self { kind, text })
    }

    /// The map with `own` as 0 and all subordinate IDs after it; `None` if there are none.
    pub(super) fn map(&self, account: &Account, own: u32) -> Option<Vec<Range>> {
        let uid = account.uid.to_string();
        let is_theirs = |owner: &str| owner == uid || account.name.as_deref() == Some(owner);
        let mut map = vec![(0, own, 1)];
        let mut next = 1_u32;
        for (_, first, count) in entries(&self.text).filter(|(owner, ..)| is_theirs(owner)) {
            // Beyond the last ID there is nothing to be had.
            let count = count.min(u32::MAX - next);
            if count > 0 {
                map.push((next, first, count));
                next += count;
            }
        }
        (map.len() > 1).then_some(map)
    }

    /// Says that there are none, and how to get some that nobody else has.
    pub(super) fn missing(&self, account: &Account) -> String {
        let ends = entries(&self.text).map(|(_, first, count)| u64::from(first) + u64::from(count));
        let first = ends.max().unwrap_or(0).max(FIRST);
        let (kind, name, last) = (self.kind, account.shown(), first + COUNT - 1);
        format!(
            "/etc/sub{kind} has no subordinate IDs for {name}: as root, usermod --add-subuids \
             {first}-{last} --add-subgids {first}-{last} {name}"
        )
    }
}

/// Lines of `OWNER:FIRST:COUNT`; others count for nothing, as for newuidmap.
fn entries(text: &str) -> impl Iterator<Item = (&str, u32, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some((owner, first.parse().ok()?, count.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Option<Vec<Range>> {
        let subordinate = Subordinate {
            kind: "uid",
            text: text.to_owned(),
        };
        let account = Account {
            uid: 1000,
            name: Some("ada".to_owned()),
        };
        subordinate.map(&account, 1000)
    }

    #[test]
    fn ranges_by_name_and_number() {
        let own = (0, 1000, 1);
        let rows = [
            ("", None),
            ("bob:100000:65536\n", None),
            ("ad:1:2\n", None),
            ("ada:100000\n", None),
            ("ada:100000:x\n", None),
            ("ada:100000:0\n", None),
            ("ada:100000:65536\n", Some(vec![own, (1, 100_000, 65536)])),
            ("1000:5:3", Some(vec![own, (1, 5, 3)])),
            (
                "# ranges\nada:10:5\nbob:20:5\n1000:30:5\n",
                Some(vec![own, (1, 10, 5), (6, 30, 5)]),
            ),
            ("ada:1:4294967295", Some(vec![own, (1, 1, 4_294_967_294)])),
        ];
        for (text, expected) in rows {
            assert_eq!(map(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_free() {
        let account = |name: Option<&str>| Account {
            uid: 1000,
            name: name.map(str::to_owned),
        };
        let rows = [
            ("", Some("ada"), "100000-165535 ada"),
            ("bob:100000:65536\n", Some("ada"), "165536-231071 ada"),
            ("bob:5:5\n", None, "100000-165535 1000"),
        ];
        for (text, name, end) in rows {
            let kind = "gid";
            let text = text.to_owned();
            let said = Subordinate { kind, text }.missing(&account(name));
            assert!(said.ends_with(end), "{said}");
            assert!(said.starts_with("/etc/subgid has no"), "{said}");
        }
    }

    #[test]
    fn names_of_users() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbad\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("ada"));
        assert_eq!(name_in(passwd, 100), None);
    }
}
