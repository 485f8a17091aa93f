//! Markdown, as far as the pages need it: fenced blocks and headings.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A page of the repository.
pub(crate) struct Page {
    /// From the root.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A fenced block of one language.
pub(crate) struct Block {
    /// Line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A heading and what stands below it, up to the next of any level above or equal.
pub(crate) struct Section {
    /// Without backticks.
    pub(crate) heading: String,
    body: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every page that the documentation consists of.
pub(crate) fn all() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned(), "CHANGELOG.md".to_owned()];
    walk("docs", &mut paths);
    paths.iter().filter(|path| path.ends_with(".md")).map(|path| Page::read(path)).collect()
}

fn walk(folder: &str, paths: &mut Vec<String>) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
}

/// What is in a folder: files, and folders with a `/` at the end, sorted.
pub(crate) fn names_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() { format!("{name}/") } else { name }
    };
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

impl Page {
    pub(crate) fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// The fenced blocks that say they are `language` and nothing else.
    pub(crate) fn blocks(&self, language: &str) -> Vec<Block> {
        blocks(&self.text, language)
    }

    /// Whether the line, from 1, is part of a fenced block.
    pub(crate) fn in_block(&self, line: usize) -> bool {
        let fences = self.text.lines().take(line).filter(|line| line.trim_start().starts_with("```"));
        fences.count() % 2 == 1
    }

    /// The first policy of the page.
    pub(crate) fn policy(&self) -> String {
        let found = self.blocks("yaml").into_iter().find(|block| block.text.starts_with("policy:"));
        found.unwrap_or_else(|| panic!("{} has no policy", self.path)).text
    }

    /// The sections under headings that start with `marker`, in order.
    pub(crate) fn sections(&self, marker: &str) -> Vec<Section> {
        let mut sections: Vec<Section> = Vec::new();
        let mut open = false;
        for (number, line) in (1..).zip(self.text.lines()) {
            let level = line.chars().take_while(|c| *c == '#').count();
            let is_heading = level > 0 && !self.in_block(number);
            if is_heading && line.starts_with(marker) {
                let heading = line[marker.len()..].trim().trim_matches('`').to_owned();
                sections.push(Section { heading, body: String::new() });
                open = true;
            } else if is_heading && level < marker.trim().len() {
                open = false;
            } else if let Some(section) = sections.last_mut().filter(|_| open) {
                section.body.push_str(line);
                section.body.push('\n');
            }
        }
        sections
    }

    /// The page as one section.
    pub(crate) fn whole(&self) -> Section {
        Section { heading: String::new(), body: self.text.clone() }
    }

    /// What stands before the first such heading.
    pub(crate) fn before(&self, marker: &str) -> Section {
        let body = self.text.split(&format!("\n{marker}")).next().unwrap_or_default().to_owned();
        Section { heading: String::new(), body }
    }
}

impl Section {
    /// The first block of this language.
    pub(crate) fn block(&self, language: &str) -> Option<String> {
        blocks(&self.body, language).into_iter().next().map(|block| block.text)
    }

    /// The pieces of the text that are between backticks.
    pub(crate) fn code(&self) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut fenced = false;
        for line in self.body.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                pieces.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
            }
        }
        pieces
    }

    /// Operations given as code in the text: `{"verb": ...}`.
    pub(crate) fn operations(&self) -> Vec<Value> {
        let code = self.code().into_iter().filter(|code| code.starts_with("{\""));
        let read = |code: String| serde_json::from_str(&code).unwrap_or_else(|error| panic!("{code}: {error}"));
        code.map(read).collect()
    }

    /// The rest of the line that starts with `- <label>`.
    pub(crate) fn line(&self, label: &str) -> &str {
        let found = self.body.lines().find_map(|line| line.strip_prefix("- ")?.strip_prefix(label));
        found.unwrap_or_else(|| panic!("`{}` says nothing about \"{label}\"", self.heading))
    }
}

fn blocks(text: &str, language: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Block)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info == language, Block { line: number, text: String::new() })),
            (Some(_), Some(_)) => blocks.extend(open.take().filter(|(wanted, _)| *wanted).map(|(_, block)| block)),
            (Some((_, block)), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}
