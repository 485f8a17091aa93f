//! `limitr serve`, `backup` and `restore`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use insta::assert_snapshot;

use super::Folder;
use super::server::stable;

/// A server as its own process.
struct Served {
    child: Child,
    /// What it printed before it began to wait.
    told: String,
}

impl Served {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command =
            folder.command(&[&["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"], arguments].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        while !told.ends_with("Ctrl-C stops it.\n") {
            if out.read_line(&mut told).unwrap() == 0 {
                let mut err = String::new();
                child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
                panic!("it has ended: {told}{err}");
            }
        }
        Self { child, told }
    }

    fn line(&self, name: &str) -> &str {
        let line = self.told.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no line `{name}` in {}", self.told)).trim()
    }

    /// Ends as a service manager ends it: exit code, and what it logged.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), err)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Where a test has failed.
        drop(self.child.kill());
    }
}

fn shown(text: &str) -> String {
    let port = text.split("127.0.0.1:").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap();
    stable(&text.replace(port, "7070"))
}

#[cfg(unix)]
#[test]
fn it_says_where_it_is_and_how_to_go_on() {
    let folder = Folder::new("serve");
    let served = Served::start(&folder, &["--log-level", "info"]);
    assert_snapshot!(shown(&served.told), @"
    Limitr serves http://127.0.0.1:7070 from sqlite:limitr.db

    Set it up, once and within a day:
      http://127.0.0.1:7070/setup#limitr_setup_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

    Ctrl-C stops it.
    ");
    let link = served.line("http://127").to_owned();
    let (code, log) = served.stop("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped") && !log.contains(link.split_once('#').unwrap().1), "{log}");
}

#[cfg(unix)]
#[test]
fn for_development_it_makes_what_one_needs() {
    let folder = Folder::new("serve-dev");
    let served = Served::start(&folder, &["--dev"]);
    let password = served.line("log in").split(' ').next_back().unwrap().to_owned();
    assert_snapshot!(shown(&served.told).replace(&password, "<password>"), @"
    Limitr serves http://127.0.0.1:7070 from sqlite:limitr.db

    For development, shown this once:
      log in        dev@localhost with password <password>
      admin token   limitr_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
      engine token  limitr_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

    Connect a program:
      export LIMITR_TOKEN=limitr_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
      export LIMITR_WS_ADDRESS=ws://127.0.0.1:7070
      export LIMITR_TICKET_ADDRESS=http://127.0.0.1:7070

    Look around:
      export LIMITR_TOKEN=limitr_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx LIMITR_SERVER=http://127.0.0.1:7070
      limitr cloud status

    Ctrl-C stops it.
    ");
    // What it says is what works.
    let admin = served.line("admin token").to_owned();
    let near = served.line("export LIMITR_TICKET_ADDRESS=").to_owned();
    let environment = [("LIMITR_TOKEN", admin.as_str()), ("LIMITR_SERVER", near.as_str())];
    let status = folder.limitr_in(&environment, &["cloud", "status"], "");
    assert_eq!(status.code, 0, "{}", status.err);
    let (code, log) = served.stop("-INT");
    assert_eq!(code, Some(0), "{log}");
    for secret in [&password, &admin] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }

    let again = Served::start(&folder, &["--dev"]);
    assert_snapshot!(shown(&again.told), @"
    Limitr serves http://127.0.0.1:7070 from sqlite:limitr.db

    The workspace for development is there: its tokens were shown when it was made.

    Ctrl-C stops it.
    ");
    assert_eq!(again.stop("-TERM").0, Some(0));

    // All of it, into another database.
    let database = ["--database", "sqlite:limitr.db", "--data-dir", "data"];
    let kept = folder.limitr(&[&["backup", "all.backup"], &database[..]].concat());
    assert!(kept.code == 0 && kept.out.ends_with(" rows of sqlite:limitr.db in all.backup\n"), "{}", kept.all());
    let twice = folder.limitr(&[&["backup", "all.backup"], &database[..]].concat());
    assert_snapshot!(twice.all(), @"
    limitr: `all.backup` is there already
      help: a backup never overwrites: name another file
    exit 2
    ");
    let back = folder.limitr(&["restore", "all.backup", "--data-dir", "other"]);
    assert!(back.code == 0 && back.out.ends_with(" rows of all.backup in sqlite:limitr.db\n"), "{}", back.all());
    assert_snapshot!(folder.limitr(&["restore", "all.backup", "--data-dir", "other"]).all(), @"
    limitr: database: the table `users` has something in it
      help: a restore never overwrites: name an empty database
    exit 2
    ");
}

#[test]
fn settings_that_cannot_be_used_are_told() {
    let folder = Folder::new("serve-settings").file("limitr.toml", "listne = \"127.0.0.1:0\"\n");
    for (arguments, environment) in [
        (&["serve", "--config", "limitr.toml"][..], &[][..]),
        (&["serve", "--connections", "many"], &[]),
        (&["serve", "--database", "mysql://ann:s3cret@db"], &[]),
        (&["serve"], &[("LIMITR_LISTN", "x")]),
        (&["serve", "--listen", "nowhere"], &[]),
        (&["serve", "--tls-cert", "missing.pem"], &[]),
        (&["serve", "--listen-on", "x"], &[]),
    ] {
        let ran = folder.limitr_in(environment, arguments, "");
        assert!(ran.code == 2 && ran.out.is_empty(), "{arguments:?}: {}", ran.all());
        assert!(!ran.err.contains("s3cret"));
    }
    assert_snapshot!(folder.limitr(&["serve", "--config", "limitr.toml"]).all(), @"
    limitr: limitr.toml: unknown field `listne`, expected one of `listen`, `database`, `data_dir`, `tls_cert`, `tls_key`, `public_url`, `trusted_proxies`, `dev`, `log_format`, `log_level`, `otlp_endpoint`, `ledger_retention_days`, `body_bytes`, `connections`, `header_seconds`, `request_seconds`, `login_attempts`, `ticket_attempts`, `drain_seconds`
      help: did you mean `listen`?
    exit 2
    ");
    assert_snapshot!(folder.limitr(&["serve", "--connections", "many"]).all(), @"
    limitr: --connections takes a whole number, not `many`
    exit 2
    ");
    assert_snapshot!(folder.limitr(&["serve", "--tls-cert", "missing.pem"]).all(), @"
    limitr: `tls_cert` needs `tls_key` beside it
    exit 2
    ");
}
