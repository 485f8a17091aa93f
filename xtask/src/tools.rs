//! The tools that the checks need, installed when missing.

use std::process::Command;

use crate::process::{Result, cargo, read, run};

/// Is this cargo subcommand installed?
pub(crate) fn has(subcommand: &str) -> bool {
    read(&mut cargo([subcommand, "--version"])).is_ok()
}

/// Makes sure that `cargo <subcommand>` works, installing that version of the package when it does not.
pub(crate) fn ensure(subcommand: &str, version: &str) -> Result<()> {
    if has(subcommand) {
        return Ok(());
    }
    let package = format!("cargo-{subcommand}@{version}");
    // Unoptimised and without debug information: these tools run for seconds, while an optimised build takes minutes.
    let mut install = cargo(["install", "--locked", "--debug", &package]);
    install.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
    if run(&mut install)? { Ok(()) } else { Err(format!("cannot install `{package}`")) }
}

/// Installs Debian packages; false when that fails.
pub(crate) fn install_debian(packages: &[&str]) -> Result<bool> {
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--quiet"]).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut install)
}
