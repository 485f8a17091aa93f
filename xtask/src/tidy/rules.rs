//! What the product's files may not contain.

use super::{File, Finding, Tree, code::product_code};

const ENGINE: &str = "crates/limitr/src/";

/// The one file of the engine that may read the system's clock.
const SYSTEM: &str = "crates/limitr/src/system.rs";
const CLOCKS: [&str; 2] = ["SystemTime::now", "Instant::now"];
const SURROUNDINGS: [&str; 4] = ["std::fs", "std::net", "std::thread", "println!"];

/// Runtimes, sockets and databases: with one of these the engine would do I/O.
const WORLDLY: [&str; 9] =
    ["tokio", "async-std", "sqlx", "reqwest", "hyper", "mio", "socket2", "rusqlite", "libsqlite3-sys"];

/// Where amounts are decided, and the files there that are about statistics or the JSON edge instead.
const MONEY: [&str; 3] = ["pricing/", "decide/", "state/"];
const STATISTICS: [&str; 6] = ["rate", "rates", "history", "estimate", "estimates", "amount"];
/// What a statistic or its argument is called where a record of amounts holds one.
const STATISTIC_FIELDS: [&str; 3] = ["ewma_", "alpha", "basis"];
const FLOATS: [&str; 2] = ["f64", "f32"];

const MAX_LINES: usize = 600;
/// Files that were longer when the rule came: they may shrink, never grow, and leave the list when short enough.
const RATCHET: [(&str, usize); 0] = [];

const UNFINISHED: [&str; 4] = ["TODO", "FIXME", "unimplemented!", "todo!"];

/// Written in two pieces, so that this file does not contain what it looks for.
const MACHINE_FOLDERS: [&str; 3] = ["/work", "/root", "/tmp"];
const REGISTRIES: [(&str, &str); 6] = [
    ("crates", "io"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("deb.debian", "org"),
];

/// The engine is given the time and does no I/O.
pub(super) fn engine_purity(tree: &Tree) -> Vec<Finding> {
    let engine = product_files(tree).filter(|file| file.path.starts_with(ENGINE));
    engine
        .flat_map(|file| {
            let clocks = if file.path == SYSTEM { [].as_slice() } else { CLOCKS.as_slice() };
            in_code(file, |line| {
                let banned = clocks.iter().chain(&SURROUNDINGS).find(|word| line.contains(**word)).copied();
                let word = banned.or_else(|| grouped_import(line))?;
                Some(format!("`{word}` in the engine: time, files, network and threads belong to the caller"))
            })
        })
        .collect()
}

/// `use std::{fs, io}` names `std::fs` too.
fn grouped_import(line: &str) -> Option<&'static str> {
    let names = line.trim_start().strip_prefix("use std::{")?;
    SURROUNDINGS.into_iter().find(|path| path.strip_prefix("std::").is_some_and(|name| has_word(names, name)))
}

/// "The engine knows no clock, network, runtime or database", as seen by the dependency tree.
pub(super) fn engine_dependencies(tree: &Tree) -> Vec<Finding> {
    let Some(manifest) = tree.files.iter().find(|file| file.path == "crates/limitr/Cargo.toml") else {
        return Vec::new();
    };
    let line = line_of(&manifest.text, "[dependencies]");
    WORLDLY
        .iter()
        .filter(|name| tree.engine_dependencies.iter().any(|dependency| dependency == *name))
        .map(|name| {
            manifest
                .finding(line, format!("the engine depends on `{name}`, `cargo tree -p limitr -i {name}` tells how"))
        })
        .collect()
}

pub(super) fn money_floats(tree: &Tree) -> Vec<Finding> {
    product_files(tree)
        .filter(|file| {
            let Some(path) = file.path.strip_prefix(ENGINE) else { return false };
            let mut names = path.split('/').map(|name| name.trim_end_matches(".rs"));
            MONEY.iter().any(|folder| path.starts_with(folder)) && !names.any(|name| STATISTICS.contains(&name))
        })
        .flat_map(|file| {
            // Any name with a float in it: `to_f64` counts too.
            in_code(file, |line| {
                let float = FLOATS.iter().find(|float| line.contains(**float))?;
                if STATISTIC_FIELDS.iter().any(|name| line.contains(name)) {
                    return None;
                }
                Some(format!("`{float}` where money is decided: use `Amount`"))
            })
        })
        .collect()
}

pub(super) fn file_length(tree: &Tree) -> Vec<Finding> {
    file_length_with(tree, &RATCHET)
}

pub(super) fn file_length_with(tree: &Tree, ratchet: &[(&str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in product_files(tree) {
        let lines = file.text.lines().count();
        let listed = ratchet.iter().find(|(path, _)| *path == file.path).map(|(_, lines)| *lines);
        let most = listed.unwrap_or(MAX_LINES);
        if lines > most {
            findings
                .push(file.finding(most + 1, format!("{lines} lines, at most {most}: split the file by what it does")));
        } else if listed.is_some() && lines <= MAX_LINES {
            findings.push(file.finding(1, "short enough now: take it off the ratchet list"));
        }
    }
    findings
}

pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| file.path.starts_with("crates/"))
        .flat_map(|file| {
            in_text(file, |line| {
                let word = UNFINISHED.iter().find(|word| has_word(line, word))?;
                Some(format!("`{word}`: finish it, or file an issue"))
            })
        })
        .collect()
}

pub(super) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| !file.is_test())
        .flat_map(|file| {
            in_text(file, |line| {
                let folder = MACHINE_FOLDERS.iter().find(|folder| has_path(line, &format!("{folder}/")))?;
                Some(format!("a path under `{folder}` exists on one machine only"))
            })
        })
        .collect()
}

pub(super) fn registry_hosts(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| !file.path.ends_with("Cargo.lock"))
        .flat_map(|file| {
            in_text(file, |line| {
                let host =
                    REGISTRIES.iter().map(|(name, top)| format!("{name}.{top}")).find(|host| line.contains(host))?;
                Some(format!("`{host}` is a registry's host: which registry is used is the machine's setting"))
            })
        })
        .collect()
}

fn product_files(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|file| file.path.ends_with(".rs") && !file.is_test())
}

/// One finding for each line of product code that `judge` has something to say about.
fn in_code(file: &File, judge: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    in_lines(file, &product_code(&file.text), judge)
}

fn in_text(file: &File, judge: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    in_lines(file, &file.text, judge)
}

fn in_lines(file: &File, text: &str, judge: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let judged = (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, judge(line)?)));
    judged.map(|(number, message)| file.finding(number, message)).collect()
}

fn line_of(text: &str, wanted: &str) -> usize {
    (1..).zip(text.lines()).find(|(_, line)| line.trim() == wanted).map_or(1, |(number, _)| number)
}

/// Is `word` there and not as part of a longer name?
fn has_word(line: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        // A macro's `!` ends its name whatever follows.
        !before.is_some_and(of_name) && (word.ends_with('!') || !after.is_some_and(of_name))
    })
}

/// Does an absolute path begin with `folder`, rather than a longer path or an address contain it?
fn has_path(line: &str, folder: &str) -> bool {
    let of_path = |c: char| c.is_alphanumeric() || "_-.~/*}".contains(c);
    line.match_indices(folder)
        .any(|(at, _)| !line.get(..at).and_then(|text| text.chars().next_back()).is_some_and(of_path))
}
