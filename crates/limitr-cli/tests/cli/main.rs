//! The built command, from the outside: what it prints and how it exits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod exec;
mod guides;
mod policies;
mod scenarios;
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
        let mut child = Command::new(env!("CARGO_BIN_EXE_limitr"))
            .args(arguments)
            .current_dir(&self.0)
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
