//! The TypeScript SDK: its tools, its build, its checks.

use std::path::PathBuf;
use std::process::Command;

use crate::{
    process::{Result, read, root, run, tee},
    suite::lean,
    tally::Tally,
    tools::install_debian,
    wasm,
};

const SDK: &str = "sdk/typescript";
const INSTALL: &[&str] = &["ci", "--no-audit", "--no-fund"];
/// Node's oldest version that the SDK supports.
const NODE: u32 = 20;

/// Makes the package ready to be used: tools, WebAssembly, JavaScript.
pub(crate) fn build() -> Result<bool> {
    node()?;
    Ok(run(&mut npm(SDK, INSTALL))? && wasm::wasm()? && run(&mut npm(SDK, &["run", "build"]))?)
}

/// Runs a script of the package that is one check.
pub(crate) fn check(script: &str) -> Result<Tally> {
    Ok(Tally::one(tee(lean(&mut npm(SDK, &["run", "--silent", script])))?.ok))
}

/// Runs a script of the package that runs many checks.
pub(crate) fn tests(script: &str) -> Result<Tally> {
    let transcript = tee(lean(&mut npm(SDK, &["run", "--silent", script])))?;
    Ok(Tally::of_run(transcript.ok, &transcript.text))
}

/// Runs a program of the package.
pub(crate) fn node_program(path: &str, args: &[PathBuf]) -> Result<bool> {
    run(Command::new("node").current_dir(root()).arg(path).args(args))
}

/// The SDK's table.
pub(crate) fn bench(args: &[String]) -> Result<bool> {
    let folder = "bench/node";
    let installed = run(&mut npm(folder, INSTALL))?;
    Ok(installed && run(Command::new("node").arg("main.js").args(args).current_dir(root().join(folder)))?)
}

fn npm(folder: &str, args: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(args).current_dir(root().join(folder));
    command
}

/// Node and npm, installed when they are missing.
fn node() -> Result<()> {
    let version = || read(Command::new("node").arg("--version")).ok();
    if version().is_none() {
        install_debian(&["nodejs", "npm"])?;
    }
    let version = version().ok_or("Node.js is missing and cannot be installed with apt-get: install it")?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE => Ok(()),
        _ => Err(format!("the SDK needs Node.js {NODE} or newer, found {}", version.trim())),
    }
}
