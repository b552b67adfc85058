//! The real thing: Debian's docker-registry 2.8, filled by skopeo, open and with htpasswd, with
//! the token server, and over TLS.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ucr::error::{Kind, hint, kind, render};
use ucr::image::{Digest, Document};
use ucr::registry::{Options, Registry};

use crate::basics::{bytes, fetch, options};
use crate::token_server::{TokenServer, User, self_signed};

/// A running docker-registry; stops when dropped.
struct DockerRegistry {
    child: Child,
    host: String,
}

impl DockerRegistry {
    /// `sections` go into its configuration as they are, `http` below the key of that name.
    fn start(dir: &Path, sections: &str, http: &str) -> Self {
        let root = dir.join("data");
        let config = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: 127.0.0.1:0\n{http}{sections}",
            root.display()
        );
        let file = dir.join("registry.yml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed");
        let stderr = child.stderr.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        // Reads to the end, so that the registry never blocks on its log.
        std::thread::spawn(move || {
            let mut lines = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let end = rest.find([' ', ',', '"']).unwrap_or(rest.len());
                    let _ = sender.send(Ok(rest[..end].to_owned()));
                }
                lines += &line;
            }
            let _ = sender.send(Err(lines));
        });
        let host = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        let host = host.expect("docker-registry says where it listens");
        Self { child, host }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes an OCI layout with one layer; gives that layer.
fn layout(dir: &Path) -> Vec<u8> {
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        digest.to_string()
    };
    let layer = bytes(3 << 20);
    let config = br#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": put(config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": put(&layer), "size": layer.len()}],
    })
    .to_string();
    let index = serde_json::json!({
        "schemaVersion": 2,
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": put(manifest.as_bytes()), "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": "1"}}],
    });
    std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    layer
}

fn push(layout: &Path, registry: &DockerRegistry, creds: Option<&str>) {
    let mut command = Command::new("skopeo");
    command.args([
        "copy",
        "--quiet",
        "--preserve-digests",
        "--dest-tls-verify=false",
    ]);
    if let Some(creds) = creds {
        command.args(["--dest-creds", creds]);
    }
    let output = command
        .arg(format!("oci:{}:1", layout.display()))
        .arg(format!("docker://{}/team/app:1", registry.host))
        .output()
        .expect("skopeo is installed");
    assert!(output.status.success(), "{output:?}");
}

fn client(registry: &DockerRegistry, options: Options) -> Registry {
    let reference = format!("{}/team/app:1", registry.host).parse().unwrap();
    Registry::connect(&reference, options).unwrap()
}

/// Pulls everything and compares.
fn pull(registry: &DockerRegistry, options: Options, layer: &[u8]) {
    let client = client(registry, options);
    let raw = client.manifest("1").unwrap();
    assert_eq!(client.head("1").unwrap().as_ref(), Some(raw.digest()));
    let Document::Image(manifest) = raw.parse().unwrap() else {
        panic!("not an image");
    };
    let config = client.small_blob(&manifest.config, 4 << 20).unwrap();
    assert!(config.starts_with(b"{"));
    let digest = &manifest.layers[0].digest;
    assert_eq!(fetch(&client, digest, layer.len()).unwrap(), layer);
}

/// Pulls that must be refused: without a credential, and with a wrong one.
fn refused(registry: &DockerRegistry, realm: &str, reason: &str) {
    let error = client(registry, options(None)).manifest("1").unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
    let text = render(&error);
    for part in [&registry.host, realm, "no credential was found"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(hint(&error).unwrap().contains("--creds"));
    let wrong = client(registry, options(Some(("user", "wr0ng"))));
    let error = wrong.manifest("1").unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
    let text = render(&error);
    for part in [
        &registry.host,
        realm,
        reason,
        "user 'user' from --creds was refused",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("wr0ng"), "{text}");
}

#[test]
fn open_and_with_htpasswd() {
    let dir = tempfile::tempdir().unwrap();
    let layer = layout(&dir.path().join("image"));
    let open = DockerRegistry::start(dir.path(), "", "");
    push(&dir.path().join("image"), &open, None);
    pull(&open, options(None), &layer);
    drop(open);

    let users = Command::new("htpasswd")
        .args(["-nbB", "-C", "4", "user", "p:w d"])
        .output()
        .expect("apache2-utils is installed");
    let file = dir.path().join("htpasswd");
    std::fs::write(&file, users.stdout).unwrap();
    let auth = format!(
        "auth:\n  htpasswd:\n    realm: the house\n    path: {}\n",
        file.display()
    );
    let guarded = DockerRegistry::start(dir.path(), &auth, "");
    pull(&guarded, options(Some(("user", "p:w d"))), &layer);
    refused(&guarded, "the house", "authentication required");
}

#[test]
fn with_a_token_server() {
    let dir = tempfile::tempdir().unwrap();
    let user = |name: &str, is_guest| User {
        name: name.into(),
        password: "p:w d".into(),
        is_guest,
    };
    // Short-lived, so that a slow machine renews tokens on the way.
    let tokens = TokenServer::start(dir.path(), &[user("user", false), user("guest", true)], 2);
    let layer = layout(&dir.path().join("image"));
    let registry = DockerRegistry::start(dir.path(), &tokens.registry_config(), "");
    push(&dir.path().join("image"), &registry, Some("user:p:w d"));
    pull(&registry, options(Some(("user", "p:w d"))), &layer);
    refused(&registry, &tokens.realm(), "incorrect username or password");

    let guest = client(&registry, options(Some(("guest", "p:w d"))));
    let error = guest.manifest("1").unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
    assert!(
        render(&error).contains("user 'guest' from --creds was refused"),
        "{error:#}"
    );
}

#[test]
fn over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (key, cert) = (dir.path().join("tls.key"), dir.path().join("tls.crt"));
    self_signed(&key, &cert);
    let layer = layout(&dir.path().join("image"));
    let http = format!(
        "  tls:\n    certificate: {}\n    key: {}\n",
        cert.display(),
        key.display()
    );
    let registry = DockerRegistry::start(dir.path(), "", &http);
    push(&dir.path().join("image"), &registry, None);

    // A server that speaks TLS is never spoken to in the clear, not even on loopback.
    let error = client(&registry, options(None)).manifest("1").unwrap_err();
    assert!(render(&error).contains("certificate"), "{error:#}");
    assert!(hint(&error).unwrap().contains("--tls-ca"));

    let mut trusting = options(None);
    trusting.tls_ca = vec![cert.clone()];
    pull(&registry, trusting, &layer);
    let mut careless = options(None);
    careless.tls_skip_verify = true;
    pull(&registry, careless, &layer);

    let certs_d = dir.path().join("certs.d");
    let own = certs_d.join(&registry.host);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::copy(&cert, own.join("ca.crt")).unwrap();
    let mut configured = options(None);
    configured.certs_d = vec![dir.path().join("absent"), certs_d];
    pull(&registry, configured, &layer);

    drop(registry);
    let clients = format!("{http}    clientcas: [{}]\n", cert.display());
    let registry = DockerRegistry::start(dir.path(), "", &clients);
    let own = dir.path().join("certs.d").join(&registry.host);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::copy(&cert, own.join("ca.crt")).unwrap();
    let mut configured = options(None);
    configured.certs_d = vec![dir.path().join("certs.d")];
    client(&registry, configured.clone())
        .manifest("1")
        .unwrap_err();
    std::fs::copy(&cert, own.join("client.cert")).unwrap();
    std::fs::copy(&key, own.join("client.key")).unwrap();
    pull(&registry, configured, &layer);

    let mut missing = options(None);
    missing.tls_ca = vec![dir.path().join("absent.crt")];
    let error = client(&registry, missing).manifest("1").unwrap_err();
    assert!(render(&error).contains("absent.crt"), "{error:#}");
}
