//! The few things that differ between SQLite and PostgreSQL.

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    pub(crate) fn of<T>(self, sqlite: T, postgres: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }

    /// The texts of a JSON list, as a subquery: one statement for however many.
    pub(crate) fn listed(self, parameter: &str) -> String {
        self.of(
            format!("SELECT value FROM json_each({parameter})"),
            format!("SELECT json_array_elements_text(CAST({parameter} AS json))"),
        )
    }

    /// The objects of a JSON list, as a table with these columns.
    pub(crate) fn rows(self, parameter: &str, columns: &[(&str, &str)]) -> String {
        let each = |column: &dyn Fn(&str, &str) -> String| {
            let columns: Vec<String> = columns.iter().map(|(name, kind)| column(name, kind)).collect();
            columns.join(", ")
        };
        match self {
            Self::Sqlite => {
                let columns = each(&|name, _| format!("json_extract(value, '$.{name}') AS {name}"));
                format!("(SELECT {columns} FROM json_each({parameter}))")
            }
            Self::Postgres => {
                let columns = each(&|name, kind| format!("{name} {kind}"));
                format!("json_to_recordset(CAST({parameter} AS json)) AS given({columns})")
            }
        }
    }

    /// SQLite takes its one write lock at once: taking it later, with something read already, can only fail.
    pub(super) fn begin_write(self) -> &'static str {
        self.of("BEGIN IMMEDIATE", "BEGIN")
    }

    pub(super) fn begin_read(self) -> &'static str {
        self.of("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }
}
