//! The files: docker's `config.json`, podman's `auth.json`, and the old `.dockercfg`.
//!
//! Lenient where real files are odd (BOM, null maps, empty entries, no base64 padding), because
//! docker and podman write them so; strict about what a found entry says. Pure.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use serde::Deserialize;

use super::{Credential, Secret, key};

/// One parsed file.
#[derive(Debug, Default)]
pub(super) struct Config {
    auths: HashMap<String, Option<Entry>>,
    helpers: HashMap<String, Option<String>>,
    store: Option<String>,
}

/// Why a pull secret is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is no docker configuration, or an entry of it is none; without its text.
    Malformed(String),
    /// It names programs that know credentials, and no program of a secret's is executed.
    HelpersOnly,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    auths: Option<HashMap<String, Option<Entry>>>,
    cred_helpers: Option<HashMap<String, Option<String>>>,
    creds_store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
    /// It stands in an old file, beside what is no entry at all, and cannot be read as one.
    #[serde(skip)]
    is_malformed: bool,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(…)")
    }
}

impl Config {
    /// Understands the text of a file. The reason of a failure never quotes the text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let place = |error: serde_json::Error| {
            format!(
                "not a docker config: line {}, column {}",
                error.line(),
                error.column()
            )
        };
        let value: serde_json::Value = serde_json::from_slice(text).map_err(place)?;
        let Some(object) = value.as_object() else {
            return Err("not a docker config: no JSON object".into());
        };
        let is_config = ["auths", "credHelpers", "credsStore"]
            .iter()
            .any(|key| object.contains_key(*key));
        if !is_config {
            return Ok(Self::old(object));
        }
        let document: Document = serde_json::from_value(value)
            .map_err(|_| "not a docker config: an entry has the wrong type")?;
        Ok(Self {
            auths: document.auths.unwrap_or_default(),
            helpers: document.cred_helpers.unwrap_or_default(),
            store: document.creds_store.filter(|name| !name.is_empty()),
        })
    }

    /// `.dockercfg`: the registries stand at the top, beside settings that have no credential.
    fn old(object: &serde_json::Map<String, serde_json::Value>) -> Self {
        let malformed = Entry {
            is_malformed: true,
            ..Entry::default()
        };
        let entry = |value: &serde_json::Value| {
            let entry = serde_json::from_value(value.clone());
            entry.unwrap_or_else(|_| Some(malformed.clone()))
        };
        Self {
            auths: object
                .iter()
                .filter(|(_, value)| value.is_object())
                .map(|(key, value)| (key.clone(), entry(value)))
                .collect(),
            ..Self::default()
        }
    }

    /// Refuses what cannot prove anything: every entry is looked at, whatever the registry.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        let mut has_entry = false;
        for (key, entry) in &self.auths {
            let secret = entry.as_ref().map_or(Ok(None), Entry::secret);
            let why = |why| Unusable::Malformed(format!("the entry of '{key}': {why}"));
            has_entry |= secret.map_err(why)?.is_some();
        }
        let has_helper = self.store.is_some() || !self.helpers.is_empty();
        match has_helper && !has_entry {
            true => Err(Unusable::HelpersOnly),
            false => Ok(()),
        }
    }

    /// The helper to ask about a registry, if any: its own before the general one.
    pub(super) fn helper(&self, host: &str) -> Option<&str> {
        let own = self.helpers.iter().filter_map(|(key, name)| {
            let name = name.as_deref().filter(|name| !name.is_empty())?;
            Some((key::fit(key, host, "")?, name))
        });
        own.max().map(|(_, name)| name).or(self.store.as_deref())
    }

    /// The entry that fits a repository best, with its key. Fails if that entry is malformed.
    pub(super) fn entry(
        &self,
        host: &str,
        repository: &str,
        origin: &str,
    ) -> Result<Option<(String, Credential)>, String> {
        let mut fitting: Vec<(usize, &String, &Entry)> = self
            .auths
            .iter()
            .filter_map(|(key, entry)| {
                let fit = key::fit(key, host, repository)?;
                Some((fit, key, entry.as_ref()?))
            })
            .collect();
        fitting.sort_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
        for (_, key, entry) in fitting {
            let secret = entry
                .secret()
                .map_err(|why| format!("the entry of '{key}': {why}"))?;
            if let Some(secret) = secret {
                let origin = origin.to_owned();
                return Ok(Some((key.clone(), Credential { secret, origin })));
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// What the entry proves; nothing if it is empty, as docker leaves it beside a helper.
    fn secret(&self) -> Result<Option<Secret>, String> {
        if self.is_malformed {
            return Err("a value of it has the wrong type".into());
        }
        let filled = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Some(Secret::RegistryToken(token)));
        }
        let basic = match filled(&self.auth) {
            Some(auth) => Some(decode(&auth)?),
            None => filled(&self.username).zip(self.password.clone()),
        };
        if let Some(token) = filled(&self.identitytoken) {
            let user = basic.map(|(user, _)| user);
            return Ok(Some(Secret::IdentityToken { user, token }));
        }
        Ok(basic.map(|(user, password)| Secret::Basic { user, password }))
    }
}

/// `user:password` in base64, padded or not. The password may hold more colons.
fn decode(auth: &str) -> Result<(String, String), String> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = LENIENT
        .decode(auth.trim())
        .or_else(|_| general_purpose::URL_SAFE.decode(auth.trim()))
        .map_err(|_| "'auth' is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "'auth' is not text")?;
    let (user, password) = text.split_once(':').ok_or("'auth' is not user:password")?;
    // Old dockers padded the password with NULs.
    Ok((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file says about `r.io/team/app`: `user:password`, or a token, or why it fails.
    fn says(text: &str) -> String {
        let found = Config::parse(text.as_bytes()).and_then(|c| c.entry("r.io", "team/app", "f"));
        match found.map(|found| found.map(|(_, credential)| credential.secret)) {
            Ok(None) => "none".into(),
            Ok(Some(Secret::Basic { user, password })) => format!("{user}:{password}"),
            Ok(Some(Secret::IdentityToken { user, token })) => format!("identity {user:?} {token}"),
            Ok(Some(Secret::RegistryToken(token))) => format!("registry {token}"),
            Err(why) => why,
        }
    }

    #[test]
    fn what_files_hold() {
        // dTpw = u:p, dTpwOnE6eg== = u:p:q:z
        let rows = [
            (r#"{"auths":{"r.io":{"auth":"dTpw"}}}"#, "u:p"),
            (r#"{"auths":{"r.io":{"auth":"dTpwOnE6eg=="}}}"#, "u:p:q:z"),
            (r#"{"auths":{"r.io":{"auth":"dTpwOnE6eg"}}}"#, "u:p:q:z"),
            (r#"{"auths":{"r.io":{"auth":"dTpwAAA="}}}"#, "u:p"),
            ("\u{feff}{\"auths\":{\"r.io\":{\"auth\":\"dTpw\"}}}", "u:p"),
            (
                r#"{"auths":{"r.io":{"username":"u","password":"p:"}}}"#,
                "u:p:",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"","username":"u","password":"p"}}}"#,
                "u:p",
            ),
            (r#"{"auths":{"r.io":{"auth":""}}}"#, "none"),
            (r#"{"auths":{"r.io":{}}}"#, "none"),
            (r#"{"auths":{"r.io":null}}"#, "none"),
            (
                r#"{"auths":null,"credHelpers":null,"credsStore":null}"#,
                "none",
            ),
            (r#"{"auths":{"r.io":{"auth":null,"email":"x"}}}"#, "none"),
            (r#"{}"#, "none"),
            ("", "none"),
            (r#"{"r.io":{"auth":"dTpw","email":"x@y"}}"#, "u:p"),
            (r#"{"https://r.io/v1/":{"auth":"dTpw"}, "x":3}"#, "u:p"),
            (r#"{"r.io":{"auth":"dTpw"}, "x":{"auth":3}}"#, "u:p"),
            (
                r#"{"r.io":{"auth":3}}"#,
                "the entry of 'r.io': a value of it has the wrong type",
            ),
            (
                r#"{"auths":{"r.io":{"identitytoken":"t"}}}"#,
                "identity None t",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"dTpw","identitytoken":"t"}}}"#,
                "identity Some(\"u\") t",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"dTpw","registrytoken":"t"}}}"#,
                "registry t",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"dTpw"},"r.io/team":{"auth":"djpw"}}}"#,
                "v:p",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"dTpw"},"r.io/other":{"auth":"djpw"}}}"#,
                "u:p",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"dTpw"},"r.io/team":{}}}"#,
                "u:p",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"%%%"}}}"#,
                "the entry of 'r.io': 'auth' is not base64",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"dXA="}}}"#,
                "the entry of 'r.io': 'auth' is not user:password",
            ),
            (r#"{"auths":{"else.io":{"auth":"%%%"}}}"#, "none"),
            ("[1]", "not a docker config: no JSON object"),
            ("{\n nonsense", "not a docker config: line 2, column 2"),
            (
                r#"{"auths":{"r.io":{"auth":7}}}"#,
                "not a docker config: an entry has the wrong type",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(says(text), expected, "{text}");
        }
    }

    #[test]
    fn the_own_helper_goes_before_the_store() {
        let text = r#"{"credsStore":"desktop","credHelpers":{"https://r.io/":"own","x.io":null}}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.helper("r.io"), Some("own"));
        assert_eq!(config.helper("x.io"), Some("desktop"));
        assert_eq!(Config::default().helper("r.io"), None);
    }
}
