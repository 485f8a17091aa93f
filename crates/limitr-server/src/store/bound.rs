//! Statements that are put together: their text is the program's, what comes from outside is bound.

use sqlx::any::AnyArguments;
use sqlx::query::QueryAs;
use sqlx::{Any, Arguments as _, AssertSqlSafe, Encode, FromRow, Type};

/// What a statement is bound to, numbered as it comes.
#[derive(Default)]
pub(crate) struct Bound(AnyArguments);

impl Bound {
    /// Binds a value. What comes back, `$3`, stands for it in the statement, as often as it is wanted there.
    pub(crate) fn place<'t, T: Encode<'t, Any> + Type<Any>>(&mut self, value: T) -> sqlx::Result<String> {
        self.0.add(value).map_err(sqlx::Error::Encode)?;
        Ok(format!("${}", self.0.len()))
    }

    /// The statement, whose text holds nothing but places and what the program wrote.
    pub(crate) fn query<'q, O>(self, sql: String) -> QueryAs<'q, Any, O, AnyArguments>
    where
        O: for<'r> FromRow<'r, <Any as sqlx::Database>::Row>,
    {
        sqlx::query_as_with(AssertSqlSafe(sql), self.0)
    }
}
