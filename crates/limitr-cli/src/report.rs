//! Diagnostics: what is wrong, with the line it is on.
//!
//! In colour on a terminal; plain text elsewhere and with `NO_COLOR`.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, stderr, stdout};

use limitr::Position;
use limitr_cli::Finding;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};

use crate::input::Source;
use crate::outcome::Trouble;

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Colours and lines.
    Fancy,
    /// Text that survives any log.
    Plain,
}

impl Style {
    fn of(stream: &impl IsTerminal) -> Self {
        let plain = |name: &str, value: Option<&str>| {
            std::env::var(name).is_ok_and(|set| value.map_or(!set.is_empty(), |value| set == value))
        };
        let fancy = stream.is_terminal() && !plain("NO_COLOR", None) && !plain("TERM", Some("dumb"));
        if fancy { Self::Fancy } else { Self::Plain }
    }

    /// How standard output looks.
    pub(crate) fn stdout() -> Self {
        Self::of(&stdout())
    }
}

/// What goes to standard error before the command ends.
pub(crate) fn trouble(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Output(error) => format!("limitr: cannot write the output: {error}\n"),
        Trouble::Unusable { message, hint } => {
            let hint = hint.as_ref().map(|hint| format!("  help: {hint}\n")).unwrap_or_default();
            format!("limitr: {message}\n{hint}")
        }
        Trouble::Findings { source, findings, .. } => {
            let mut text = self::findings(source, findings, Style::of(&stderr()));
            // Where the list is cut short, its last entry says so and is no problem itself.
            let (listed, more) = match findings.split_last() {
                Some((last, listed)) if last.code == "too_many_problems" => (listed.len(), "more than "),
                _ => (findings.len(), ""),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{more}{} in {}", counted(listed, "problem"), source.name);
            text
        }
    }
}

/// `1 problem`, `2 problems`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Every finding with its place in the source.
pub(crate) fn findings(source: &Source, findings: &[Finding], style: Style) -> String {
    let theme = match style {
        Style::Fancy => GraphicalTheme::unicode(),
        Style::Plain => GraphicalTheme::none(),
    };
    let width = if style == Style::Fancy { 100 } else { 200 };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(width);
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let lines: Vec<&str> = text.lines().collect();
    let mut report = String::new();
    for finding in findings {
        if !report.is_empty() {
            report.push('\n');
        }
        // In an expression a name ends where its letters do, elsewhere where the value does.
        let extent = if finding.code.starts_with("expression_") { word } else { token };
        let excerpt = finding.at.and_then(|at| Excerpt::new(&source.name, &lines, at, extent));
        let shown = Shown { finding, excerpt };
        if handler.render_report(&mut report, &shown).is_err() {
            let _ = write!(report, "{}: {}", finding.path, finding.message);
        }
    }
    report
}

/// A finding as miette wants it.
#[derive(Debug)]
struct Shown<'f> {
    finding: &'f Finding,
    excerpt: Option<Excerpt>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { path, message, .. } = self.finding;
        // Beside a line of the file the path is the label.
        if self.excerpt.is_none() && !path.is_empty() && !message.starts_with(path.as_str()) {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.finding.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.excerpt.as_ref()?;
        let label = Some(self.finding.path.clone());
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(label, excerpt.span))))
    }
}

/// The line of a finding between its neighbours, so that a report of a thousand findings does not read a large file a
/// thousand times.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    span: SourceSpan,
    /// Line of the text's start in the file, from 0.
    first: usize,
    /// Column of the span in the file, from 0.
    column: usize,
}

impl Excerpt {
    /// `extent` says how many bytes of what is at the position are meant.
    fn new(name: &str, lines: &[&str], at: Position, extent: fn(&str) -> usize) -> Option<Self> {
        // The end of a text that ends with a line break is on a line of its own.
        let line = (at.line as usize).checked_sub(1)?.min(lines.len().checked_sub(1)?);
        let column = (at.column as usize).saturating_sub(1);
        let (first, mut text) = match line.checked_sub(1).and_then(|before| Some((before, lines.get(before)?))) {
            Some((before, neighbour)) => (before, window(neighbour, 0).0 + "\n"),
            None => (line, String::new()),
        };
        let (shown, offset) = window(lines.get(line)?, column);
        let length = shown.get(offset..).map_or(0, extent);
        let span = SourceSpan::from((text.len() + offset, length));
        text.push_str(&shown);
        text.push('\n');
        if let Some(after) = lines.get(line + 1) {
            text.push_str(&window(after, 0).0);
            text.push('\n');
        }
        Some(Self { name: name.to_owned(), text, span, first, column })
    }
}

/// The part of a long line around a column, and the byte of that column in it.
fn window(line: &str, column: usize) -> (String, usize) {
    const BEFORE: usize = 60;
    const LONGEST: usize = 140;
    let start = if line.len() > LONGEST { column.saturating_sub(BEFORE) } else { 0 };
    let mut shown = String::new();
    if start > 0 {
        shown.push('…');
    }
    let mut offset = None;
    let mut characters = line.chars().skip(start).enumerate();
    for (index, character) in characters.by_ref().take(LONGEST) {
        if start + index == column {
            offset = Some(shown.len());
        }
        shown.push(if character.is_control() && character != '\t' { ' ' } else { character });
    }
    let offset = offset.unwrap_or(shown.len());
    if characters.next().is_some() {
        shown.push('…');
    }
    (shown, offset)
}

/// How many bytes of the text belong to the key or value it starts with.
fn token(text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return 0 };
    let end = match first {
        '"' | '\'' => characters.find(|(_, character)| *character == first).map(|(index, _)| index + 1),
        _ if first.is_alphanumeric() || matches!(first, '-' | '_' | '.' | '$') => {
            let ends =
                |character: char| character.is_whitespace() || matches!(character, ':' | ',' | ']' | '}' | '=' | '#');
            characters.find(|(_, character)| ends(*character)).map(|(index, _)| index)
        }
        _ => Some(first.len_utf8()),
    };
    end.unwrap_or(text.len())
}

/// How many bytes of the text belong to the name, number or text that it starts with.
fn word(text: &str) -> usize {
    let belongs = |character: char| character.is_alphanumeric() || character == '_';
    let end = text.find(|character| !belongs(character)).unwrap_or(text.len());
    if end == 0 { token(text) } else { end }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.text.as_str().read_span(span, before, after)?;
        // Without context it is the span's own place that is asked for.
        let column = if before == 0 { self.column } else { contents.column() };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line() + self.first,
            column,
            contents.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end_where_they_should() {
        for (text, expected) in
            [("resset: true", 6), ("\"a b\": 1", 5), ("{a: 1}", 1), ("5, b", 1), ("", 0), ("é: 1", 2), ("'open", 5)]
        {
            assert_eq!(token(text), expected, "{text}");
        }
        for (text, expected) in [("rates[context.model]", 5), ("a.b", 1), ("'a b' + c", 5), ("+ 1", 1), ("", 0)] {
            assert_eq!(word(text), expected, "{text}");
        }
    }

    #[test]
    fn long_lines_are_cut_around_the_column() {
        let line = format!("{}HERE{}", "x".repeat(1000), "y".repeat(1000));
        let (shown, offset) = window(&line, 1000);
        assert!(shown.chars().count() < 150);
        assert!(shown.get(offset..).is_some_and(|rest| rest.starts_with("HERE")));
        assert_eq!(window("short", 99), ("short".to_owned(), 5));
    }
}
