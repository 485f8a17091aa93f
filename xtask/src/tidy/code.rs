//! Rust source without what is not product code, line for line.

/// Blanks comments, the contents of literals and `#[cfg(test)]` items, keeping every line break, so that a word found in
/// the result is code and its line number is the one in the file.
pub(super) fn product_code(source: &str) -> String {
    without_tests(&without_text(source))
}

fn without_text(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest, out.chars().next_back());
        if length == 0 {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        } else {
            let (text, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            blank(text, &mut out);
            rest = after;
        }
    }
    out
}

/// The length of the comment or literal that `rest` begins with; 0 when it begins with code.
fn skipped(rest: &str, previous: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return string(rest);
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    // `r"..."` and `r#"..."#`, but not the end of a name such as `for`.
    let in_name = previous.is_some_and(|c| (c.is_alphanumeric() && c != 'b' && c != 'c') || c == '_');
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !in_name) {
        let hashes = raw.chars().take_while(|c| *c == '#').count();
        if raw.chars().nth(hashes) == Some('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = 1 + hashes + 1;
            return rest
                .get(open..)
                .and_then(|body| body.find(&end))
                .map_or(rest.len(), |close| open + close + end.len());
        }
    }
    0
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        match (previous, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth = depth.saturating_sub(1),
            _ => {
                previous = c;
                continue;
            }
        }
        if depth == 0 {
            return at + 1;
        }
        previous = ' ';
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'x'` or `'\n'`; a lifetime is code.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, item)) = rest.find("#[cfg(test)]").and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let (test, after) = item.split_at_checked(item_length(item)).unwrap_or((item, ""));
        blank(test, &mut out);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// An item ends at its first `;` outside of braces, or where its first block closes.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

fn blank(text: &str, out: &mut String) {
    out.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
}
