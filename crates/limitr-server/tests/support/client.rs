//! A server under test, and a client that speaks to it.

use limitr_server::{Config, Database as Address, LogLevel, Running, Server};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::AnyPool;

use super::database::{Database, Kind};

pub(crate) const EMAIL: &str = "ann@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server with a database of its own.
pub(crate) struct Node {
    pub(crate) database: Database,
    pub(crate) config: Config,
    running: Option<Running>,
    base: String,
}

/// What the server is told for a test.
pub(crate) fn config(database: &Database) -> Config {
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".to_owned();
    config.database = Address::parse(&database.url).unwrap();
    config.data_dir = database.directory().to_owned();
    config.log_level = LogLevel::Error;
    config.login_attempts = 1_000;
    config
}

impl Node {
    pub(crate) async fn start(kind: Kind) -> Self {
        Self::start_with(kind, |_| ()).await
    }

    pub(crate) async fn start_with(kind: Kind, change: impl FnOnce(&mut Config)) -> Self {
        let database = Database::new(kind).await;
        let mut config = config(&database);
        change(&mut config);
        let running = Server::start(config.clone()).await.unwrap();
        let base = format!("http://{}", running.addr());
        Self { database, config, running: Some(running), base }
    }

    /// With a workspace, and its owner logged in.
    pub(crate) async fn ready(kind: Kind) -> (Self, Client) {
        let node = Self::start(kind).await;
        let owner = node.set_up().await;
        (node, owner)
    }

    pub(crate) async fn set_up(&self) -> Client {
        let mut owner = self.client();
        let setup = json!({"secret": self.setup_secret(), "workspace": "Acme", "email": EMAIL, "password": PASSWORD});
        let answer = owner.post("/api/v1/setup", &setup).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        owner.csrf = Some(answer.body["csrf"].as_str().unwrap().to_owned());
        owner
    }

    pub(crate) fn setup_secret(&self) -> String {
        let link = self.running().setup_link().unwrap();
        link.split_once('#').unwrap().1.to_owned()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::to(&self.base)
    }

    pub(crate) fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self.client() }
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Client {
        let mut client = self.client();
        let answer = client.post("/api/v1/login", &json!({"email": email, "password": password})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        client.csrf = Some(answer.body["csrf"].as_str().unwrap().to_owned());
        client
    }

    /// A look into the database itself.
    pub(crate) async fn pool(&self) -> AnyPool {
        AnyPool::connect(&self.database.url).await.unwrap()
    }

    /// Everything in the database, as text.
    pub(crate) async fn dump(&self) -> String {
        let file = self.database.directory().join("dump");
        limitr_server::backup(&self.config, &file).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        text
    }

    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }
}

/// Somebody who calls: with a cookie, a token or nothing.
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) csrf: Option<String>,
    pub(crate) token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn to(base: &str) -> Self {
        let http = reqwest::Client::builder().cookie_store(true).build().unwrap();
        Self { http, base: base.to_owned(), csrf: None, token: None }
    }

    pub(crate) fn with_csrf(self, csrf: Option<&str>) -> Self {
        Self { csrf: csrf.map(str::to_owned), ..self }
    }

    /// A request with all that this client sends by itself.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(csrf) = &self.csrf {
            request = request.header("X-CSRF-Token", csrf);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, body, text }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {self:?}")).to_str().unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// A problem, with all that every problem has.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        for text in ["title", "detail"] {
            assert!(self.body[text].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        self
    }
}
