//! `cargo xtask wasm`: the engine as a WebAssembly module with its JavaScript half, where the SDK expects them.
//!
//! The standard library is built along, for size. Two routes to a compiler and the library's source: the toolchain's own,
//! where rustup has it or can fetch it; else Debian's `rustc-web`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    process::{Result, cargo, read, root, run},
    tools::install_debian,
};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "wasm";
const TARGET_DIR: &str = "target/wasm";
/// Where the SDK expects the engine: the one that everybody gets, and the one that reads Stof too.
const ENGINES: [(&str, &[&str]); 2] =
    [("sdk/typescript/src/generated", &[]), ("sdk/typescript/src/generated-stof", &["--features", "stof"])];
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// Builds the modules and what calls them.
pub(crate) fn wasm() -> Result<bool> {
    for (folder, features) in ENGINES {
        let module = build(features)?;
        std::fs::create_dir_all(root().join(folder)).map_err(|error| format!("cannot make {folder}: {error}"))?;
        let made = run(cargo(["run", "--quiet", "--package", "bindgen", "--"]).arg(&module).arg(folder))?;
        if !made || !shrink(&Path::new(folder).join("limitr_wasm_bg.wasm"))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn build(features: &[&str]) -> Result<PathBuf> {
    let mut command = if has_source() { cargo([]) } else { debian()? };
    // The library's sorting and searching, for one, are a twelfth of the module when made for speed.
    command.args(["build", "-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
    // A panic is a trap either way; without its message the module is a tenth smaller.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none");
    command.args(["--package", "limitr-wasm", "--target", TARGET, "--profile", PROFILE, "--target-dir", TARGET_DIR]);
    command.args(features);
    if !run(&mut command)? {
        return Err("the engine does not build for WebAssembly".to_owned());
    }
    Ok([TARGET_DIR, TARGET, PROFILE, "limitr_wasm.wasm"].iter().collect())
}

/// Whether the toolchain has the library's source, having tried to fetch it.
fn has_source() -> bool {
    let source = || {
        let root = read(Command::new("rustc").args(["--print", "sysroot"])).unwrap_or_default();
        Path::new(root.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
    };
    source() || (read(Command::new("rustup").args(["component", "add", "rust-src"])).is_ok() && source())
}

/// Debian's compiler.
fn debian() -> Result<Command> {
    if !Path::new("/usr/share/doc/rust-web-src").is_dir() && !install_debian(&DEBIAN)? {
        return Err(format!(
            "no source of the standard library: `rustup component add rust-src` and `apt-get install {}` both failed",
            DEBIAN.join(" ")
        ));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo.current_dir(root());
    // The system's programs before rustup's, and nothing of the toolchain that runs this.
    cargo.env("PATH", format!("/usr/bin:{path}")).env("RUSTC", "/usr/bin/rustc").env_remove("RUSTUP_TOOLCHAIN");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19");
    Ok(cargo)
}

/// Makes the module smaller once compressed, with the optimiser that the SDK's development dependencies bring.
///
/// What is inlined into its only caller is smaller but compresses worse, and functions that lie beside others of their kind
/// compress better: both are worth a tenth.
fn shrink(module: &Path) -> Result<bool> {
    const FEATURES: [&str; 6] =
        ["bulk-memory", "sign-ext", "mutable-globals", "nontrapping-float-to-int", "reference-types", "multivalue"];
    const STEPS: [&[&str]; 3] = [
        // Keeping names for the next step.
        &["-Oz", "-g", "--skip-pass=inlining", "--skip-pass=inlining-optimizing", "--skip-pass=local-cse"],
        &["-g", "--reorder-functions-by-name"],
        &["--strip-debug", "--strip-producers"],
    ];
    for step in STEPS {
        let mut command = Command::new("node_modules/.bin/wasm-opt");
        command.current_dir(root().join("sdk/typescript")).args(FEATURES.map(|feature| format!("--enable-{feature}")));
        if !run(command.args(step).arg(root().join(module)).arg("-o").arg(root().join(module)))? {
            return Ok(false);
        }
    }
    Ok(true)
}
