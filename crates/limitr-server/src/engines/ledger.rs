//! Lines added to the ledger, and to what it adds up to by day.

use std::collections::BTreeMap;

use limitr::Amount;
use limitr_sync::LedgerLine;
use serde::Serialize;

use super::records::{listed, text};
use crate::error::Error;
use crate::store::{Cell, Dialect, Insert, Tx};
use crate::time::{DAY, Millis};

/// What lines are added up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Key<'a> {
    customer: &'a str,
    day: i64,
    plan: &'a str,
    entitlement: &'a str,
    credit: &'a str,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    calls: i64,
    amounts: [Amount; AMOUNTS.len()],
}

/// Columns of amounts, in the order of [`Sums::amounts`].
const AMOUNTS: [&str; 6] = ["units", "overhead", "price", "charge", "covered", "overage"];

const LINE: [&str; 9] =
    ["workspace", "at", "stored_at", "engine", "entry", "customer", "entitlement", "effect", "counted"];

const KEYS: [&str; 5] = ["customer", "day", "plan", "entitlement", "credit"];

/// Adds lines to the ledger and to the rollups.
pub(super) async fn append(
    tx: &mut Tx,
    dialect: Dialect,
    workspace: &str,
    lines: &[LedgerLine],
    at: Millis,
) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let rows: Vec<Line<'_>> = lines.iter().map(Line::of).collect::<Result<_, _>>()?;
    let insert = Insert { table: "ledger", columns: &LINE, conflict: "" };
    let cells = rows.iter().map(|Line { line, effect: text }| {
        let LedgerLine { engine, entry, effect, counted } = line;
        [
            Cell::Text(workspace),
            Cell::Number(effect.at),
            Cell::Number(at),
            engine.as_deref().map_or(Cell::Nothing, Cell::Text),
            Cell::Number(i64::try_from(*entry).unwrap_or(i64::MAX)),
            Cell::Text(&effect.customer),
            Cell::Text(&effect.entitlement),
            Cell::Text(text),
            Cell::Number(i64::from(*counted)),
        ]
    });
    insert.rows(tx, dialect, cells).await?;
    let mut sums: BTreeMap<Key<'_>, Sums> = BTreeMap::new();
    for line in lines {
        sums.entry(Key::of(line)).or_default().add(line)?;
    }
    match dialect {
        Dialect::Postgres => add_in_place(tx, workspace, &sums).await,
        Dialect::Sqlite => add_here(tx, workspace, sums).await,
    }
}

/// A line of the ledger, and its effect as JSON.
struct Line<'a> {
    line: &'a LedgerLine,
    effect: String,
}

impl<'a> Line<'a> {
    fn of(line: &'a LedgerLine) -> Result<Self, Error> {
        let effect = serde_json::to_string(&line.effect).map_err(|error| Error::new("internal", error.to_string()))?;
        Ok(Self { line, effect })
    }
}

impl<'a> Key<'a> {
    fn of(line: &'a LedgerLine) -> Self {
        let effect = &line.effect;
        Self {
            customer: &effect.customer,
            day: effect.at.div_euclid(DAY),
            plan: &effect.plan,
            entitlement: &effect.entitlement,
            credit: &effect.credit,
        }
    }
}

impl Sums {
    fn add(&mut self, line: &LedgerLine) -> Result<(), Error> {
        let effect = &line.effect;
        let (price, charge) = (effect.price.unwrap_or_default(), effect.charge.unwrap_or_default());
        let amounts = [effect.units, effect.overhead, price, charge, effect.covered, effect.overage];
        self.merge(1, amounts)
    }

    fn merge(&mut self, calls: i64, amounts: [Amount; AMOUNTS.len()]) -> Result<(), Error> {
        self.calls = self.calls.saturating_add(calls);
        for (sum, amount) in self.amounts.iter_mut().zip(amounts) {
            let out_of_range = || Error::new("out_of_range", "the sums of a day leave the range of amounts");
            *sum = sum.checked_add(amount).ok_or_else(out_of_range)?;
        }
        Ok(())
    }
}

/// Writes sums. `sum` makes a column's new value from the stored and the given one.
async fn upsert(
    tx: &mut Tx,
    dialect: Dialect,
    workspace: &str,
    sums: &BTreeMap<Key<'_>, Sums>,
    sum: impl Fn(&str) -> String,
) -> Result<(), Error> {
    let added = ["calls"].into_iter().chain(AMOUNTS);
    let set: Vec<String> = added.clone().map(|name| format!("{name} = {}", sum(name))).collect();
    let conflict = format!("ON CONFLICT (workspace, {}) DO UPDATE SET {}", KEYS.join(", "), set.join(", "));
    let columns: Vec<&str> = ["workspace"].into_iter().chain(KEYS).chain(added).collect();
    let insert = Insert { table: "rollups", columns: &columns, conflict: &conflict };
    let texts: Vec<[String; AMOUNTS.len()]> =
        sums.values().map(|sums| sums.amounts.map(|amount| amount.to_string())).collect();
    let rows: Vec<(&Key<'_>, &Sums, &[String; AMOUNTS.len()])> =
        sums.iter().zip(&texts).map(|((key, sums), texts)| (key, sums, texts)).collect();
    let cells = rows.iter().map(|(key, sums, [units, overhead, price, charge, covered, overage])| {
        [
            Cell::Text(workspace),
            Cell::Text(key.customer),
            Cell::Number(key.day),
            Cell::Text(key.plan),
            Cell::Text(key.entitlement),
            Cell::Text(key.credit),
            Cell::Number(sums.calls),
            Cell::Text(units),
            Cell::Text(overhead),
            Cell::Text(price),
            Cell::Text(charge),
            Cell::Text(covered),
            Cell::Text(overage),
        ]
    });
    insert.rows(tx, dialect, cells).await?;
    Ok(())
}

/// PostgreSQL adds decimals exactly, and locks the row while it does.
async fn add_in_place(tx: &mut Tx, workspace: &str, sums: &BTreeMap<Key<'_>, Sums>) -> Result<(), Error> {
    let add = |name: &str| match name {
        "calls" => "rollups.calls + excluded.calls".to_owned(),
        _ => format!("CAST(CAST(rollups.{name} AS NUMERIC) + CAST(excluded.{name} AS NUMERIC) AS TEXT)"),
    };
    upsert(tx, Dialect::Postgres, workspace, sums, add).await
}

/// SQLite has no decimals, but one writer: what is read stays as it is until it is written.
async fn add_here(tx: &mut Tx, workspace: &str, mut sums: BTreeMap<Key<'_>, Sums>) -> Result<(), Error> {
    let keys: Vec<&Key<'_>> = sums.keys().collect();
    let on: Vec<String> = KEYS.iter().map(|key| format!("r.{key} = k.{key}")).collect();
    let given: Vec<String> = KEYS.iter().map(|key| format!("json_extract(value, '$.{key}') AS {key}")).collect();
    let (keys_of, amounts_of) = (KEYS.join(", "), AMOUNTS.join(", "));
    let stored = format!(
        "SELECT r.* FROM (SELECT {} FROM json_each($2)) AS k CROSS JOIN rollups AS r ON r.workspace = $1 AND {}",
        given.join(", "),
        on.join(" AND ")
    );
    let sql = Dialect::Sqlite.as_json(&format!("{keys_of}, calls, json_array({amounts_of})"), &stored);
    let rows: String =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&keys)).fetch_one(&mut **tx).await?;
    type Stored = (String, i64, String, String, String, i64, [Amount; AMOUNTS.len()]);
    let rows: Vec<Stored> = listed(&rows)?;
    for (customer, day, plan, entitlement, credit, calls, amounts) in &rows {
        if let Some(sums) = sums.get_mut(&Key { customer, day: *day, plan, entitlement, credit }) {
            sums.merge(*calls, *amounts)?;
        }
    }
    upsert(tx, Dialect::Sqlite, workspace, &sums, |name| format!("excluded.{name}")).await
}
