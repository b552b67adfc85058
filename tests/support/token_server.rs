//! A token server for Debian's docker-registry 2.8 (distribution, "Token Authentication").
//!
//! Signs ES256 tokens with a key and certificate that `openssl` makes on the spot, and puts the
//! certificate into the `x5c` header, because 2.8 knows keys only by certificate or libtrust id. A
//! known user may do whatever is asked for; without a credential, or for a user who is only a
//! guest, the token grants nothing; a wrong password is refused with a reason.
//!
//! Needs `scripted_registry` as a sibling module: that is its HTTP.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::scripted_registry::{Answer, Recorded, ScriptedRegistry};

const ISSUER: &str = "ucr-test";
const SERVICE: &str = "ucr-registry";

/// Who may come in.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub password: String,
    /// Whether tokens for this user grant nothing.
    pub is_guest: bool,
}

/// The server; stops when dropped.
pub struct TokenServer {
    http: ScriptedRegistry,
    certificate: PathBuf,
}

struct Signer {
    key: EcdsaKeyPair,
    x5c: String,
    users: Vec<User>,
    lifetime: u64,
}

impl TokenServer {
    /// Makes key and certificate in `dir`; tokens hold for `lifetime` seconds.
    pub fn start(dir: &Path, users: &[User], lifetime: u64) -> Self {
        let (key_file, certificate) = (dir.join("token.key"), dir.join("token.crt"));
        self_signed(&key_file, &certificate);
        let random = SystemRandom::new();
        let key = der(&key_file);
        let signer = Signer {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &random).unwrap(),
            x5c: STANDARD.encode(der(&certificate)),
            users: users.to_vec(),
            lifetime,
        };
        let http = ScriptedRegistry::start();
        http.on("/token", move |request| Some(signer.answer(request)));
        Self { http, certificate }
    }

    /// The URL that challenges name.
    pub fn realm(&self) -> String {
        format!("{}/token", self.http.url())
    }

    /// The `auth:` section of docker-registry's configuration.
    pub fn registry_config(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: {}\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
             rootcertbundle: {}\n",
            self.realm(),
            self.certificate.display()
        )
    }

    /// What was asked.
    pub fn requests(&self) -> Vec<Recorded> {
        self.http.requests()
    }
}

impl Signer {
    fn answer(&self, request: &Recorded) -> Answer {
        let user = match request.header("authorization") {
            None => None,
            Some(header) => match self.check(header) {
                Some(user) => Some(user),
                None => {
                    let reason = r#"{"details":"incorrect username or password"}"#;
                    return Answer::new(401, reason).with("Content-Type", "application/json");
                }
            },
        };
        let access = match user {
            Some(user) if !user.is_guest => requested(&request.path),
            _ => Vec::new(),
        };
        let token = self.sign(user.map_or("", |user| &user.name), &access);
        let body = serde_json::json!({
            "token": token, "access_token": token, "expires_in": self.lifetime,
        });
        Answer::new(200, body.to_string()).with("Content-Type", "application/json")
    }

    fn check(&self, header: &str) -> Option<&User> {
        let bytes = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (name, password) = text.split_once(':')?;
        self.users
            .iter()
            .find(|user| user.name == name && user.password == password)
    }

    fn sign(&self, subject: &str, access: &[serde_json::Value]) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let header = serde_json::json!({"typ": "JWT", "alg": "ES256", "x5c": [self.x5c]});
        // 2.8 wants `aud` as a string; the list of the specification came with 3.0.
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": SERVICE, "sub": subject, "jti": now.to_string(),
            "iat": now, "nbf": now - 5, "exp": now + self.lifetime, "access": access,
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let random = SystemRandom::new();
        let signature = self.key.sign(&random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// `scope=repository:NAME:ACTION,ACTION`, once or several times.
fn requested(path: &str) -> Vec<serde_json::Value> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("scope="))
        .filter_map(|scope| {
            let scope = scope
                .replace("%3A", ":")
                .replace("%2F", "/")
                .replace("%2C", ",");
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            let actions: Vec<&str> = actions.split(',').collect();
            Some(serde_json::json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect()
}

/// A certificate for 127.0.0.1 and localhost, as people make them by hand.
pub fn self_signed(key: &Path, certificate: &Path) {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "{output:?}");
}

/// The first PEM block of a file.
fn der(file: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"));
    let body: String = lines
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .collect();
    STANDARD.decode(body).unwrap()
}
