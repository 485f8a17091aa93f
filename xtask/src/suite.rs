//! `cargo xtask test`: every check, one closing line.

use std::{
    ffi::OsStr,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    contract,
    postgres::{self, Postgres},
    process::{Result, cargo, root, target, tee},
    sdk,
    tally::Tally,
    tidy, tools,
};

const CARGO_DENY: &str = "0.20.2";

/// A named part of the suite. All run, whatever the ones before them found.
struct Part {
    name: &'static str,
    run: fn() -> Result<Tally>,
}

/// The quick ones first. Conformance comes after the tests, which build the binary that it runs.
const PARTS: [Part; 13] = [
    Part { name: "format", run: format },
    Part { name: "tidy", run: tidy::tidy },
    Part { name: "dependencies", run: dependencies },
    Part { name: "clippy", run: clippy },
    Part { name: "tests", run: tests },
    Part { name: "doc tests", run: doc_tests },
    Part { name: "conformance", run: conformance },
    Part { name: "api contract", run: contract::contract },
    Part { name: "sdk build", run: || sdk::build().map(Tally::one) },
    Part { name: "sdk api", run: sdk_api },
    Part { name: "sdk tests", run: || sdk::tests("test") },
    Part { name: "sdk packages", run: || sdk::tests("test:packaging") },
    Part { name: "examples", run: || sdk::tests("test:examples") },
];

/// Runs all parts and prints the counts; `false` when anything failed.
pub(crate) fn test() -> Result<bool> {
    let mut total = Tally::default();
    let mut report = String::new();
    for part in &PARTS {
        println!("\n== {} ==", part.name);
        let start = Instant::now();
        let tally = (part.run)().unwrap_or_else(|message| {
            println!("{message}");
            Tally::one(false)
        });
        report += &row(part.name, tally, start.elapsed());
        total += tally;
    }
    println!("\n== summary ==\n{report}");
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(total.failed == 0)
}

fn row(name: &str, Tally { passed, failed }: Tally, took: Duration) -> String {
    let verdict = if failed == 0 { "ok    " } else { "FAILED" };
    let seconds = took.as_secs_f64();
    format!("{verdict}  {name:<12}  {passed:>6} ok  {failed:>4} failed  {seconds:>7.1} s\n")
}

/// The workspace, and those that live apart from it.
fn format() -> Result<Tally> {
    let mut tally = check(["fmt", "--all", "--check"])?;
    for manifest in ["bench/Cargo.toml", "bench/cloud/Cargo.toml", "crates/limitr/fuzz/Cargo.toml"] {
        tally += check(["fmt", "--manifest-path", manifest, "--check"])?;
    }
    Ok(tally)
}

fn clippy() -> Result<Tally> {
    check(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// Licences, bans, sources and advisories of everything in the lock file.
fn dependencies() -> Result<Tally> {
    tools::ensure("deny", CARGO_DENY)?;
    let mut tally = Tally::default();
    for check in ["licenses", "bans", "sources"] {
        tally += Tally::one(tee(&mut cargo(["deny", "check", check]))?.ok);
    }
    let advisories = tee(&mut cargo(["deny", "check", "advisories"]))?;
    if !advisories.ok && advisories.text.contains("failed to fetch advisory database") {
        println!("note: advisories not checked: their database cannot be fetched from here");
    } else {
        tally += Tally::one(advisories.ok);
    }
    Ok(tally)
}

/// Unit and integration tests, the fuzzers' regressions and the comparison with the model among them.
fn tests() -> Result<Tally> {
    let mut command = if tools::has("nextest") {
        cargo(["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        println!("note: cargo-nextest is not installed, using cargo test");
        cargo(["test", "--workspace", "--no-fail-fast", "--all-targets"])
    };
    // More than the model test does by itself, few enough to stay within a minute or two.
    let calls = std::env::var_os("LIMITR_MODEL_CALLS");
    let postgres = Postgres::find()?;
    command.env(postgres::VARIABLE, &postgres.url);
    command.env("LIMITR_MODEL_CALLS", calls.as_deref().unwrap_or(OsStr::new("100000")));
    runner(command)
}

fn doc_tests() -> Result<Tally> {
    runner(cargo(["test", "--workspace", "--doc", "--no-fail-fast"]))
}

fn conformance() -> Result<Tally> {
    // The one that the tests have built: by itself it would be built again, with other features of what it depends on.
    let mut command = Command::new(target().join("debug/limitr"));
    command.current_dir(root()).args(["test", "conformance"]);
    runner(command)
}

/// Types, and the surface that the API report pins.
fn sdk_api() -> Result<Tally> {
    let mut tally = sdk::check("typecheck")?;
    tally += sdk::check("api:check")?;
    Ok(tally)
}

/// A command that is one check: it succeeds or not.
fn check<const N: usize>(args: [&str; N]) -> Result<Tally> {
    Ok(Tally::one(tee(lean(&mut cargo(args)))?.ok))
}

/// A command that runs many checks and prints how many passed.
fn runner(mut command: Command) -> Result<Tally> {
    let transcript = tee(lean(&mut command))?;
    Ok(Tally::of_run(transcript.ok, &transcript.text))
}

/// On CI, which builds once and throws the result away: no incremental state, and line numbers as the only debug
/// information. Elsewhere the usual settings, so that the developer's own builds are reused.
pub(crate) fn lean(command: &mut Command) -> &mut Command {
    if std::env::var_os("CI").is_some() {
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    }
    command
}
