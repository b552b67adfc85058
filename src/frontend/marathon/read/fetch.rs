//! `fetch`, and `uris`, which came before.

use super::reader::{Item, Object};
use crate::frontend::marathon::app::Fetch;
use crate::frontend::marathon::uri::{self, Refusal};

/// `fetch`.
pub fn read(top: &Object) -> Vec<Fetch> {
    let items = top.get("fetch").and_then(|item| item.objects());
    items.unwrap_or_default().iter().filter_map(fetch).collect()
}

fn fetch(item: &Item) -> Option<Fetch> {
    const KEYS: &[&str] = &["uri", "extract", "executable", "cache", "destPath"];
    let fetch = item.object(KEYS)?;
    let dest_path = fetch.get("destPath");
    let is_named = dest_path.is_some();
    let uri = fetch
        .required("uri", "E:uri")
        .and_then(|item| address(&item, is_named));
    Some(Fetch {
        extract: fetch.flag("extract", true),
        executable: fetch.flag("executable", false),
        cache: fetch.flag("cache", false),
        dest_path: dest_path.and_then(|item| destination(&item)),
        uri: uri?,
    })
}

fn address(item: &Item, is_named: bool) -> Option<String> {
    let uri = item.text()?;
    match uri::scheme(uri) {
        Ok(_) if !is_named && uri::name(uri).is_none() => {
            let text = "does not end in the name of a file";
            item.advise("E:uri", text, "say one as 'destPath'");
        }
        Ok(_) => {}
        Err(Refusal::Syntax(why)) => item.refuse("E:uri", why),
        Err(Refusal::Scheme) => {
            let text = "nothing here speaks its scheme";
            let hint = "use file, http, https, ftp or ftps";
            item.advise("E:uri-scheme", text, hint);
        }
    }
    Some(uri.to_owned())
}

fn destination(item: &Item) -> Option<String> {
    let path = item.text()?;
    if let Err(why) = uri::check_destination(path) {
        item.refuse("E:dest-path", why);
    }
    Some(path.to_owned())
}

/// `uris`.
pub fn uris(top: &Object) -> Vec<String> {
    let items = top.get("uris").and_then(|item| item.objects());
    let items = items.unwrap_or_default();
    items
        .iter()
        .filter_map(|item| address(item, false))
        .collect()
}

/// The old form as Marathon moves it to the new.
pub fn from_uri(uri: String) -> Fetch {
    Fetch {
        extract: uri::is_old_archive(&uri),
        executable: false,
        cache: false,
        dest_path: None,
        uri,
    }
}
