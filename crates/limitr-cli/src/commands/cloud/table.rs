//! Columns for people.

/// A table: numbers to the right, everything else to the left. A column in which nothing stands is left out.
pub(super) struct Table {
    heads: Vec<Head>,
    rows: Vec<Vec<String>>,
}

struct Head {
    name: &'static str,
    right: bool,
}

impl Table {
    /// With these columns; the name of one with numbers begins with `>`.
    pub(super) fn new(names: &[&'static str]) -> Self {
        let head = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => Head { name, right: true },
            None => Head { name, right: false },
        };
        Self { heads: names.iter().map(head).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The table; what to say instead of one without rows.
    pub(super) fn text(&self, nothing: &str) -> String {
        if self.rows.is_empty() {
            return format!("{nothing}\n");
        }
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let shown: Vec<(usize, &Head, usize)> = self
            .heads
            .iter()
            .enumerate()
            .filter_map(|(at, head)| Some((at, head, width(at))).filter(|(.., width)| *width > 0))
            .map(|(at, head, width)| (at, head, width.max(head.name.chars().count())))
            .collect();
        let line = |cell: &dyn Fn(usize, &Head) -> String| {
            let cells = shown.iter().map(|(at, head, width)| {
                let cell = cell(*at, head);
                if head.right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        let mut text = line(&|_, head| head.name.to_owned());
        for row in &self.rows {
            text.push_str(&line(&|at, _| row.get(at).cloned().unwrap_or_default()));
        }
        text
    }
}

/// Lines of a name and what it is; those without anything are left out.
pub(super) fn lines(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let shown = pairs.iter().filter(|(_, what)| !what.is_empty());
    shown.map(|(name, what)| format!("{name:<width$}  {}\n", printable(what))).collect()
}

/// Names and notes come from elsewhere: what they hold is not to move the cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new(&["", "ID", ">UNITS", "NOTE"]);
        table.row(["", "ann", "7", ""].map(str::to_owned));
        table.row(["", "größe\u{1b}[2J", "12000", ""].map(str::to_owned));
        assert_eq!(table.text("none"), "ID         UNITS\nann            7\ngröße [2J  12000\n");
        assert_eq!(Table::new(&["ID"]).text("none"), "none\n");
    }

    #[test]
    fn lines_without_anything_are_left_out() {
        let pairs = [("server", "here".to_owned()), ("who", String::new()), ("policy", "one\ntwo".to_owned())];
        assert_eq!(lines(&pairs), "server  here\npolicy  one two\n");
    }
}
