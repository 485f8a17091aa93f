//! `cargo xtask tidy`: the style guide as a test. What is banned and where is in `rules`.

mod code;
mod links;
mod rules;
#[cfg(test)]
mod tests;

use std::{fmt, fs, path::Path};

use crate::{
    process::{Result, cargo, read, root},
    tally::Tally,
};

/// What the checks look at.
struct Tree {
    /// Every text file that git knows or would take.
    files: Vec<File>,
    /// The names of the engine's dependencies, direct and indirect.
    engine_dependencies: Vec<String>,
}

struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

struct Check {
    name: &'static str,
    run: fn(&Tree) -> Vec<Finding>,
}

const CHECKS: [Check; 8] = [
    Check { name: "the engine reads no clock, file, network or thread", run: rules::engine_purity },
    Check { name: "the engine depends on no runtime, network or database", run: rules::engine_dependencies },
    Check { name: "no floats where money is decided", run: rules::money_floats },
    Check { name: "Rust files stay short", run: rules::file_length },
    Check { name: "nothing unfinished", run: rules::unfinished },
    Check { name: "no machine paths", run: rules::machine_paths },
    Check { name: "no registry hosts", run: rules::registry_hosts },
    Check { name: "links in the docs lead somewhere", run: links::dead_links },
];

/// Runs every check on the working tree and prints its findings as `file:line: message`.
pub(crate) fn tidy() -> Result<Tally> {
    let tree = Tree::load(root())?;
    let mut tally = Tally::default();
    for check in &CHECKS {
        let findings = (check.run)(&tree);
        println!("{} {}", if findings.is_empty() { "ok    " } else { "FAILED" }, check.name);
        for finding in &findings {
            println!("  {finding}");
        }
        tally += Tally::one(findings.is_empty());
    }
    Ok(tally)
}

impl Tree {
    fn load(root: &Path) -> Result<Self> {
        // Tracked files and new ones alike, so that a file is checked before it is committed.
        let mut git = std::process::Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let mut files = Vec::new();
        for path in read(&mut git)?.split_terminator('\0') {
            // Not UTF-8: not a text. Not there: deleted, but not yet in git's eyes.
            if let Ok(text) = fs::read_to_string(root.join(path)) {
                files.push(File { path: path.to_owned(), text });
            }
        }
        let tree = read(&mut cargo(["tree", "-p", "limitr", "-e", "normal", "--prefix", "none", "--format", "{p}"]))?;
        let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
        Ok(Self { files, engine_dependencies: tree.lines().filter_map(name).collect() })
    }
}

impl File {
    /// Test code may do what the product may not.
    fn is_test(&self) -> bool {
        ["/tests/", "/tests.rs", "/fuzz/", "/benches/"].iter().any(|part| self.path.contains(part))
    }

    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, message: message.into() }
    }
}
