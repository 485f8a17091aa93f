//! Links between the pages of the repository.

use super::{Finding, Tree};

/// Relative links in Markdown that lead to no file or folder of the repository.
pub(super) fn dead_links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in targets(&file.text) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if path.is_empty() || path.contains(':') {
                continue; // a place on the same page, or another site
            }
            let found = resolve(folder, path).is_some_and(|path| exists(tree, &path));
            if !found {
                findings.push(file.finding(line, format!("the link `{target}` leads to no file")));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` and `[name]: target`, with their line numbers; code is not text.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence = None;
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| trimmed.starts_with(marker));
        match (fence, marker) {
            (None, Some(opening)) => fence = Some(opening),
            (Some(open), Some(closing)) if open == closing => fence = None,
            (None, None) => {
                // Every other piece between backticks is code.
                let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
                let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
                let definition = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, it)| it);
                for target in inline.chain(definition) {
                    // What follows a space is the link's title.
                    let target = target.split_whitespace().next().unwrap_or_default();
                    found.push((number, target.trim_matches(['<', '>']).to_owned()));
                }
            }
            _ => {}
        }
    }
    found
}

/// A path relative to `folder` as one from the root; `None` when it leaves the repository.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let (base, path) = path.strip_prefix('/').map_or((folder, path), |absolute| ("", absolute));
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn exists(tree: &Tree, path: &str) -> bool {
    let within = |file: &str| file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path.is_empty() || tree.files.iter().any(|file| within(&file.path))
}
