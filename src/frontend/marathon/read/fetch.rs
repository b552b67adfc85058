//! `fetch`, and `uris`, which came before.

use super::reader::{Item, Object};
use crate::frontend::marathon::app::Fetch;
use crate::spec::artifact;

/// `fetch`.
pub fn read(top: &Object) -> Vec<Fetch> {
    let items = top.get("fetch").and_then(|item| item.objects());
    items.unwrap_or_default().iter().filter_map(fetch).collect()
}

fn fetch(item: &Item) -> Option<Fetch> {
    const KEYS: &[&str] = &["uri", "extract", "executable", "cache", "destPath"];
    let fetch = item.object(KEYS)?;
    let dest = fetch.get("destPath");
    let dest_path = dest.as_ref().and_then(|item| item.text());
    let uri = fetch.required("uri", "E:uri");
    let uri = uri.and_then(|item| Some((item.text()?, item)));
    if let Some((uri, item)) = &uri
        && let Err((id, why)) = artifact::check(uri, dest_path)
    {
        let place = dest.as_ref().filter(|_| id == "E:dest-path");
        place.unwrap_or(item).refuse(id, why);
    }
    Some(Fetch {
        uri: uri?.0.to_owned(),
        extract: fetch.flag("extract", true),
        executable: fetch.flag("executable", false),
        cache: fetch.flag("cache", false),
        dest_path: dest_path.map(str::to_owned),
    })
}

/// `uris`.
pub fn uris(top: &Object) -> Vec<String> {
    let items = top.get("uris").and_then(|item| item.objects());
    let items = items.unwrap_or_default();
    let uri = |item: &Item| {
        let uri = item.text()?;
        if let Err((id, why)) = artifact::check(uri, None) {
            item.refuse(id, why);
        }
        Some(uri.to_owned())
    };
    items.iter().filter_map(uri).collect()
}

/// The old form as Marathon moves it to the new.
pub fn from_uri(uri: String) -> Fetch {
    Fetch {
        extract: is_old_archive(&uri),
        executable: false,
        cache: false,
        dest_path: None,
        uri,
    }
}

/// Whether the old form is unpacked: there, the query does not count.
fn is_old_archive(uri: &str) -> bool {
    const ARCHIVES: [&str; 9] = [
        ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip", ".gz",
    ];
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    ARCHIVES.iter().any(|suffix| path.ends_with(suffix))
}
