//! Where in a document the problems lie that were found in what was read of it.

use std::collections::HashMap;

use crate::policy::node::{Kind, Node};
use crate::{Position, Problem};

/// Gives each problem the place its path has in the document, or that of the nearest thing around it that is there.
pub(in crate::policy) fn locate(policy: &Node, problems: &mut [Problem]) {
    let nodes = nodes(policy, problems);
    for (problem, node) in problems.iter_mut().zip(nodes) {
        problem.at = problem.at.or_else(|| node?.at);
    }
}

/// Moves problems with expressions from where the expression begins to where in it they are. `text` is the document's,
/// `policy` what was read of it.
pub(in crate::policy) fn pinpoint(text: &str, policy: &Node, problems: &mut [Problem]) {
    if problems.iter().all(|problem| problem.within.is_none()) {
        return;
    }
    let nodes = nodes(policy, problems);
    for (problem, node) in problems.iter_mut().zip(nodes) {
        let (Some(within), Some(Node { kind: Kind::Text(expression), at: Some(at) })) = (problem.within, node) else {
            continue;
        };
        problem.at = offset(text, *at)
            .zip(offset(expression, within))
            .and_then(|(begin, end)| Some(begin + aligned(text.get(begin..)?, expression.get(..end)?)?))
            .map(|offset| Position::in_text(text, offset))
            .or(problem.at);
    }
}

/// The byte at a place in a text.
fn offset(text: &str, at: Position) -> Option<usize> {
    let line = text.split_inclusive('\n').nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
    let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let inside = line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(column)?;
    // The line lies in the text.
    Some(line.as_ptr().addr() - text.as_ptr().addr() + inside)
}

/// How far into the document a value is written out up to the end of `read`: the same but for quotes, escapes and blanks.
fn aligned(document: &str, read: &str) -> Option<usize> {
    let mut written = Written { text: document, at: 0, quote: None };
    written.quote = document.chars().next().filter(|char| matches!(char, '"' | '\''));
    if let Some(quote) = written.quote {
        written.at = document.len() - document.trim_start_matches(quote).len();
    }
    for char in read.chars().filter(|char| !char.is_whitespace()) {
        if written.next_visible()? != char {
            return None;
        }
    }
    written.skip_blanks();
    Some(written.at)
}

/// A value as it is written in a document, read character by character.
struct Written<'t> {
    text: &'t str,
    at: usize,
    quote: Option<char>,
}

impl Written<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The character here, escaped or not, and how many bytes it takes.
    fn here(&self) -> Option<(char, usize)> {
        let mut chars = self.rest().chars();
        let first = chars.next()?;
        match (self.quote, first) {
            (Some('"'), '\\') => {
                let kind = chars.next()?;
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    'n' | 'r' | 't' | '\n' | ' ' => return Some((' ', 2)),
                    _ => return Some((kind, 1 + kind.len_utf8())),
                };
                let code = u32::from_str_radix(chars.as_str().get(..digits)?, 16).ok()?;
                Some((char::from_u32(code)?, 2 + digits))
            }
            // Two stand for one.
            (Some('\''), '\'') => Some((first, 2)),
            _ => Some((first, first.len_utf8())),
        }
    }

    fn skip_blanks(&mut self) {
        while let Some((_, length)) = self.here().filter(|(char, _)| char.is_whitespace()) {
            self.at += length;
        }
    }

    fn next_visible(&mut self) -> Option<char> {
        self.skip_blanks();
        let (char, length) = self.here()?;
        self.at += length;
        Some(char)
    }
}

/// The node each problem is about, or the nearest one around it that is there.
fn nodes<'n>(policy: &'n Node, problems: &[Problem]) -> Vec<Option<&'n Node>> {
    let mut places = vec![(usize::MAX, None); problems.len()];
    let in_policy =
        |(index, problem): (usize, &'_ Problem)| Some((index, problem.path.strip_prefix("policy")?.to_owned()));
    let paths: Vec<(usize, String)> = problems.iter().enumerate().filter_map(in_policy).collect();
    let wanted = paths.iter().map(|(index, path)| (*index, path.as_str())).collect();
    descend(policy, wanted, &mut places);
    places.into_iter().map(|(_, node)| node).collect()
}

/// Follows all paths at once, so that a large map is gone through once and not for every problem in it. Of every path
/// is kept how much was left at its innermost place, and that place.
fn descend<'n, 'w>(node: &'n Node, wanted: Vec<(usize, &'w str)>, places: &mut [(usize, Option<&'n Node>)]) {
    for (problem, left) in &wanted {
        if let Some(place) = places.get_mut(*problem).filter(|place| left.len() < place.0) {
            *place = (left.len(), Some(node));
        }
    }
    match &node.kind {
        Kind::Map(entries) => {
            // A name may hold dots itself, so every beginning of a path may be the key.
            let mut by_key: HashMap<&'w str, Vec<(usize, &'w str)>> = HashMap::new();
            for (problem, path) in wanted {
                let Some(path) = path.strip_prefix('.') else { continue };
                let ends = path.match_indices(['.', '[']).map(|(at, _)| at).chain([path.len()]);
                for (key, left) in ends.filter_map(|end| path.split_at_checked(end)) {
                    by_key.entry(key).or_default().push((problem, left));
                }
            }
            for (key, value) in entries {
                if by_key.is_empty() {
                    break;
                }
                if let Some(wanted) = by_key.remove(key.text.as_str()) {
                    descend(value, wanted, places);
                }
            }
        }
        Kind::List(items) => {
            for (problem, path) in wanted {
                let item = path.strip_prefix('[').and_then(|path| {
                    let (index, left) = path.split_once(']')?;
                    Some((items.get(index.parse::<usize>().ok()?)?, left))
                });
                if let Some((item, left)) = item {
                    descend(item, vec![(problem, left)], places);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Format, parse};

    #[test]
    fn a_path_leads_to_its_place() {
        let text = "a.b: {c: 1}\na:\n  b: {d: 2}\n  l: [1, {x: 3}]\n";
        let node = parse(text, Format::Yaml).unwrap();
        let places = [
            (".a.b.c", (1, 10)),
            (".a.b.d", (3, 10)),
            (".a.b.nothing", (1, 6)),
            (".a.l[1].x", (4, 14)),
            (".a.l[7]", (4, 6)),
            (".zzz", (1, 1)),
        ];
        let problem = |path: &str| Problem {
            code: "bad",
            path: format!("policy{path}"),
            message: String::new(),
            hint: None,
            at: None,
            within: None,
        };
        let mut problems: Vec<Problem> = places.iter().map(|(path, _)| problem(path)).collect();
        locate(&node, &mut problems);
        for (problem, (path, place)) in problems.iter().zip(places) {
            assert_eq!(problem.at.map(|at| (at.line, at.column)), Some(place), "{path}");
        }
    }
}
