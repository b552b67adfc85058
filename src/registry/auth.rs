//! Answering a registry's challenge: Basic, or a token from its realm.
//!
//! One [`Authorizer`] per endpoint and repository. A token is fetched once and shared by all
//! requests (single flight), renewed before it ends, and once more for each request that is
//! refused with it. It is for pulling from this repository and nothing else, whatever the
//! challenge asks for. A password is shown to the registry itself only on a `Basic` challenge, and
//! to a realm only if `policy` allows it; a registry token goes to the registry on `Bearer`. Flow:
//! distribution, "Token Authentication" and "OAuth2".

use std::time::{Duration, Instant};

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE,
};
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::challenge::{self, Bearer, Challenge};
use super::fault;
use super::policy::{self, Reach};
use super::retry;
use super::transport::{Request, Response};
use super::wire::{MAX_DOCUMENT, Trouble, Wire};
use crate::credentials::{Found, Secret};
use crate::error::{Fault, Kind};

/// How long a token holds when its server does not say (distribution, "Token Authentication").
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// What ucr calls itself at token servers.
const CLIENT: &str = "ucr";

/// The credentials of one endpoint, and the tokens they were exchanged for.
pub(super) struct Authorizer {
    /// `HOST[:PORT]`, for messages.
    name: String,
    /// What every token allows: a server that asks for more, to push or another repository, would
    /// get a token that it can use there in our name.
    scope: String,
    found: Found,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts the answers given, so that late refusals of an old token do not fetch another one.
    generation: u64,
    header: Option<HeaderValue>,
    /// Whether the credential was shown to anybody.
    shown: bool,
    /// What to renew, and when.
    token: Option<(Bearer, Instant)>,
    /// What the registry calls its protected area or its token server.
    realm: Option<String>,
}

/// What to send with a request, and how to know it again.
pub(super) struct Permit {
    pub header: Option<HeaderValue>,
    generation: u64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

impl Authorizer {
    pub(super) fn new(name: String, repository: &str, found: Found) -> Self {
        Self {
            name,
            scope: format!("repository:{repository}:pull"),
            found,
            state: Mutex::default(),
        }
    }

    /// What to send now; renews a token that is about to end.
    pub(super) async fn permit(&self, wire: &Wire, registry: &Url) -> Result<Permit, Trouble> {
        let mut state = self.state.lock().await;
        if let Some((bearer, until)) = state.token.clone()
            && Instant::now() >= until
        {
            self.obtain(&mut state, wire, registry, bearer).await?;
        }
        Ok(Permit {
            header: state.header.clone(),
            generation: state.generation,
        })
    }

    /// Answers a 401. `Ok(None)` if there is nothing better to send than what was refused.
    pub(super) async fn answer(
        &self,
        wire: &Wire,
        registry: &Url,
        refused: &Permit,
        headers: &HeaderMap,
    ) -> Result<Option<Permit>, Trouble> {
        let mut state = self.state.lock().await;
        if state.generation == refused.generation {
            let lines = headers.get_all(WWW_AUTHENTICATE).iter();
            let chosen = challenge::choose(lines.filter_map(|line| line.to_str().ok()));
            let better = match chosen {
                None => false,
                Some(Challenge::Basic { realm }) => self.basic(&mut state, realm),
                Some(Challenge::Bearer(bearer)) => {
                    self.bearer(&mut state, wire, registry, bearer).await?
                }
            };
            if !better {
                return Ok(None);
            }
        }
        Ok(Some(Permit {
            header: state.header.clone(),
            generation: state.generation,
        }))
    }

    fn basic(&self, state: &mut State, realm: String) -> bool {
        state.realm = Some(realm);
        let Some(Secret::Basic { user, password }) = self.secret() else {
            return false;
        };
        let header = basic_header(user, password);
        let better = header.is_some() && header != state.header;
        state.shown |= header.is_some();
        state.header = header;
        state.token = None;
        state.generation += 1;
        better
    }

    async fn bearer(
        &self,
        state: &mut State,
        wire: &Wire,
        registry: &Url,
        bearer: Bearer,
    ) -> Result<bool, Trouble> {
        if let Some(Secret::RegistryToken(token)) = self.secret() {
            state.realm = Some(bearer.realm);
            let header = secret_header(format!("Bearer {token}"));
            let better = header.is_some() && header != state.header;
            state.shown |= header.is_some();
            state.header = header;
            state.generation += 1;
            return Ok(better);
        }
        self.obtain(state, wire, registry, bearer).await?;
        Ok(true)
    }

    fn secret(&self) -> Option<&Secret> {
        self.found.credential.as_ref().map(|found| &found.secret)
    }

    async fn obtain(
        &self,
        state: &mut State,
        wire: &Wire,
        registry: &Url,
        bearer: Bearer,
    ) -> Result<(), Trouble> {
        let realm = policy::check_realm(registry, &bearer.realm).map_err(|why| {
            let message = format!(
                "registry {}: its token realm '{}' is refused: {why}",
                self.name,
                bearer.realm.split('?').next().unwrap_or_default()
            );
            Trouble::Fault(Fault::new(Kind::Denied, message).hint("no credential was sent there"))
        })?;
        state.realm = Some(plain(&realm));
        // Whatever the token server makes of it, it sees the credential, if there is one.
        state.shown = self.secret().is_some();
        let answer = self.exchange(wire, registry, &realm, &bearer).await?;
        let life = match answer.expires_in {
            Some(seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(DEFAULT_LIFE),
            None => DEFAULT_LIFE,
        };
        let token = [answer.token, answer.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty());
        let header = token.and_then(|token| secret_header(format!("Bearer {token}")));
        if header.is_none() {
            return Err(self.senseless(&realm, "no token in its answer"));
        }
        state.header = header;
        // A tenth early, so that a token does not end on its way.
        let until = Instant::now().checked_add(life.mul_f64(0.9));
        state.token = until.map(|until| (bearer, until));
        state.generation += 1;
        Ok(())
    }

    async fn exchange(
        &self,
        wire: &Wire,
        registry: &Url,
        realm: &Url,
        bearer: &Bearer,
    ) -> Result<TokenAnswer, Trouble> {
        if let Some(Secret::IdentityToken { token, .. }) = self.secret() {
            let request = self.post(realm, bearer, token);
            let mut response = self.ask(wire, registry, realm, request).await?;
            // Registries that know no OAuth 2 say so in many ways (GCR 404, Artifactory 401, ACR
            // 400, others 405); GET then decides.
            if response.status.is_success() {
                return self.understand(wire, realm, &mut response).await;
            }
        }
        let request = self.get(realm, bearer);
        let mut response = self.ask(wire, registry, realm, request).await?;
        if response.status.is_success() {
            return self.understand(wire, realm, &mut response).await;
        }
        Err(self.refused(wire, realm, &mut response).await)
    }

    fn post(&self, realm: &Url, bearer: &Bearer, token: &str) -> Request {
        // A query string is a form: let a copy of the URL write it.
        let mut writer = realm.clone();
        writer.set_query(None);
        writer
            .query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", CLIENT)
            .append_pair("scope", &self.scope)
            .append_pair("refresh_token", token)
            .append_pair("service", bearer.service.as_deref().unwrap_or_default());
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Request {
            method: Method::POST,
            url: realm.clone(),
            headers,
            body: writer.query().map(str::to_owned),
            within: Reach::LinkLocal,
        }
    }

    fn get(&self, realm: &Url, bearer: &Bearer) -> Request {
        let mut url = realm.clone();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &bearer.service {
                query.append_pair("service", service);
            }
            query.append_pair("scope", &self.scope);
            query.append_pair("client_id", CLIENT);
        }
        let basic = match self.secret() {
            Some(Secret::Basic { user, password }) => basic_header(user, password),
            Some(Secret::IdentityToken { user, token }) => {
                basic_header(user.as_deref().unwrap_or("<token>"), token)
            }
            Some(Secret::RegistryToken(_)) | None => None,
        };
        if let Some(basic) = basic {
            headers.insert(AUTHORIZATION, basic);
        }
        Request {
            method: Method::GET,
            url,
            headers,
            body: None,
            within: Reach::LinkLocal,
        }
    }

    /// Asks the token server, again if its trouble is a passing one.
    async fn ask(
        &self,
        wire: &Wire,
        registry: &Url,
        realm: &Url,
        request: Request,
    ) -> Result<Response, Trouble> {
        let mut failures = 0;
        loop {
            let outcome = wire.follow(registry, request.clone()).await;
            failures += 1;
            match fault::wait_after(&wire.timing, &outcome, failures) {
                Some(wait) if failures < wire.timing.tries => {
                    let host = realm.host_str().unwrap_or_default();
                    let why = format!(
                        "token server {host} of registry {} is in trouble",
                        self.name
                    );
                    wire.wait(wait, &why).await.map_err(Trouble::Fault)?;
                }
                _ => return outcome.map_err(|trouble| self.unreachable(realm, trouble)),
            }
        }
    }

    fn unreachable(&self, realm: &Url, trouble: Trouble) -> Trouble {
        let who = format!("registry {}: token server {}", self.name, plain(realm));
        match trouble {
            Trouble::Broken(broken) => Trouble::Fault(broken.fault(&who)),
            Trouble::Fault(fault) => Trouble::Fault(fault),
        }
    }

    async fn understand(
        &self,
        wire: &Wire,
        realm: &Url,
        response: &mut Response,
    ) -> Result<TokenAnswer, Trouble> {
        let body = wire
            .body(response, MAX_DOCUMENT)
            .await
            .map_err(|trouble| self.unreachable(realm, trouble))?;
        if body.len() as u64 > MAX_DOCUMENT {
            return Err(self.senseless(realm, "its answer is larger than 1 MiB"));
        }
        serde_json::from_slice(&body).map_err(|_| self.senseless(realm, "its answer is no token"))
    }

    fn senseless(&self, realm: &Url, why: &str) -> Trouble {
        let message = format!(
            "registry {}: token server {}: {why}",
            self.name,
            plain(realm)
        );
        Trouble::Fault(Fault::new(Kind::Registry, message))
    }

    async fn refused(&self, wire: &Wire, realm: &Url, response: &mut Response) -> Trouble {
        let status = response.status;
        let reason = fault::reason(status, &wire.document(response).await);
        let place = format!("registry {}, realm {}", self.name, plain(realm));
        if retry::is_passing(status.as_u16()) || status.is_server_error() {
            // Says nothing about the credential.
            let fault = Fault::new(Kind::Network, format!("{place}: {reason}"));
            return Trouble::Fault(fault.hint("the token server is in trouble; try later"));
        }
        if !matches!(status.as_u16(), 400 | 401 | 403 | 404) {
            return self.senseless(realm, &reason);
        }
        Trouble::Fault(self.denied(&place, &reason, true))
    }

    /// The fault of a refusal: what was shown, or that nothing was, and what the other side said.
    fn denied(&self, place: &str, reason: &str, shown: bool) -> Fault {
        let looked_in = match self.found.looked_in.as_slice() {
            [] => String::new(),
            places => format!("; looked in {}", places.join(", ")),
        };
        let (what, hint) = match &self.found.credential {
            Some(credential) if shown => (
                format!("{credential} was refused: {reason}"),
                format!("check the credential in {}", credential.origin),
            ),
            Some(credential) => (
                format!("access refused: {reason}; {credential} was not asked for"),
                "check the name, and whether this registry takes such a credential".to_owned(),
            ),
            None => (
                format!("access refused: {reason}; no credential was found{looked_in}"),
                "give a credential with --creds USER or --auth-file FILE".to_owned(),
            ),
        };
        Fault::new(Kind::Denied, format!("{place}: {what}")).hint(hint)
    }

    /// The fault of a request for `what` that the registry refused with 401 or 403.
    pub(super) async fn denial(&self, what: &str, reason: &str) -> Fault {
        let state = self.state.lock().await;
        let realm = match &state.realm {
            Some(realm) if !realm.is_empty() => format!(", realm {realm}"),
            _ => String::new(),
        };
        let place = format!("{what}: registry {}{realm}", self.name);
        self.denied(&place, reason, state.shown)
    }

    /// Who we were to the registry, for messages about things not found.
    pub(super) async fn identity(&self) -> String {
        match &self.found.credential {
            Some(credential) if self.state.lock().await.shown => format!("with {credential}"),
            _ => "without a credential".to_owned(),
        }
    }
}

/// The realm without its query.
fn plain(realm: &Url) -> String {
    let mut realm = realm.clone();
    realm.set_query(None);
    realm.set_fragment(None);
    realm.to_string()
}

fn basic_header(user: &str, password: &str) -> Option<HeaderValue> {
    secret_header(format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
}

/// Marked as sensitive: HTTP/2 keeps it out of its tables, and `{:?}` does not show it.
fn secret_header(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
