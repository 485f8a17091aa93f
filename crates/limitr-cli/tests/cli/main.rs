//! The built command, from the outside: what it prints and how it exits.

#![allow(unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

#[cfg(all(feature = "cloud", feature = "server"))]
mod cloud;
mod exec;
mod guides;
mod policies;
mod scenarios;
#[cfg(all(feature = "cloud", feature = "server"))]
mod serve;
#[cfg(all(feature = "cloud", feature = "server"))]
mod server;
mod usage;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An empty folder with files in it, where the command runs.
struct Folder(PathBuf);

impl Folder {
    /// `name` must be unique among the tests.
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.0.join(name), text).unwrap();
        self
    }

    /// The quick start's policy as `policy.json`.
    fn policy(self) -> Self {
        self.file("policy.json", include_str!("../../assets/quick-start.json"))
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn limitr(&self, arguments: &[&str]) -> Ran {
        self.limitr_with(arguments, "")
    }

    fn limitr_with(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        self.limitr_in(&[], arguments, input)
    }

    /// The command here, with nothing of the settings and logins of whoever runs the tests.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_limitr"));
        let own = std::env::vars_os().map(|(name, _)| name);
        for name in own.filter(|name| name.to_string_lossy().starts_with("LIMITR_")) {
            command.env_remove(name);
        }
        let config = self.0.join("config");
        command.env("XDG_CONFIG_HOME", &config).env("APPDATA", &config);
        command.args(arguments).current_dir(&self.0);
        command
    }

    fn limitr_in(&self, environment: &[(&str, &str)], arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut child = self
            .command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, input) = (child.stdin.take().unwrap(), input.as_ref().to_owned());
        // Beside reading, so that neither side waits for the other. A command that does not read is fine.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// What a run came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// Everything, for snapshots.
    fn all(&self) -> String {
        format!("{}{}exit {}", self.out, self.err, self.code)
    }
}
