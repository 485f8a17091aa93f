//! `limitr serve`: the server, in this process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueHint};
use limitr_server::{Config, Error, Running, Server};
use tokio::runtime::Builder;

use crate::outcome::{Exit, Outcome, Trouble};

pub(crate) const EXAMPLES: &str = "\
Examples:
  limitr serve --dev
  limitr serve --listen 0.0.0.0:7070 --data-dir data --public-url https://limits.example.com
  LIMITR_DATABASE=postgres://... limitr serve --config limitr.toml

Every setting can also be an environment variable (LIMITR_LISTEN) or stand in the file of --config
(`listen = \"...\"`). Flags win over variables, variables over the file. SIGINT and SIGTERM end it
when what is under way is done.";

/// Where the server keeps what it knows.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// A file with settings, TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// `sqlite:<file>` in the data directory, or `postgres://...`. A password is better in LIMITR_DATABASE
    #[arg(long, value_name = "ADDRESS")]
    database: Option<String>,
    /// Where the server keeps its files
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<String>,
}

/// The settings of [`Config`], as text: it says what it expects of each.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Address and port to listen on [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Make a workspace, its owner, tokens and a policy at the first start, to try things out
    #[arg(long)]
    dev: bool,
    /// Certificate chain in PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_cert: Option<String>,
    /// Private key in PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    tls_key: Option<String>,
    /// How people reach the server, when it is not the address it listens on
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas
    #[arg(long, value_name = "ADDRESSES")]
    trusted_proxies: Option<String>,
    /// How logs look on standard error: pretty or json
    #[arg(long, value_name = "FORMAT", help_heading = "Logs")]
    log_format: Option<String>,
    /// How much is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", help_heading = "Logs")]
    log_level: Option<String>,
    /// Where traces are sent as OTLP over HTTP
    #[arg(long, value_name = "URL", help_heading = "Logs")]
    otlp_endpoint: Option<String>,
    /// Days for which raw ledger entries are kept; without it they stay
    #[arg(long, value_name = "DAYS", help_heading = "Bounds")]
    ledger_retention_days: Option<String>,
    /// The largest body of a request
    #[arg(long, value_name = "BYTES", help_heading = "Bounds")]
    body_bytes: Option<String>,
    /// The most connections at once
    #[arg(long, value_name = "COUNT", help_heading = "Bounds")]
    connections: Option<String>,
    /// How long a client may take to send the head of a request
    #[arg(long, value_name = "SECONDS", help_heading = "Bounds")]
    header_seconds: Option<String>,
    /// How long a request may take
    #[arg(long, value_name = "SECONDS", help_heading = "Bounds")]
    request_seconds: Option<String>,
    /// Logins a minute from one address, and for one account
    #[arg(long, value_name = "COUNT", help_heading = "Bounds")]
    login_attempts: Option<String>,
    /// Tickets a minute for one address
    #[arg(long, value_name = "COUNT", help_heading = "Bounds")]
    ticket_attempts: Option<String>,
    /// How long requests under way are given at the end
    #[arg(long, value_name = "SECONDS", help_heading = "Bounds")]
    drain_seconds: Option<String>,
}

impl Place {
    fn flags(&self) -> [(&'static str, &Option<String>); 2] {
        [("database", &self.database), ("data_dir", &self.data_dir)]
    }

    /// The settings, with those of the flags beside the place's own.
    pub(super) fn config(&self, flags: &[(&'static str, &Option<String>)]) -> Outcome<Config> {
        let flags = self.flags().into_iter().chain(flags.iter().copied());
        let flags = flags.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        // Variables that are no text are none of the server's.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_string().ok()?))
        });
        Config::load(flags, environment, self.config.as_deref().map(Path::new)).map_err(|error| trouble(&error))
    }
}

impl Serve {
    fn config(&self) -> Outcome<Config> {
        let dev = self.dev.then(|| "true".to_owned());
        self.place.config(&[
            ("listen", &self.listen),
            ("dev", &dev),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
            ("public_url", &self.public_url),
            ("trusted_proxies", &self.trusted_proxies),
            ("log_format", &self.log_format),
            ("log_level", &self.log_level),
            ("otlp_endpoint", &self.otlp_endpoint),
            ("ledger_retention_days", &self.ledger_retention_days),
            ("body_bytes", &self.body_bytes),
            ("connections", &self.connections),
            ("header_seconds", &self.header_seconds),
            ("request_seconds", &self.request_seconds),
            ("login_attempts", &self.login_attempts),
            ("ticket_attempts", &self.ticket_attempts),
            ("drain_seconds", &self.drain_seconds),
        ])
    }
}

pub(super) fn trouble(error: &Error) -> Trouble {
    Trouble::told(error.to_string(), error.path(), error.hint())
}

pub(super) fn run(arguments: &Serve, out: &mut dyn Write) -> Outcome {
    let config = arguments.config()?;
    let runtime = super::runtime(Builder::new_multi_thread())?;
    let exit = runtime.block_on(serve(config, out));
    // Whatever is left after the server has drained is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

async fn serve(config: Config, out: &mut dyn Write) -> Outcome {
    // Before the server begins: a signal that comes meanwhile is not lost.
    let mut signals = Signals::new().map_err(|error| Trouble::new(format!("cannot listen to signals: {error}")))?;
    let running = Server::start(config.clone()).await.map_err(|error| trouble(&error))?;
    let shown = out.write_all(text(&config, &running).as_bytes()).and_then(|()| out.flush());
    // Who closes the pipe has read enough; the server goes on.
    if let Err(error) = shown
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        running.stop().await;
        return Err(error.into());
    }
    signals.next().await;
    tokio::select! {
        () = running.stop() => Ok(Exit::Fine),
        () = signals.next() => Err(Trouble::new("stopped at once: what was under way is cut off")),
    }
}

/// Where it listens, and what to do next.
fn text(config: &Config, running: &Running) -> String {
    let addr = running.addr();
    let tls = config.tls_cert.is_some();
    let own = format!("{}://{addr}", if tls { "https" } else { "http" });
    let url = config.public_url.as_deref().map_or(own.as_str(), |url| url.trim_end_matches('/'));
    let mut text = format!("Limitr serves {url} from {}\n", config.database);
    if url != own {
        text.push_str(&format!("It listens on {addr}\n"));
    }
    if let Some(link) = running.setup_link() {
        text.push_str(&format!("\nSet it up, once and within a day:\n  {link}\n"));
    }
    if let Some(dev) = running.dev() {
        // What one connects to from here, where it listens everywhere.
        let near = url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:");
        text.push_str(&format!(
            "
For development, shown this once:
  log in        {} with password {}
  admin token   {}
  engine token  {}

Connect a program:
  export LIMITR_TOKEN={}
  export LIMITR_WS_ADDRESS={}
  export LIMITR_TICKET_ADDRESS={near}

Look around:
  export LIMITR_TOKEN={} LIMITR_SERVER={near}
  limitr cloud status
",
            dev.email,
            dev.password,
            dev.admin_token,
            dev.engine_token,
            dev.engine_token,
            near.replacen("http", "ws", 1),
            dev.admin_token,
        ));
    } else if config.dev {
        text.push_str("\nThe workspace for development is there: its tokens were shown when it was made.\n");
    }
    text.push_str("\nCtrl-C stops it.\n");
    text
}

/// SIGINT and SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, reason = "as it is elsewhere")]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        // An error means that there will be none.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn every_setting_is_a_flag() {
        // Serde lists every field in what it says about one it does not know.
        let error = serde_json::from_value::<Config>(serde_json::json!({"nonsense": 1})).unwrap_err().to_string();
        let mut settings: Vec<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
        let cli = Cli::command();
        let serve = cli.find_subcommand("serve").unwrap();
        let flags = serve.get_arguments().filter_map(|flag| flag.get_long());
        let mut flags: Vec<String> =
            flags.filter(|flag| *flag != "config").map(|flag| flag.replace('-', "_")).collect();
        settings.sort();
        flags.sort();
        flags.retain(|flag| flag != "help");
        assert_eq!(flags, settings);
    }

    #[test]
    fn every_flag_arrives() {
        let flags = "--database sqlite:x.db --data-dir d --listen a:1 --tls-cert c --tls-key k --public-url https://p \
            --trusted-proxies 10.0.0.1 --log-format json --log-level warn --otlp-endpoint http://o \
            --ledger-retention-days 1 --body-bytes 2 --connections 3 --header-seconds 4 --request-seconds 5 \
            --login-attempts 6 --ticket-attempts 7 --drain-seconds 8 --dev";
        let arguments = ["limitr", "serve"].into_iter().chain(flags.split_whitespace());
        let crate::cli::Command::Serve(serve) = <Cli as clap::Parser>::try_parse_from(arguments).unwrap().command
        else {
            panic!("another command");
        };
        let told = format!("{:?}", serve.config().unwrap());
        let defaults = format!("{:?}", Config::default());
        let fields = |text: &str| text.split([',', '{', '}']).map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let defaults = fields(&defaults);
        for field in fields(&told).iter().filter(|field| field.contains(':')) {
            assert!(!defaults.contains(field), "`{field}` is as it was");
        }
    }
}
