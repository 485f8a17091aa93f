//! Requests to the server.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::SET_COOKIE;
use reqwest::{Client, Method, RequestBuilder, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::Target;
use super::login::{self, Session};
use super::problem::{Failure, Problem};
use crate::outcome::{Outcome, Trouble};

const SERVER: &str = "http://127.0.0.1:7070";

/// How long the server may take. Its own bound for a request is half of that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Most rows of a page.
const PAGE: u32 = 200;

/// A server, and as whom to speak to it.
pub(super) struct Api {
    runtime: Runtime,
    http: Client,
    base: Url,
    auth: Auth,
}

enum Auth {
    Token(String),
    Session(Session),
    Nobody,
}

/// The first of a list, and whether there are more.
pub(super) struct Listed {
    pub(super) items: Vec<Value>,
    pub(super) more: bool,
}

impl Api {
    pub(super) fn new(target: &Target) -> Outcome<Self> {
        let set = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let server = target.server.clone().or_else(|| set("LIMITR_SERVER")).unwrap_or_else(|| SERVER.to_owned());
        let base = base(&server)?;
        let auth = match target.token.clone().or_else(|| set("LIMITR_TOKEN")) {
            Some(token) => Auth::Token(token),
            None => login::kept(&base)?.map_or(Auth::Nobody, Auth::Session),
        };
        Ok(Self { runtime: crate::commands::runtime(Builder::new_current_thread())?, http: client(&base)?, base, auth })
    }

    /// The server, as people write it.
    pub(super) fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.request(Method::GET, url)).map(|(body, _)| body)
    }

    pub(super) fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.send(self.request(Method::POST, self.url(path)).json(body)).map(|(body, _)| body)
    }

    pub(super) fn delete(&self, path: &[&str]) -> Result<(), Failure> {
        self.send(self.request(Method::DELETE, self.url(path))).map(drop)
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &Session) -> Result<(), Failure> {
        self.send(session.sign(self.http.post(self.url(&["logout"])))).map(drop)
    }

    /// A POST by nobody, for the cookie that it sets.
    pub(super) fn post_for_cookie(&self, path: &[&str], body: &Value) -> Result<(Value, Option<String>), Failure> {
        self.send(self.http.post(self.url(path)).json(body))
    }

    /// The first so many of a list, page by page.
    pub(super) fn list(&self, path: &[&str], query: &[(&str, String)], most: u32) -> Result<Listed, Failure> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let left = most.saturating_sub(items.len().try_into().unwrap_or(u32::MAX));
            let mut query = query.to_vec();
            query.push(("limit", left.min(PAGE).to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query)?;
            if let Some(Value::Array(rows)) = page.get_mut("items").map(Value::take) {
                items.extend(rows);
            }
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || items.len() >= most as usize {
                return Ok(Listed { items, more: cursor.is_some() });
            }
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.auth {
            Auth::Token(token) => request.bearer_auth(token),
            Auth::Session(session) => session.sign(request),
            Auth::Nobody => request,
        }
    }

    fn send(&self, request: RequestBuilder) -> Result<(Value, Option<String>), Failure> {
        self.runtime.block_on(async {
            let unreachable = |error: reqwest::Error| {
                Failure::Unreachable(format!("cannot reach {}: {}", self.server(), cause(&error)))
            };
            let response = request.send().await.map_err(unreachable)?;
            let status = response.status();
            let cookie = response.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
            // Without its attributes: they are for browsers.
            let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
            let bytes = response.bytes().await.map_err(unreachable)?;
            let body: Option<Value> =
                if bytes.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&bytes).ok() };
            match body {
                Some(body) if status.is_success() => Ok((body, cookie)),
                body => Err(match body.and_then(|body| Problem::read(status.as_u16(), &body)) {
                    Some(problem) => Failure::Problem(Box::new(problem)),
                    None => {
                        Failure::Unreachable(format!("{} is no Limitr server: it answered {status}", self.server()))
                    }
                }),
            }
        })
    }
}

fn base(server: &str) -> Outcome<Url> {
    let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    let bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    Url::parse(server).ok().filter(|url| usable(url) && bare(url)).ok_or_else(|| {
        Trouble::new("the server's address does not begin with `https://` or `http://`, or cannot be read")
            .hint(format!("write it as `https://limits.example.com`, or `{SERVER}`"))
    })
}

fn client(base: &Url) -> Outcome<Client> {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let near = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.and_then(|tls| {
        // The system's certificates are read only where they are needed.
        let tls = if base.scheme() == "https" {
            tls.with_platform_verifier()?
        } else {
            tls.with_root_certificates(RootCertStore::empty())
        };
        Ok(tls.with_no_client_auth())
    });
    let tls = tls.map_err(|error| {
        Trouble::new(format!("the certificates of this system cannot be used: {error}"))
            .hint("install them (`ca-certificates`), or name a file of them in SSL_CERT_FILE")
    })?;
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        // Whoever is sent the token or the cookie was named by the user.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("limitr/", env!("CARGO_PKG_VERSION")))
        .timeout(PATIENCE);
    let client = if near { client.no_proxy() } else { client };
    client.build().map_err(|error| Trouble::new(format!("cannot speak to servers: {}", cause(&error))))
}

/// What is behind an error, without the address, which is said already.
fn cause(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(next) = source.source() {
        source = next;
    }
    source.to_string()
}
