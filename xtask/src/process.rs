//! Running other programs from the root of the workspace.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
};

/// Errors are messages: their only reader is the person at the terminal.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The root of the workspace, whatever the current directory.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// `cargo` with these arguments, at the root.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    // The cargo that runs xtask says where it is, so that every step uses the same toolchain.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Runs a command on this terminal; true when it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<bool> {
    announce(command);
    let status = command.status().map_err(|error| cannot_run(command, &error))?;
    Ok(status.success())
}

/// Runs a command quietly and returns what it printed, as long as it succeeds.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| cannot_run(command, &error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("`{}` failed: {}", shown(command), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// What a command printed, and whether it succeeded.
pub(crate) struct Transcript {
    pub(crate) ok: bool,
    pub(crate) text: String,
}

/// Runs a command, passing its output on line by line while keeping a copy.
pub(crate) fn tee(command: &mut Command) -> Result<Transcript> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_run(command, &error))?;
    let text = Mutex::new(String::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        if let Some(stream) = stdout {
            scope.spawn(|| pass_on(stream, std::io::stdout(), &text));
        }
        if let Some(stream) = stderr {
            scope.spawn(|| pass_on(stream, std::io::stderr(), &text));
        }
    });
    let status = child.wait().map_err(|error| cannot_run(command, &error))?;
    let text = text.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Transcript { ok: status.success(), text })
}

fn pass_on(from: impl Read, mut to: impl Write, copy: &Mutex<String>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    // A line that is not UTF-8 is still passed on; a closed terminal does not stop the command.
    while matches!(from.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        let _ = to.write_all(&line);
        copy.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
}

fn announce(command: &Command) {
    println!("$ {}", shown(command));
}

/// The command as a person would type it: `cargo` rather than the path to it, and no token.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy());
    let shown = words.map(|word| match word.split_once("Bearer ") {
        Some((before, _)) => format!("'{before}Bearer ...'").into(),
        None => word,
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn cannot_run(command: &Command, error: &std::io::Error) -> String {
    format!("cannot run `{}`: {error}", shown(command))
}
