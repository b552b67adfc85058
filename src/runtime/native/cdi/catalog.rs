//! All devices of all files, and which of them a name means.
//!
//! A file that cannot be used does no harm to the devices of others, but is not forgotten: where a
//! name means nothing it is named, and else there is a note.

use std::collections::BTreeSet;
use std::path::Path;

use super::File;
use super::document::{Document, Entry};
use crate::error::{Fault, Kind};

/// How many names a hint lists.
const MAX_NAMES: usize = 12;

/// All devices.
#[derive(Debug)]
pub(super) struct Catalog<'a> {
    files: Vec<Described<'a>>,
    /// Files that cannot be used, and why.
    pub(super) broken: Vec<String>,
}

/// A file that can be used.
#[derive(Debug)]
pub(super) struct Described<'a> {
    rank: usize,
    pub(super) path: &'a Path,
    pub(super) document: Document,
}

/// A device, and the file that describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) file: &'a Described<'a>,
    /// Its place among the file's.
    pub(super) place: usize,
    pub(super) entry: &'a Entry,
}

impl<'a> Catalog<'a> {
    pub(super) fn new(files: &'a [File]) -> Self {
        let (mut usable, mut broken) = (Vec::new(), Vec::new());
        for File {
            rank,
            path,
            content,
        } in files
        {
            let parsed = content.as_ref().map_err(Clone::clone);
            match parsed.and_then(|bytes| Document::parse(path, bytes)) {
                Ok(document) => usable.push(Described {
                    rank: *rank,
                    path,
                    document,
                }),
                Err(why) => broken.push(format!("{}: {why}", path.display())),
            }
        }
        Self {
            files: usable,
            broken,
        }
    }

    /// The device of a full name. Of several, that of the highest directory; two there are none.
    pub(super) fn find(&self, name: &str) -> Result<Found<'_>, Fault> {
        let mut all: Vec<Found> = self.named(name).collect();
        let highest = all.iter().map(|found| found.file.rank).max();
        all.retain(|found| Some(found.file.rank) == highest);
        match all.as_slice() {
            [] => Err(self.missing(name)),
            [only] => Ok(*only),
            [first, second, ..] => {
                let (first, second) = (first.file.path.display(), second.file.path.display());
                let message = format!("device '{name}': both {first} and {second} describe it");
                Err(Fault::new(Kind::Spec, message).hint("remove one of the files"))
            }
        }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = Found<'_>> {
        let (kind, device) = name.split_once('=').unwrap_or_default();
        let files = self
            .files
            .iter()
            .filter(move |file| file.document.kind == kind);
        files.filter_map(move |file| {
            let mut entries = file.document.devices.iter().enumerate();
            let (place, entry) = entries.find(|(_, entry)| entry.name == device)?;
            Some(Found { file, place, entry })
        })
    }

    fn missing(&self, name: &str) -> Fault {
        let mut message = format!("device '{name}': no CDI file describes it");
        for why in &self.broken {
            message += &format!("; {why}");
        }
        let (kind, _) = name.split_once('=').unwrap_or_default();
        let of_kind = self.files.iter().filter(|it| it.document.kind == kind);
        let names = of_kind.flat_map(|it| it.document.devices.iter().map(|it| it.name.as_str()));
        let kinds = self.files.iter().map(|it| it.document.kind.as_str());
        let hint = match (list(names), list(kinds)) {
            (Some(names), _) => format!("of {kind} there is {names}"),
            (None, Some(kinds)) => format!("there are devices of {kinds}"),
            (None, None) => "there are no CDI files that can be used; for NVIDIA, \
                             'nvidia-ctk cdi generate --output /etc/cdi/nvidia.yaml' writes one"
                .to_owned(),
        };
        Fault::new(Kind::NotFound, message).hint(hint)
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: BTreeSet<&str> = names.collect();
    let rest = names.len().saturating_sub(MAX_NAMES);
    let mut shown: Vec<&str> = names.into_iter().take(MAX_NAMES).collect();
    let more = format!("{rest} more");
    if rest > 0 {
        shown.push(&more);
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rank: usize, path: &str, kind: &str, names: &[&str]) -> File {
        let devices: Vec<_> = names
            .iter()
            .map(|name| format!(r#"{{"name":"{name}"}}"#))
            .collect();
        let devices = devices.join(",");
        let text = format!(r#"{{"cdiVersion":"1.0.0","kind":"{kind}","devices":[{devices}]}}"#);
        File {
            rank,
            path: path.into(),
            content: Ok(text.into_bytes()),
        }
    }

    #[test]
    fn the_higher_directory_wins_and_two_in_one_are_a_conflict() {
        let files = [
            file(0, "/low/a.json", "v.com/c", &["one", "two", "three"]),
            file(0, "/low/b.json", "v.com/c", &["two", "three"]),
            file(0, "/low/c.json", "v.com/d", &["two"]),
            file(1, "/high/a.json", "v.com/c", &["three", "four"]),
            file(1, "/high/b.json", "v.com/c", &["four"]),
        ];
        let catalog = Catalog::new(&files);
        let rows = [
            ("v.com/c=one", Ok("/low/a.json")),
            ("v.com/c=three", Ok("/high/a.json")),
            ("v.com/d=two", Ok("/low/c.json")),
            ("v.com/c=two", Err("both /low/a.json and /low/b.json")),
            ("v.com/c=four", Err("both /high/a.json and /high/b.json")),
        ];
        for (name, expected) in rows {
            match (catalog.find(name), expected) {
                (Ok(found), Ok(path)) => assert_eq!(found.file.path, Path::new(path), "{name}"),
                (Err(fault), Err(words)) => assert!(fault.to_string().contains(words), "{fault}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_missing_comes_with_what_there_is() {
        let hint = |files: &[File], name: &str| {
            let fault = Catalog::new(files).find(name).unwrap_err();
            assert_eq!(fault.kind(), Kind::NotFound);
            let message = fault.to_string();
            (message, crate::error::hint(&fault.into()).unwrap())
        };
        let many: Vec<String> = (10..30).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut files = vec![
            file(0, "/a.json", "v.com/c", &["one", "two"]),
            file(0, "/b.json", "w.com/c", &many),
        ];
        assert_eq!(hint(&files, "v.com/c=x").1, "of v.com/c there is one, two");
        assert!(hint(&files, "w.com/c=x").1.ends_with("20, 21, 8 more"));
        assert_eq!(
            hint(&files, "x.com/c=x").1,
            "there are devices of v.com/c, w.com/c"
        );
        assert!(hint(&[], "x.com/c=x").1.contains("no CDI files"));
        files[0].content = Err("cannot be read".into());
        files[1].content = Ok(b"{".to_vec());
        let (message, hint) = hint(&files, "v.com/c=one");
        assert!(
            message.contains("; /a.json: cannot be read; /b.json: EOF"),
            "{message}"
        );
        assert!(hint.contains("no CDI files that can be used"), "{hint}");
    }
}
