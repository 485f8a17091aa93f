//! Many rows in few statements.

use std::fmt::Write as _;

use sqlx::any::AnyArguments;
use sqlx::{Arguments as _, AssertSqlSafe};

use super::{Dialect, Tx};

/// Rows that a statement has on SQLite. Of a few sizes, so that there are few statements, and the driver knows them all.
const SIZES: [usize; 6] = [1024, 256, 64, 16, 4, 1];

/// A value.
pub(crate) enum Cell<'c> {
    Text(&'c str),
    Number(i64),
    /// None, of a column of texts.
    Nothing,
}

/// How rows are inserted.
pub(crate) struct Insert<'s> {
    pub(crate) table: &'s str,
    pub(crate) columns: &'s [&'s str],
    /// What is to be done with rows that are there already: `ON CONFLICT ...`. Without it they are an error.
    pub(crate) conflict: &'s str,
}

impl Insert<'_> {
    /// Inserts rows, with their cells in the order of the columns. Returns how many were inserted or changed.
    pub(crate) async fn rows<const N: usize>(
        &self,
        tx: &mut Tx,
        dialect: Dialect,
        rows: impl ExactSizeIterator<Item = [Cell<'_>; N]> + Send,
    ) -> sqlx::Result<u64> {
        match dialect {
            Dialect::Sqlite => self.bound(tx, rows).await,
            Dialect::Postgres => self.unnested(tx, rows).await,
        }
    }

    /// A value a place: SQLite has nothing to parse.
    async fn bound<const N: usize>(
        &self,
        tx: &mut Tx,
        mut rows: impl ExactSizeIterator<Item = [Cell<'_>; N]> + Send,
    ) -> sqlx::Result<u64> {
        let mut written = 0;
        for size in SIZES {
            if rows.len() < size {
                continue;
            }
            let sql = self.with_places(size);
            while rows.len() >= size {
                let mut values = AnyArguments::default();
                for cell in rows.by_ref().take(size).flatten() {
                    let added = match cell {
                        Cell::Text(text) => values.add(text),
                        Cell::Number(number) => values.add(number),
                        Cell::Nothing => values.add(None::<&str>),
                    };
                    added.map_err(sqlx::Error::Encode)?;
                }
                written += execute(tx, sql.clone(), values).await?;
            }
        }
        Ok(written)
    }

    /// A place a column, with all of its values: PostgreSQL plans a statement of a thousand places for longer than it runs.
    async fn unnested<const N: usize>(
        &self,
        tx: &mut Tx,
        rows: impl ExactSizeIterator<Item = [Cell<'_>; N]> + Send,
    ) -> sqlx::Result<u64> {
        if rows.len() == 0 {
            return Ok(0);
        }
        let mut lists = [const { String::new() }; N];
        let mut kinds = ["TEXT"; N];
        for row in rows {
            for ((list, kind), cell) in lists.iter_mut().zip(&mut kinds).zip(row) {
                list.push(if list.is_empty() { '{' } else { ',' });
                add(list, &cell);
                if matches!(cell, Cell::Number(_)) {
                    *kind = "BIGINT";
                }
            }
        }
        let mut values = AnyArguments::default();
        for mut list in lists {
            list.push('}');
            values.add(list).map_err(sqlx::Error::Encode)?;
        }
        execute(tx, self.with_lists(kinds), values).await
    }

    fn with_places(&self, rows: usize) -> String {
        // A failure ends the transaction, so that nothing need be kept to undo half a statement.
        // Without numbers: to SQLite `$1` is a name, and names are looked for one by one.
        let row = vec!["?"; self.columns.len()].join(", ");
        let rows = vec![format!("({row})"); rows].join(", ");
        format!("INSERT OR FAIL INTO {} ({}) VALUES {rows} {}", self.table, self.names(), self.conflict)
    }

    fn with_lists<const N: usize>(&self, kinds: [&str; N]) -> String {
        let lists = kinds.iter().zip(1..).map(|(kind, place)| format!("unnest(CAST(${place} AS {kind}[]))"));
        let lists: Vec<String> = lists.collect();
        let (table, names, conflict) = (self.table, self.names(), self.conflict);
        format!("INSERT INTO {table} ({names}) SELECT {} {conflict}", lists.join(", "))
    }

    fn names(&self) -> String {
        self.columns.join(", ")
    }
}

/// The text is the program's; what comes from outside is bound.
async fn execute(tx: &mut Tx, sql: String, values: AnyArguments) -> sqlx::Result<u64> {
    Ok(sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut **tx).await?.rows_affected())
}

/// Adds an element as PostgreSQL writes arrays.
fn add(list: &mut String, cell: &Cell<'_>) {
    match cell {
        Cell::Nothing => list.push_str("NULL"),
        // Writing to a string cannot fail.
        Cell::Number(number) => drop(write!(list, "{number}")),
        Cell::Text(text) => {
            list.push('"');
            for part in text.split_inclusive(['"', '\\']) {
                let special = part.chars().next_back().filter(|last| matches!(last, '"' | '\\'));
                list.push_str(part.trim_end_matches(['"', '\\']));
                list.extend(special.into_iter().flat_map(|special| ['\\', special]));
            }
            list.push('"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANS: Insert<'_> = Insert { table: "plans", columns: &["id", "name"], conflict: "ON CONFLICT DO NOTHING" };

    #[test]
    fn statements_have_a_place_for_everything() {
        assert_eq!(
            PLANS.with_places(2),
            "INSERT OR FAIL INTO plans (id, name) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            PLANS.with_lists(["BIGINT", "TEXT"]),
            "INSERT INTO plans (id, name) SELECT unnest(CAST($1 AS BIGINT[])), unnest(CAST($2 AS TEXT[])) \
             ON CONFLICT DO NOTHING"
        );
    }

    #[test]
    fn elements_are_quoted() {
        let mut list = String::new();
        for cell in [Cell::Text(r#"a "b" \c"#), Cell::Number(-7), Cell::Nothing, Cell::Text("")] {
            add(&mut list, &cell);
            list.push(';');
        }
        assert_eq!(list, r#""a \"b\" \\c";-7;NULL;"";"#);
    }
}
