//! How a program connects.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use crate::error::Error;
use crate::unsent::Unsent;

const WS_ADDRESS: &str = "wss://api.limitr.dev";
const TICKET_ADDRESS: &str = "https://api.limitr.dev";

/// How a program connects to its server.
///
/// ```
/// use std::time::Duration;
/// use limitr_client::CloudOptions;
///
/// let options = CloudOptions::new("limitr_...")
///     .connect_timeout(Duration::from_secs(2))
///     .deny_unconnected(false)
///     .ws_address("ws://127.0.0.1:7070");
/// assert!(!format!("{options:?}").contains("limitr_..."));
/// ```
#[derive(Clone)]
#[must_use]
pub struct CloudOptions {
    pub(crate) token: String,
    pub(crate) policy: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) deny_unconnected: bool,
    ws_address: Option<String>,
    ticket_address: Option<String>,
    pub(crate) unsent: Unsent,
}

impl CloudOptions {
    /// Connects with this token, which has the scope `engine`.
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            policy: None,
            connect_timeout: Duration::from_secs(5),
            deny_unconnected: true,
            ws_address: None,
            ticket_address: None,
            unsent: Unsent::default(),
        }
    }

    /// Stays on one published version of the policy, `pol_...`. Without it, or with `active`, always the latest.
    pub fn policy(mut self, version: impl Into<String>) -> Self {
        self.policy = Some(version.into()).filter(|version| !matches!(version.as_str(), "" | "active"));
        self
    }

    /// How long the server may take: for the first connection, for a customer that it is asked for, and for storing what is
    /// left at the end. Default 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Whether calls that use something are denied while there is no connection; default true. With false they are decided
    /// by what is known here, and sent later.
    pub fn deny_unconnected(mut self, deny: bool) -> Self {
        self.deny_unconnected = deny;
        self
    }

    /// Where the server takes connections, for example `wss://limits.example.com`. Default: what the environment variable
    /// `LIMITR_WS_ADDRESS` says, else the host of the ticket address where that is given, else Limitr Cloud.
    pub fn ws_address(mut self, address: impl Into<String>) -> Self {
        self.ws_address = Some(address.into());
        self
    }

    /// Where the server changes tokens into tickets, for example `https://limits.example.com`. Default: what the environment
    /// variable `LIMITR_TICKET_ADDRESS` says, else the host of the address for connections where that is given, else Limitr
    /// Cloud.
    pub fn ticket_address(mut self, address: impl Into<String>) -> Self {
        self.ticket_address = Some(address.into());
        self
    }

    /// Goes on where an earlier start of this program ended: sends first what it had not sent.
    pub fn resume(mut self, unsent: Unsent) -> Self {
        self.unsent = unsent;
        self
    }

    /// Where to ask for tickets, and where to connect.
    pub(crate) fn addresses(&self, environment: impl Fn(&str) -> Option<String>) -> Result<(Url, Url), Error> {
        let given = |option: &Option<String>, variable: &str| {
            option.clone().or_else(|| environment(variable).filter(|address| !address.is_empty()))
        };
        let ws = given(&self.ws_address, "LIMITR_WS_ADDRESS");
        let ticket = given(&self.ticket_address, "LIMITR_TICKET_ADDRESS");
        // Where one is given the other follows: a token of one's own server has no business elsewhere.
        let (ws, ticket) = match (ws, ticket) {
            (None, None) => (WS_ADDRESS.to_owned(), TICKET_ADDRESS.to_owned()),
            (Some(ws), None) => (ws.clone(), ws.replacen("ws", "http", 1)),
            (None, Some(ticket)) => (ticket.replacen("http", "ws", 1), ticket),
            (Some(ws), Some(ticket)) => (ws, ticket),
        };
        let ticket = address("ticket_address", &ticket, ["https", "http"], &["wss", "ticket"])?;
        Ok((ticket, address("ws_address", &ws, ["wss", "ws"], &["wss"])?))
    }
}

fn address(option: &'static str, text: &str, schemes: [&str; 2], path: &[&str]) -> Result<Url, Error> {
    let [secure, plain] = schemes;
    let bare = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let usable = |url: &Url| schemes.contains(&url.scheme()) && url.has_host() && bare(url);
    let url = Url::parse(text).ok().filter(usable).and_then(|mut url| {
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        Some(url)
    });
    url.ok_or_else(|| {
        // Without the text: who puts a password into an address would find it in a log.
        Error::new(
            "invalid_address",
            format!("`{option}` is no address that begins with `{secure}://` or `{plain}://`"),
        )
        .at(option)
        .hint_at(format!("for example `{secure}://limits.example.com`, or `{plain}://127.0.0.1:7070`"))
    })
}

impl fmt::Debug for CloudOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All but the token.
        f.debug_struct("CloudOptions")
            .field("policy", &self.policy)
            .field("connect_timeout", &self.connect_timeout)
            .field("deny_unconnected", &self.deny_unconnected)
            .field("ws_address", &self.ws_address)
            .field("ticket_address", &self.ticket_address)
            .field("unsent", &self.unsent.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(options: &CloudOptions, environment: &[(&str, &str)]) -> Result<(String, String), Error> {
        let of = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        options.addresses(of).map(|(ticket, ws)| (ticket.to_string(), ws.to_string()))
    }

    fn pair(ticket: &str, ws: &str) -> (String, String) {
        (format!("{ticket}/wss/ticket"), format!("{ws}/wss"))
    }

    #[test]
    fn options_win_over_the_environment_over_defaults() {
        let options = CloudOptions::new("t");
        let environment = [("LIMITR_WS_ADDRESS", "ws://b:2"), ("LIMITR_TICKET_ADDRESS", "http://b:1/")];
        assert_eq!(addresses(&options, &[]).unwrap(), pair("https://api.limitr.dev", "wss://api.limitr.dev"));
        assert_eq!(addresses(&options, &environment).unwrap(), pair("http://b:1", "ws://b:2"));
        let options = options.ws_address("wss://a").ticket_address("https://a/limits");
        assert_eq!(addresses(&options, &environment).unwrap(), pair("https://a/limits", "wss://a"));
    }

    #[test]
    fn a_token_goes_where_the_connection_goes() {
        let options = CloudOptions::new("t");
        let ws = [("LIMITR_WS_ADDRESS", "wss://limits.example")];
        assert_eq!(addresses(&options, &ws).unwrap(), pair("https://limits.example", "wss://limits.example"));
        let ticket = options.ticket_address("http://127.0.0.1:7070");
        assert_eq!(addresses(&ticket, &[]).unwrap(), pair("http://127.0.0.1:7070", "ws://127.0.0.1:7070"));
    }

    #[test]
    fn what_is_no_address_is_told_with_the_option() {
        for (option, options) in [
            ("ws_address", CloudOptions::new("t").ws_address("https://a").ticket_address("https://a")),
            ("ws_address", CloudOptions::new("t").ws_address("wss://").ticket_address("https://a")),
            ("ticket_address", CloudOptions::new("t").ws_address("localhost:7070")),
            ("ticket_address", CloudOptions::new("t").ticket_address("wss://a?b=c")),
            ("ws_address", CloudOptions::new("t").ws_address("wss://ann:s3cret@a").ticket_address("https://a")),
        ] {
            let error = addresses(&options, &[]).unwrap_err();
            assert_eq!((error.code(), error.path()), ("invalid_address", Some(option)), "{error}");
            assert!(error.hint().is_some() && !error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn active_is_no_version() {
        assert_eq!(CloudOptions::new("t").policy("active").policy, None);
        assert_eq!(CloudOptions::new("t").policy("pol_1").policy.as_deref(), Some("pol_1"));
    }
}
