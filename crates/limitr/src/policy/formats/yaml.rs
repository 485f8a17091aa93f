//! YAML 1.2 with its core schema, built from the events of serde-saphyr's parser: its deserializer would lose the digits
//! of numbers and the positions of keys. Aliases and merge keys (`<<`) are expanded here, within the budget.

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{Budget, MAX_DEPTH, empty, syntax, too_deep};
use crate::policy::node::{Key, Kind, Node};
use crate::{Position, Problem};

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    options.set_emit_comments(false);
    let mut build = Build::default();
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| scan_problem(&error))?;
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                return Err(syntax(position(&span), "the text holds several documents; a policy is one"));
            }
        }
        build.event(event, &span)?;
    }
    build.root.ok_or_else(empty)
}

/// Writes plain data as YAML.
pub(super) fn write(value: &serde_json::Value) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(value)
}

fn scan_problem(error: &ScanError) -> Problem {
    let marker = error.marker();
    let at = place(marker.line(), marker.col());
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(at),
        ErrorKind::UnknownAnchor => syntax(at, "this alias has no anchor before it"),
        kind => syntax(at, kind.to_string()),
    }
}

fn position(span: &Span) -> Option<Position> {
    place(span.start.line(), span.start.col())
}

fn place(line: usize, column: usize) -> Option<Position> {
    Some(Position { line: u32::try_from(line).ok()?, column: u32::try_from(column + 1).ok()? })
}

/// An anchored value, with what a copy of it costs.
struct Anchored {
    node: Node,
    size: Size,
}

/// What a finished value takes of the budget.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    /// Levels of lists and maps, this one included.
    levels: usize,
}

/// A list or map that is not complete yet.
struct Open {
    at: Option<Position>,
    anchor: usize,
    size: Size,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        key: Option<MapKey>,
        /// Values of `<<`, whose entries fill in what the map does not say itself.
        merged: Vec<Node>,
    },
}

enum MapKey {
    Plain(Key),
    Merge,
}

#[derive(Default)]
struct Build {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    budget: Budget,
}

impl Build {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let at = position(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.take(1, text.len(), at)?;
                let size = Size { nodes: 1, bytes: text.len(), levels: 0 };
                if self.wants_key() && anchor == 0 {
                    let merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
                    let key = if merge { MapKey::Merge } else { MapKey::Plain(Key { text: text.into_owned(), at }) };
                    self.set_key(key, size);
                    return Ok(());
                }
                let kind = scalar(&text, style, tag.as_deref()).map_err(|message| syntax(at, message))?;
                self.finish(Node { kind, at }, size, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq").map_err(|message| syntax(at, message))?;
                self.start(at, anchor, Items::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map").map_err(|message| syntax(at, message))?;
                self.start(at, anchor, Items::Map { entries: Vec::new(), key: None, merged: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some(Anchored { node, size }) = self.anchors.get(&anchor) else {
                    return Err(syntax(at, "this alias stands inside the value it refers to"));
                };
                if self.open.len() + size.levels > MAX_DEPTH {
                    return Err(too_deep(at));
                }
                self.budget.take(size.nodes, size.bytes, at)?;
                let (node, size) = (node.clone(), *size);
                self.place(node, size)
            }
            _ => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Map { key: None, .. }, .. }))
    }

    fn set_key(&mut self, new: MapKey, size: Size) {
        if let Some(Open { items: Items::Map { key, .. }, size: total, .. }) = self.open.last_mut() {
            total.add(size);
            *key = Some(new);
        }
    }

    fn start(&mut self, at: Option<Position>, anchor: usize, items: Items) -> Result<(), Problem> {
        if self.wants_key() {
            return Err(syntax(at, "a list or a map cannot be a key"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.budget.take(1, 0, at)?;
        self.open.push(Open { at, anchor, size: Size { nodes: 1, bytes: 0, levels: 1 }, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(Open { at, anchor, size, items }) = self.open.pop() else { return Ok(()) };
        let kind = match items {
            Items::List(items) => Kind::List(items),
            Items::Map { mut entries, merged, .. } => {
                merge(&mut entries, merged)?;
                Kind::Map(entries)
            }
        };
        self.finish(Node { kind, at }, size, anchor)
    }

    /// Keeps the value under its anchor, when it has one, and puts it in its place.
    fn finish(&mut self, node: Node, size: Size, anchor: usize) -> Result<(), Problem> {
        if anchor != 0 {
            // The copy kept for aliases counts like one.
            self.budget.take(size.nodes, size.bytes, node.at)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        self.place(node, size)
    }

    fn place(&mut self, node: Node, size: Size) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size.add(size);
        match &mut open.items {
            Items::List(items) => items.push(node),
            Items::Map { entries, key: slot, merged } => match slot.take() {
                Some(MapKey::Plain(key)) => entries.push((key, node)),
                Some(MapKey::Merge) => match node.kind {
                    Kind::List(items) => merged.extend(items),
                    _ => merged.push(node),
                },
                None => match node.kind {
                    Kind::Text(text) | Kind::Number(text) => *slot = Some(MapKey::Plain(Key { text, at: node.at })),
                    _ => return Err(syntax(node.at, "a key is text")),
                },
            },
        }
        Ok(())
    }
}

impl Size {
    /// Adds a child.
    fn add(&mut self, child: Self) {
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.bytes = self.bytes.saturating_add(child.bytes);
        self.levels = self.levels.max(child.levels + 1);
    }
}

/// Appends what the merged maps have and the map itself (or an earlier merged map) has not.
fn merge(entries: &mut Vec<(Key, Node)>, merged: Vec<Node>) -> Result<(), Problem> {
    if merged.is_empty() {
        return Ok(());
    }
    let mut known: HashSet<String> = entries.iter().map(|(key, _)| key.text.clone()).collect();
    for node in merged {
        let Kind::Map(more) = node.kind else {
            return Err(syntax(node.at, "`<<` takes a map, or a list of maps"));
        };
        entries.extend(more.into_iter().filter(|(key, _)| known.insert(key.text.clone())));
    }
    Ok(())
}

fn collection_tag(tag: Option<&Tag>, expected: &str) -> Result<(), String> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag(expected) && tag.original() != "!" => Err(unsupported(tag)),
        _ => Ok(()),
    }
}

fn unsupported(tag: &Tag) -> String {
    format!("the tag `{}` is not supported here", tag.original())
}

/// A scalar's value: its tag's, the core schema's when it is plain, else text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind, String> {
    let Some(tag) = tag else {
        let plain = style == ScalarStyle::Plain;
        return Ok(if plain { plain_scalar(text) } else { Kind::Text(text.to_owned()) });
    };
    let value = plain_scalar(text);
    match (tag.core_suffix(), value) {
        (Some("str"), _) => Ok(Kind::Text(text.to_owned())),
        _ if tag.original() == "!" => Ok(Kind::Text(text.to_owned())),
        (Some("int" | "float"), value @ Kind::Number(_))
        | (Some("bool"), value @ Kind::Bool(_))
        | (Some("null"), value @ Kind::Null) => Ok(value),
        (Some("int" | "float" | "bool" | "null"), _) => Err(format!("`{text}` is not a value of `{}`", tag.original())),
        _ => Err(unsupported(tag)),
    }
}

/// The core schema of YAML 1.2 (section 10.3): `yes`, `on`, `y` and dates are text.
fn plain_scalar(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => number(text).map_or_else(|| Kind::Text(text.to_owned()), Kind::Number),
    }
}

/// The decimal digits of a core-schema number; hexadecimal and octal ones are converted.
fn number(text: &str) -> Option<String> {
    let radix = |digits: &str, radix| {
        let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        // Past 128 bits the text stays, to be refused as out of range where a number is needed.
        valid.then(|| u128::from_str_radix(digits, radix).map_or_else(|_| text.to_owned(), |whole| whole.to_string()))
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let special = matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    (special || is_decimal(unsigned)).then(|| text.to_owned())
}

/// `( . digits | digits [ . digits? ] ) [ e sign? digits ]`
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Format, parse, write};
    use super::*;

    fn read(text: &str) -> Result<serde_json::Value, (&'static str, String)> {
        parse(text, Format::Yaml).map(|node| node.to_json()).map_err(|problem| (problem.code, problem.message))
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("y", json!("y")),
            ("no", json!("no")),
            ("On", json!("On")),
            ("TRUE", json!(true)),
            ("~", json!(null)),
            ("2025-01-01", json!("2025-01-01")),
            ("1:30", json!("1:30")),
            ("1_000", json!("1_000")),
            ("010", json!(10)),
            ("0x10", json!(16)),
            ("0o10", json!(8)),
            ("0b1", json!("0b1")),
            ("+12", json!(12)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("5.", json!(5.0)),
            (".", json!(".")),
            ("e3", json!("e3")),
            ("1e", json!("1e")),
            ("1GB", json!("1GB")),
            ("'5'", json!("5")),
            ("!!str 5", json!("5")),
            ("!!int 5", json!(5)),
            (".inf", json!(".inf")),
        ] {
            assert_eq!(read(&format!("- {text}")), Ok(json!([value])), "{text}");
        }
        assert_eq!(number("-.INF").as_deref(), Some("-.INF"));
        assert_eq!(number("0.10").as_deref(), Some("0.10"));
    }

    #[test]
    fn anchors_aliases_and_merges_expand() {
        let text = "a: &a {x: 1, y: [2]}\nb: *a\nc: {<<: *a, x: 3}\nd:\n  <<: [*a, {z: 4}]\n";
        let a = json!({"x": 1, "y": [2]});
        assert_eq!(read(text), Ok(json!({"a": a, "b": a, "c": {"x": 3, "y": [2]}, "d": {"x": 1, "y": [2], "z": 4}})));
    }

    #[test]
    fn what_is_refused() {
        for (text, code, message) in [
            ("a: 1\n---\nb: 2\n", "syntax", "the text holds several documents; a policy is one"),
            ("a: *b", "syntax", "this alias has no anchor before it"),
            ("a: &a [*a]", "syntax", "this alias stands inside the value it refers to"),
            ("? [1]\n: 2", "syntax", "a list or a map cannot be a key"),
            ("a: !foo 1", "syntax", "the tag `!foo` is not supported here"),
            ("a: !!int x", "syntax", "`x` is not a value of `!!int`"),
            ("<<: 1", "syntax", "`<<` takes a map, or a list of maps"),
            ("# nothing\n", "empty_document", "the document is empty"),
        ] {
            assert_eq!(read(text), Err((code, message.to_owned())), "{text}");
        }
    }

    #[test]
    fn keys_and_values_have_positions() {
        let node = parse("\u{feff}a: 1\r\nb:\r\n  é: [x, {y: z}]\r\n", Format::Yaml).unwrap();
        let Kind::Map(entries) = &node.kind else { panic!() };
        let place = |at: Option<Position>| at.map(|at| (at.line, at.column)).unwrap();
        assert_eq!(place(entries[0].0.at), (1, 1));
        assert_eq!(place(entries[0].1.at), (1, 4));
        let Kind::Map(inner) = &entries[1].1.kind else { panic!() };
        assert_eq!(place(inner[0].0.at), (3, 3));
        let Kind::List(items) = &inner[0].1.kind else { panic!() };
        assert_eq!(place(items[0].at), (3, 7));
        assert_eq!(place(items[1].at), (3, 10));
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "texts": ["yes", "1e3", "0x10", ".5", "5.", "~", "null", "true", "", " a ", "a: b", "- x", "#", "<<", "2025-01-01",
                "a\nb", "\t", "é", "'", "\"", "*a", "&a", "!a", "%a", "@a", "{}", "1_000", ".inf", "010", "+1", "|", ">"],
            "numbers": [0, -1, 1.5, 1e21, 1e-7, 0.1, 1e300],
            "": {"1": 2, "true": 3, "<<": {"a": 1}, "a b": []},
            "empty": {}
        });
        let text = write(&value, Format::Yaml).unwrap();
        let back = parse(&text, Format::Yaml).unwrap().to_json();
        assert_eq!(back["texts"], value["texts"], "{text}");
        assert_eq!(back[""], value[""], "{text}");
        assert_eq!(back["empty"], value["empty"], "{text}");
        assert_eq!(back["numbers"].to_string().replace("1e21", "1e+21"), value["numbers"].to_string(), "{text}");
    }
}
