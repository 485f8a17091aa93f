//! Lines added to the ledger, and to what it adds up to by day.

use std::collections::BTreeMap;

use limitr::Amount;
use limitr_sync::LedgerLine;
use serde::Serialize;

use super::records::text;
use crate::error::Error;
use crate::store::{Dialect, Tx};
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
    let sql = format!(
        "INSERT INTO ledger (workspace, at, stored_at, engine, entry, customer, entitlement, effect, counted) \
         SELECT $1, at, $3, engine, entry, customer, entitlement, effect, counted FROM {} WHERE true",
        dialect.rows(
            "$2",
            &[
                ("at", "BIGINT"),
                ("engine", "TEXT"),
                ("entry", "BIGINT"),
                ("customer", "TEXT"),
                ("entitlement", "TEXT"),
                ("effect", "TEXT"),
                ("counted", "BIGINT"),
            ]
        )
    );
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&rows)).bind(at).execute(&mut **tx).await?;
    let mut sums: BTreeMap<Key<'_>, Sums> = BTreeMap::new();
    for line in lines {
        sums.entry(Key::of(line)).or_default().add(line)?;
    }
    match dialect {
        Dialect::Postgres => add_in_place(tx, workspace, sums).await,
        Dialect::Sqlite => add_here(tx, workspace, sums).await,
    }
}

/// A line of the ledger, written as JSON.
#[derive(Serialize)]
struct Line<'a> {
    at: Millis,
    engine: Option<&'a str>,
    entry: u64,
    customer: &'a str,
    entitlement: &'a str,
    effect: String,
    counted: i64,
}

impl<'a> Line<'a> {
    fn of(line: &'a LedgerLine) -> Result<Self, Error> {
        let LedgerLine { engine, entry, effect, counted } = line;
        Ok(Self {
            at: effect.at,
            engine: engine.as_deref(),
            entry: *entry,
            customer: &effect.customer,
            entitlement: &effect.entitlement,
            effect: serde_json::to_string(effect).map_err(|error| Error::new("internal", error.to_string()))?,
            counted: i64::from(*counted),
        })
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

/// A row of sums, written as JSON.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    key: &'a Key<'a>,
    calls: i64,
    #[serde(flatten)]
    amounts: BTreeMap<&'static str, String>,
}

impl<'a> Row<'a> {
    fn of((key, sums): (&'a Key<'a>, &Sums)) -> Self {
        let amounts = AMOUNTS.into_iter().zip(sums.amounts.iter().map(ToString::to_string)).collect();
        Self { key, calls: sums.calls, amounts }
    }
}

fn columns() -> Vec<(&'static str, &'static str)> {
    let keys = KEYS.iter().map(|key| (*key, if *key == "day" { "BIGINT" } else { "TEXT" }));
    keys.chain([("calls", "BIGINT")]).chain(AMOUNTS.iter().map(|amount| (*amount, "TEXT"))).collect()
}

fn upsert(dialect: Dialect, set: &str) -> String {
    let names: Vec<&str> = columns().into_iter().map(|(name, _)| name).collect();
    let names = names.join(", ");
    format!(
        "INSERT INTO rollups (workspace, {names}) SELECT $1, {names} FROM {} WHERE true \
         ON CONFLICT (workspace, customer, day, plan, entitlement, credit) DO UPDATE SET {set}",
        dialect.rows("$2", &columns())
    )
}

/// PostgreSQL adds decimals exactly, and locks the row while it does.
async fn add_in_place(tx: &mut Tx, workspace: &str, sums: BTreeMap<Key<'_>, Sums>) -> Result<(), Error> {
    let add = |name: &&str| {
        format!("{name} = CAST(CAST(rollups.{name} AS NUMERIC) + CAST(excluded.{name} AS NUMERIC) AS TEXT)")
    };
    let set: Vec<String> =
        AMOUNTS.iter().map(add).chain(["calls = rollups.calls + excluded.calls".to_owned()]).collect();
    let rows: Vec<Row<'_>> = sums.iter().map(Row::of).collect();
    let sql = upsert(Dialect::Postgres, &set.join(", "));
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&rows)).execute(&mut **tx).await?;
    Ok(())
}

/// SQLite has no decimals, but one writer: what is read stays as it is until it is written.
async fn add_here(tx: &mut Tx, workspace: &str, mut sums: BTreeMap<Key<'_>, Sums>) -> Result<(), Error> {
    let keys: Vec<&Key<'_>> = sums.keys().collect();
    let names: Vec<String> = KEYS.iter().map(|key| format!("r.{key}")).collect();
    let amounts: Vec<String> = AMOUNTS.iter().map(|amount| format!("r.{amount}")).collect();
    let on: Vec<String> = KEYS.iter().map(|key| format!("r.{key} = k.{key}")).collect();
    let keyed: Vec<(&str, &str)> = columns().into_iter().take(KEYS.len()).collect();
    let sql = format!(
        "SELECT {}, r.calls, {} FROM {} AS k CROSS JOIN rollups AS r ON r.workspace = $1 AND {}",
        names.join(", "),
        amounts.join(", "),
        Dialect::Sqlite.rows("$2", &keyed),
        on.join(" AND ")
    );
    type Stored = (String, i64, String, String, String, i64, String, String, String, String, String, String);
    let rows: Vec<Stored> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&keys)).fetch_all(&mut **tx).await?;
    for (customer, day, plan, entitlement, credit, calls, units, overhead, price, charge, covered, overage) in &rows {
        let key = Key { customer, day: *day, plan, entitlement, credit };
        let Some(sums) = sums.get_mut(&key) else { continue };
        let unreadable = |_| Error::new("database_corrupt", "a sum of the ledger is no number");
        let mut stored = [Amount::ZERO; AMOUNTS.len()];
        for (amount, text) in stored.iter_mut().zip([units, overhead, price, charge, covered, overage]) {
            *amount = text.parse().map_err(unreadable)?;
        }
        sums.merge(*calls, stored)?;
    }
    let rows: Vec<Row<'_>> = sums.iter().map(Row::of).collect();
    let set: Vec<String> =
        AMOUNTS.iter().chain(["calls"].iter()).map(|name| format!("{name} = excluded.{name}")).collect();
    let sql = upsert(Dialect::Sqlite, &set.join(", "));
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(workspace).bind(text(&rows)).execute(&mut **tx).await?;
    Ok(())
}
