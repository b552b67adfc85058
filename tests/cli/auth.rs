//! Who may pull: credentials from every place they can be in, and what is said without one.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::support::registry::{Access, Registry};
use crate::support::samples;
use crate::support::scratch::Scratch;
use crate::support::token_server::{TokenServer, User};
use crate::support::ucr::{Invocation, Ucr};

const USER: &str = "ada";
const PASSWORD: &str = "Analytical:Engine/1843";

/// A registry that lets only [`USER`] in, with busybox.
struct Locked {
    registry: Registry,
    reference: String,
    realm: String,
    _tokens: Option<(TokenServer, Scratch)>,
}

impl Locked {
    /// With a password file.
    fn basic() -> Self {
        Self::new(Registry::basic(USER, PASSWORD), "ucr-basic", None)
    }

    /// With a token server, whose tokens live long enough for any test.
    fn token() -> Self {
        let scratch = Scratch::new();
        let user = User {
            name: USER.into(),
            password: PASSWORD.into(),
            is_guest: false,
        };
        let tokens = TokenServer::start(scratch.path(), &[user], 300);
        let registry = Registry::start(&Access::Section(tokens.registry_config()));
        let realm = tokens.realm();
        Self::new(registry, &realm, Some((tokens, scratch)))
    }

    fn both() -> [Self; 2] {
        [Self::basic(), Self::token()]
    }

    fn new(registry: Registry, realm: &str, tokens: Option<(TokenServer, Scratch)>) -> Self {
        let reference = registry.push(&samples::busybox(), samples::TAG, "demo/busybox:1");
        Self {
            registry,
            reference,
            realm: realm.into(),
            _tokens: tokens,
        }
    }

    fn address(&self) -> &str {
        self.registry.address()
    }
}

/// The text of a docker config.json with one credential.
fn docker_config(registry: &str, password: &str) -> String {
    let auth = BASE64.encode(format!("{USER}:{password}"));
    json!({"auths": {registry: {"auth": auth}}}).to_string()
}

/// Pulls, expects success, and that the secret is nowhere in what was said.
#[track_caller]
fn accepted(ucr: &Ucr, invocation: Invocation) -> String {
    let done = invocation.run().ok();
    assert_eq!(done.text(), samples::busybox().resolve(samples::TAG));
    let said = done.stderr.clone() + &done.stdout;
    for secret in [PASSWORD, &BASE64.encode(format!("{USER}:{PASSWORD}"))] {
        assert!(
            !said.contains(secret),
            "the secret is in the output:\n{said}"
        );
    }
    assert_eq!(
        ucr.run(["images", "--format", "json"])
            .ok()
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    done.stderr
}

#[test]
fn no_credential() {
    for locked in Locked::both() {
        let ucr = Ucr::new();
        ucr.run(["pull", &locked.reference]).refused(&[
            locked.address(),
            &locked.realm,
            "no credential",
        ]);
        assert_eq!(
            ucr.run(["images", "--format", "json"]).ok().json(),
            json!([])
        );
    }
}

#[test]
fn wrong_password() {
    for locked in Locked::both() {
        let ucr = Ucr::new();
        let done = ucr
            .run(["pull", "--creds", "ada:wrong-one", &locked.reference])
            .refused(&[locked.address(), &locked.realm, "from --creds was refused"]);
        assert!(!done.stderr.contains("no credential"), "{}", done.stderr);
        assert!(!done.stderr.contains("wrong-one"), "{}", done.stderr);
    }
}

#[test]
fn on_the_command_line() {
    for locked in Locked::both() {
        let ucr = Ucr::new();
        let creds = format!("{USER}:{PASSWORD}");
        accepted(
            &ucr,
            ucr.cmd(["pull", "-v", "--creds", &creds, &locked.reference]),
        );
    }
}

#[test]
fn from_stdin() {
    let Locked { reference, .. } = &Locked::basic();
    for end in ["", "\n", "\r\n"] {
        let ucr = Ucr::new();
        let pull = ucr.cmd(["pull", "-v", "--creds", USER, "--password-stdin", reference]);
        accepted(&ucr, pull.stdin(format!("{PASSWORD}{end}")));
    }
}

#[test]
fn from_files() {
    let Locked {
        registry,
        reference,
        ..
    } = &Locked::basic();
    let config = docker_config(registry.address(), PASSWORD);
    let ucr = Ucr::new();
    let file = ucr.scratch().file("auth.json", &config);
    let name = file.to_str().unwrap();
    accepted(
        &ucr,
        ucr.cmd(["pull", "-v", "--auth-file", name, reference]),
    );
    accepted(
        &ucr,
        ucr.cmd([
            "pull",
            "-v",
            "--policy",
            "always",
            "--pull-secret",
            name,
            reference,
        ]),
    );
    let always = || ucr.cmd(["pull", "-v", "--policy", "always", reference]);
    accepted(&ucr, always().env("REGISTRY_AUTH_FILE", name));
    let piped = ucr.cmd([
        "pull",
        "--policy",
        "always",
        "--pull-secret",
        "-",
        reference,
    ]);
    accepted(&ucr, piped.stdin(config.as_str()));
    ucr.scratch().dir("home/.docker");
    ucr.scratch().file("home/.docker/config.json", &config);
    let said = accepted(&ucr, always());
    assert!(
        said.contains(".docker/config.json"),
        "-v says where the credential is from:\n{said}"
    );
    assert!(
        said.contains(registry.address()),
        "-v says which registry it is for:\n{said}"
    );
}

/// The pull secret of Mesos and DC/OS may also be an old .dockercfg: no `auths` around it.
#[test]
fn old_dockercfg() {
    let Locked {
        registry,
        reference,
        ..
    } = &Locked::basic();
    let ucr = Ucr::new();
    let auth = BASE64.encode(format!("{USER}:{PASSWORD}"));
    let old = json!({registry.address(): {"auth": auth, "email": "ada@example.org"}}).to_string();
    let pull = ucr.cmd(["pull", "--pull-secret", "-", reference]);
    accepted(&ucr, pull.stdin(old));
}

/// A credential for another registry, or another port of this one, is not used.
#[test]
fn of_another_registry() {
    let Locked {
        registry,
        reference,
        ..
    } = &Locked::basic();
    let ucr = Ucr::new();
    for other in ["127.0.0.1:1", "localhost", "docker.io"] {
        let file = ucr
            .scratch()
            .file("auth.json", docker_config(other, PASSWORD));
        let pull = ucr.cmd(["pull", "--auth-file", file.to_str().unwrap(), reference]);
        pull.run().refused(&[registry.address(), "no credential"]);
    }
}

/// A helper that is missing, fails or hangs is a warning, and the pull goes on without it.
#[test]
fn broken_helpers() {
    let registry = Registry::open();
    let reference = registry.push(&samples::busybox(), samples::TAG, "demo/busybox:1");
    for (name, script) in [
        ("missing", None),
        ("failing", Some("#!/bin/sh\necho broken >&2; exit 1\n")),
        ("talking", Some("#!/bin/sh\necho this is not JSON\n")),
        ("hanging", Some("#!/bin/sh\nexec sleep 1000\n")),
    ] {
        let ucr = Ucr::new();
        let program = format!("docker-credential-{name}");
        if let Some(script) = script {
            let file = ucr.scratch().file(&program, script);
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let config = json!({"credsStore": name}).to_string();
        let file = ucr.scratch().file("auth.json", config);
        let path = format!("{}:/usr/bin:/bin", ucr.scratch().path().display());
        let pull = ucr.cmd(["pull", "--auth-file", file.to_str().unwrap(), &reference]);
        let pull = pull.env("PATH", &path).limit(Duration::from_secs(60));
        let said = accepted(&ucr, pull);
        assert!(
            said.contains(&program),
            "{name}: a warning names the helper:\n{said}"
        );
        if name == "hanging" {
            let line = ["pull", "--pull-timeout", "2", "--auth-file"];
            let pull = ucr.cmd(line).arg(&file).arg(&reference).env("PATH", &path);
            let done = pull.limit(Duration::from_secs(15)).run();
            done.refused(&[&program, "longer than allowed"]);
        }
    }
}

/// A working helper answers for its registry.
#[test]
fn a_helper_that_works() {
    let Locked {
        registry,
        reference,
        ..
    } = &Locked::basic();
    let ucr = Ucr::new();
    let answer = json!({"ServerURL": registry.address(), "Username": USER, "Secret": PASSWORD});
    let script = format!(
        "#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get {}' ] || exit 1\necho '{answer}'\n",
        registry.address()
    );
    let helper = ucr.scratch().file("docker-credential-vault", script);
    std::fs::set_permissions(helper, PermissionsExt::from_mode(0o755)).unwrap();
    let config = json!({"credHelpers": {registry.address(): "vault"}}).to_string();
    let file = ucr.scratch().file("auth.json", config);
    let path = format!("{}:/usr/bin:/bin", ucr.scratch().path().display());
    let pull = ucr.cmd([
        "pull",
        "-v",
        "--auth-file",
        file.to_str().unwrap(),
        reference,
    ]);
    let said = accepted(&ucr, pull.env("PATH", path));
    assert!(
        said.contains("vault"),
        "-v says where the credential is from:\n{said}"
    );
}
