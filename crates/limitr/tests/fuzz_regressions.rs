//! Everything a fuzzer ever found, and the inputs it starts from, through the same code as in `fuzz/`: an ordinary test
//! that needs no fuzzer. `fuzz/README.md` says how an input gets there.

#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Replays every file kept for a target and names those that fail.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let fails = |file: &&std::path::PathBuf| {
        let input = fs::read(file).unwrap();
        catch_unwind(AssertUnwindSafe(|| target(&input))).is_err()
    };
    let failed: Vec<_> = files.iter().filter(fails).collect();
    assert!(failed.is_empty(), "failed (the reasons are above): {failed:#?}");
}

#[test]
fn json() {
    replay("json", targets::json);
}

#[test]
fn yaml() {
    replay("yaml", targets::yaml);
}

#[test]
fn toml() {
    replay("toml", targets::toml);
}

#[cfg(feature = "stof")]
#[test]
fn stof() {
    replay("stof", targets::stof);
}

#[test]
fn expressions() {
    replay("expressions", targets::expressions);
}

#[test]
fn validate() {
    replay("validate", targets::validate);
}

#[test]
fn record() {
    replay("record", targets::record);
}

#[test]
fn calls() {
    replay("calls", targets::calls);
}

#[test]
fn conversions() {
    replay("conversions", targets::conversions);
}
