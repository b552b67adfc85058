//! Users by name or number, looked up in the image's own `/etc/passwd` and `/etc/group`. Pure.
//!
//! All digits is always a number, never a name, and never wraps (CVE-2024-40635, CVE-2026-46680);
//! supplementary groups are exactly those found here (CVE-2022-36109).

use anyhow::Result;

use crate::error::{Fault, Kind};

/// Highest usable ID: the one above means "no change" to the kernel.
const MAX_ID: u32 = u32::MAX - 1;

/// A user as the image's files describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User ID.
    pub uid: u32,
    /// Primary group ID.
    pub gid: u32,
    /// Supplementary group IDs.
    pub groups: Vec<u32>,
    /// Home directory; `/` for a user without an entry.
    pub home: String,
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves `USER[:GROUP]`; unset is root. Fails with [`Kind::Spec`] on an unknown name or an ID
/// out of range.
pub fn resolve_user(asked: Option<&str>, passwd: &str, group: &str) -> Result<Account> {
    let asked = asked.unwrap_or("0");
    let (user, asked_group) = match asked.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (asked, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = id(user, asked)?;
    let entry = passwd_entries(passwd).find(|entry| match number {
        Some(uid) => entry.uid == uid,
        None => entry.name == user,
    });
    let uid = match (number, &entry) {
        (Some(uid), _) => uid,
        (None, Some(entry)) => entry.uid,
        (None, None) => return Err(unknown("user", user, "/etc/passwd")),
    };
    let gid = match asked_group {
        Some(name) => group_id(name, asked, group)?,
        None => entry.as_ref().map_or(0, |entry| entry.gid),
    };
    let groups = match (asked_group, &entry) {
        (None, Some(entry)) => memberships(entry.name, group),
        _ => Vec::new(),
    };
    let home = entry
        .map(|entry| entry.home)
        .filter(|home| home.starts_with('/'));
    Ok(Account {
        uid,
        gid,
        groups,
        home: home.unwrap_or("/").to_owned(),
    })
}

/// Resolves groups by name or number. Fails with [`Kind::Spec`] as [`resolve_user`] does.
pub fn resolve_groups(asked: &[String], group: &str) -> Result<Vec<u32>> {
    asked
        .iter()
        .map(|name| group_id(name, name, group))
        .collect()
}

/// A number if the text is all digits, `None` if it is a name.
fn id(text: &str, asked: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if number <= MAX_ID => Ok(Some(number)),
        _ => {
            let message = format!("user '{asked}': {text} is not between 0 and {MAX_ID}");
            Err(Fault::new(Kind::Spec, message).into())
        }
    }
}

fn group_id(name: &str, asked: &str, group: &str) -> Result<u32> {
    if let Some(number) = id(name, asked)? {
        return Ok(number);
    }
    let found = group_entries(group).find(|(entry, _, _)| *entry == name);
    found
        .map(|(_, gid, _)| gid)
        .ok_or_else(|| unknown("group", name, "/etc/group"))
}

fn unknown(what: &str, name: &str, file: &str) -> anyhow::Error {
    Fault::new(
        Kind::Spec,
        format!("{what} '{name}' is not in the image's {file}"),
    )
    .hint(format!(
        "use a number, which needs no entry, or a {what} that the image has"
    ))
    .into()
}

fn passwd_entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let usable = |id: &u32| *id <= MAX_ID;
        Some(()).filter(|()| usable(&uid) && usable(&gid))?;
        Some(Entry {
            name,
            uid,
            gid,
            home: fields.nth(1).unwrap_or_default(),
        })
    })
}

fn group_entries(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = fields.nth(1)?.parse().ok().filter(|gid| *gid <= MAX_ID)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn memberships(user: &str, group: &str) -> Vec<u32> {
    let mut groups: Vec<u32> = group_entries(group)
        .filter(|(_, _, members)| members.split(',').any(|m| m == user))
        .map(|(_, gid, _)| gid)
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nweb:x:33:33::/srv:/bin/sh\n1001:x:7:7::/seven:\nnohome:x:50:50::relative:\nhuge:x:4294967295:1::/:\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:root,web\nweb:x:33:\nbad:x:z:web\nlog:x:9:web\nadm2:x:4:web\nhuge:x:4294967295:web\n";

    #[test]
    fn names_and_numbers() {
        let rows = [
            (None, (0, 0, vec![4], "/root")),
            (Some(""), (0, 0, vec![4], "/root")),
            (Some("web"), (33, 33, vec![4, 9], "/srv")),
            (Some("33"), (33, 33, vec![4, 9], "/srv")),
            (Some("web:adm"), (33, 4, vec![], "/srv")),
            (Some("web:12"), (33, 12, vec![], "/srv")),
            (Some(":12"), (0, 12, vec![], "/root")),
            (Some("1000"), (1000, 0, vec![], "/")),
            (Some("1001"), (1001, 0, vec![], "/")),
            (Some("1000:1000"), (1000, 1000, vec![], "/")),
            (Some("nohome"), (50, 50, vec![], "/")),
            (Some("4294967294"), (u32::MAX - 1, 0, vec![], "/")),
        ];
        for (asked, (uid, gid, groups, home)) in rows {
            let expected = Account {
                uid,
                gid,
                groups,
                home: home.to_owned(),
            };
            assert_eq!(
                resolve_user(asked, PASSWD, GROUP).unwrap(),
                expected,
                "{asked:?}"
            );
        }
    }

    #[test]
    fn unknown_names_and_numbers_out_of_range() {
        for asked in [
            "nosuch",
            "huge",
            "web:nosuch",
            "web:huge",
            "4294967295",
            "4294967296",
            "0:4294967296",
            "-1",
            "0x0",
        ] {
            let error = resolve_user(Some(asked), PASSWD, GROUP).unwrap_err();
            assert_eq!(crate::error::kind(&error), Kind::Spec, "{asked}");
        }
    }

    #[test]
    fn groups_by_name_or_number() {
        let groups = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
            resolve_groups(&asked, GROUP)
        };
        assert_eq!(groups(&["adm", "77", "log"]).unwrap(), [4, 77, 9]);
        for asked in ["nosuch", "", "4294967295"] {
            assert!(groups(&[asked]).is_err(), "{asked}");
        }
    }

    #[test]
    fn an_image_without_the_files_knows_numbers() {
        assert_eq!(resolve_user(None, "", "").unwrap().home, "/");
        assert_eq!(resolve_user(Some("5:6"), "", "").unwrap().gid, 6);
        assert!(resolve_user(Some("root"), "", "").is_err());
    }
}
