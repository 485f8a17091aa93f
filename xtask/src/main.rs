//! The workspace's own commands: `cargo xtask <verb>`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks through its output")]

mod contract;
mod fuzz;
mod postgres;
mod process;
mod sdk;
mod suite;
mod tally;
mod tidy;
mod tools;
mod wasm;

use std::process::ExitCode;

use process::{Result, cargo, run};

const USAGE: &str = "\
usage: cargo xtask <verb>

  demo [ARGS]                    build everything; run the quick start, and a server with three engines
  test                           run every check; ends with `N passed, M failed`
  bench [--quick] [--json]       measure the engine beside its peers and print one table
  bench cloud [ARGS]             measure the server under load
  simulate [--seeds N | --seed N]  play what can go wrong between engines and servers, or replay one seed
  wasm                           build the engine as WebAssembly for the TypeScript SDK
  tidy                           check the style rules that no compiler knows
  fuzz [TARGET] [--seconds N]    fuzz one target or all of them, N seconds each (default 60)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one verb; `false` means that it ran and found something wrong.
fn dispatch(args: &[String]) -> Result<bool> {
    let Some((verb, rest)) = args.split_first() else {
        return Err(format!("a verb is missing\n{USAGE}"));
    };
    match (verb.as_str(), rest) {
        ("demo", rest) => demo(rest),
        ("bench", [what, rest @ ..]) if what == "cloud" => bench_cloud(rest),
        ("bench", rest) => bench(rest),
        ("simulate", rest) => simulate(rest),
        ("fuzz", rest) => fuzz::fuzz(rest),
        ("test", []) => suite::test(),
        ("wasm", []) => sdk::build(),
        ("tidy", []) => tidy::tidy().map(|tally| tally.failed == 0),
        ("help" | "--help" | "-h", []) => {
            println!("{USAGE}");
            Ok(true)
        }
        ("test" | "tidy" | "wasm", [extra, ..]) => Err(format!("`{verb}` takes no argument, got `{extra}`\n{USAGE}")),
        _ => Err(format!("unknown verb `{verb}`\n{USAGE}")),
    }
}

/// The quick start, in Rust and in TypeScript, then a server with three engines. With arguments, the quick start in Rust
/// alone: they are its.
fn demo(args: &[String]) -> Result<bool> {
    // As the tests build it, and aloud: it takes minutes when it is new. What is shown is what it does, not how fast.
    let profile = ["--profile", "test", "--bin", "limitr"];
    let built = run(cargo(["build"]).args(profile).args(["--example", "engine"]))?;
    if !built || !run(cargo(["run", "--quiet"]).args(profile).args(["--", "demo"]).args(args))? {
        return Ok(false);
    }
    Ok(!args.is_empty()
        || sdk::build()? && sdk::node_program("sdk/typescript/demo/quick-start.mjs", &[])? && cloud_demo()?)
}

fn cloud_demo() -> Result<bool> {
    let built = process::target().join("debug");
    let (limitr, engine) = (built.join("limitr"), built.join("examples/engine"));
    sdk::node_program("examples/cloud/demo.mjs", &[limitr, engine])
}

fn bench_cloud(args: &[String]) -> Result<bool> {
    run(cargo(["run", "--quiet", "--release", "--manifest-path", "bench/cloud/Cargo.toml", "--"]).args(args))
}

/// The simulator, optimised: many seeds, or one that tells what happens.
fn simulate(args: &[String]) -> Result<bool> {
    let (variable, value) = match args {
        [] => ("LIMITR_SYNC_SEEDS", "10000"),
        [flag, count] if flag == "--seeds" => ("LIMITR_SYNC_SEEDS", count.as_str()),
        [flag, seed] if flag == "--seed" => ("LIMITR_SYNC_SEED", seed.as_str()),
        _ => return Err(format!("`simulate` takes `--seeds N` or `--seed N`\n{USAGE}")),
    };
    let test = ["test", "--quiet", "--release", "-p", "limitr-sync", "--test", "simulator", "--", "--nocapture"];
    run(cargo(test).env(variable, value))
}

/// The engine beside its peers, then the SDK beside those that Node programs have.
fn bench(args: &[String]) -> Result<bool> {
    let native = run(cargo(["run", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--"]).args(args))?;
    Ok(native && sdk::build()? && sdk::bench(args)?)
}
