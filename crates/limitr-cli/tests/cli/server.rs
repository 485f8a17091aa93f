//! A server for the commands to speak to, in this process.

use limitr_server::{Config, LogLevel, Running, Server};
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Folder, Ran};

/// A server of its own, and a folder in which nobody is logged in.
pub struct World {
    pub folder: Folder,
    pub url: String,
    pub email: String,
    pub password: String,
    pub admin: String,
    pub engine: String,
    runtime: Runtime,
    running: Option<Running>,
    _data: TempDir,
}

impl World {
    /// With the workspace, the tokens and the policy that `--dev` makes.
    pub fn new(name: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.listen = "127.0.0.1:0".to_owned();
        config.data_dir = data.path().to_owned();
        config.log_level = LogLevel::Error;
        config.dev = true;
        let runtime = Runtime::new().unwrap();
        let running = runtime.block_on(Server::start(config)).unwrap();
        let url = format!("http://{}", running.addr());
        let dev = running.dev().unwrap();
        let (email, password) = (dev.email.clone(), dev.password.clone());
        let (admin, engine) = (dev.admin_token.clone(), dev.engine_token.clone());
        let folder = Folder::new(name);
        Self { folder, url, email, password, admin, engine, runtime, running: Some(running), _data: data }
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.0.join(name), text).unwrap();
    }

    /// A command by whoever is logged in.
    pub fn limitr(&self, arguments: &[&str], input: &str) -> Ran {
        self.folder.limitr_in(&[("LIMITR_SERVER", &self.url)], arguments, input)
    }

    /// A command with the token that may do everything.
    pub fn admin(&self, arguments: &[&str]) -> Ran {
        self.folder.limitr_in(&[("LIMITR_SERVER", &self.url), ("LIMITR_TOKEN", &self.admin)], arguments, "")
    }

    /// What the command answers to programs.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let ran = self.admin(&arguments);
        assert_eq!(ran.err, "");
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
    }

    /// A request to the API.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.runtime.block_on(async {
            let request = reqwest::Client::new().post(format!("{}/api/v1/{path}", self.url)).json(body);
            let response = request.header(AUTHORIZATION, format!("Bearer {}", self.admin)).send().await.unwrap();
            let (status, text) = (response.status(), response.text().await.unwrap());
            assert!(status.is_success(), "{status}: {text}");
            serde_json::from_str(&text).unwrap()
        })
    }

    /// What was printed, without what is different every time.
    pub fn stable(&self, ran: &Ran) -> String {
        stable(&ran.all().replace(&self.url, "<url>"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

/// Ids, secrets and times with letters instead of what they are.
pub fn stable(text: &str) -> String {
    let mut stable = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let prefix = ["pol_", "tok_", "usr_", "limitr_setup_", "limitr_", "ws_"].into_iter().find(|prefix| {
            rest.starts_with(prefix) && !stable.ends_with(|before: char| before.is_alphanumeric() || before == '_')
        });
        if let Some(prefix) = prefix {
            let end =
                rest[prefix.len()..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len() - prefix.len());
            stable.push_str(prefix);
            // As long as it was, so that columns stay.
            stable.push_str(&"x".repeat(end));
            rest = &rest[prefix.len() + end..];
        } else if first.is_ascii_digit() && is_time(rest) {
            stable.push_str("YYYY-MM-DD hh:mm:ss");
            rest = &rest[19..];
        } else {
            stable.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    stable
}

/// `2026-01-15 00:00:00`
fn is_time(text: &str) -> bool {
    let shape = text.get(..19).unwrap_or_default().chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
    shape.collect::<String>() == "0000-00-00 00:00:00"
}
