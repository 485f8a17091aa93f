//! Customers.

use clap::Args;
use serde_json::{Value, json};

use super::api::{Api, Listed};
use super::reports::more;
use super::shown::{amount, entries, text, texts, time};
use super::table::{Table, lines, printable};
use super::{Most, Shown};
use crate::outcome::Outcome;

#[derive(Debug, Args)]
pub(super) struct List {
    /// How an id begins, or what a label holds
    search: Option<String>,
    #[command(flatten)]
    most: Most,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Its id, or another that it goes by
    id: String,
}

pub(super) fn list(api: &Api, arguments: &List, shown: &mut Shown<'_>) -> Outcome {
    let search = arguments.search.iter().map(|search| ("search", search.clone())).collect::<Vec<_>>();
    let Listed { items, more: left } = api.list(&["customers"], &search, arguments.most.most)?;
    shown.answer(&items.into(), |customers| {
        let mut table = Table::new(&["ID", "PLAN", "TYPE", "LABEL", "ALSO", "REFERS TO", "CHANGED"]);
        for customer in customers.as_array().into_iter().flatten() {
            table.row([
                text(customer, "id"),
                text(customer, "plan"),
                text(customer, "type"),
                text(customer, "label"),
                texts(customer, "alt_ids"),
                texts(customer, "refs"),
                time(customer, "updated_at"),
            ]);
        }
        table.text("no customers") + more(left)
    })
}

pub(super) fn one(api: &Api, arguments: &One, shown: &mut Shown<'_>) -> Outcome {
    let customer = api.get(&["customers", &arguments.id], &[])?;
    let standing = api.get(&["customers", &arguments.id, "entitlements"], &[])?;
    let answer = json!({"customer": customer, "standing": standing});
    shown.answer(&answer, |_| told(&customer, &standing))
}

fn told(customer: &Value, standing: &Value) -> String {
    let (own, applies) = (text(customer, "plan"), text(standing, "plan"));
    let plan = if own == applies { own } else { format!("{applies} (of a customer it refers to)") };
    let metadata = customer.get("metadata").filter(|metadata| metadata.as_object().is_some_and(|map| !map.is_empty()));
    let head = lines(&[
        ("customer", text(customer, "id")),
        ("label", text(customer, "label")),
        ("type", text(customer, "type")),
        ("plan", plan),
        ("also", texts(customer, "alt_ids")),
        ("refers to", texts(customer, "refs")),
        ("metadata", metadata.map(ToString::to_string).unwrap_or_default()),
        ("created", time(customer, "created_at")),
        ("changed", time(customer, "updated_at")),
    ]);
    let mut parts = vec![head];
    let mut part = |title: &str, table: Table, empty: bool| {
        if !empty {
            parts.push(format!("\n{title}\n{}", table.text("")));
        }
    };
    let mut table = Table::new(&["ENTITLEMENT", ">USED", ">LIMIT", ">LEFT", "RESETS", "DENIED FOR"]);
    for (name, entitlement) in entries(standing, "entitlements") {
        table.row([
            name.clone(),
            amount(entitlement, "used"),
            amount(entitlement, "limit"),
            amount(entitlement, "remaining"),
            time(entitlement, "resets_at"),
            text(entitlement, "reason"),
        ]);
    }
    part("What it may use:", table, entries(standing, "entitlements").next().is_none());
    let mut table = Table::new(&["GRANT", "TOPUP", "CREDIT", ">LEFT", ">OF", "EXPIRES"]);
    for (id, grant) in entries(customer, "grants") {
        table.row([
            id.clone(),
            text(grant, "topup"),
            text(grant, "credit"),
            amount(grant, "value"),
            amount(grant, "starting_value"),
            time(grant, "expires_on"),
        ]);
    }
    part("What it was granted:", table, entries(customer, "grants").next().is_none());
    let mut table = Table::new(&["CAP", "CREDIT", ">SPENT", ">OF"]);
    for (id, cap) in entries(customer, "caps") {
        table.row([id.clone(), text(cap, "credit"), amount(cap, "meter_value"), amount(cap, "value")]);
    }
    part("What it may spend:", table, entries(customer, "caps").next().is_none());
    let overrides = entries(customer, "overrides").map(|(name, limit)| format!("{}  {limit}\n", printable(name)));
    let overrides: String = overrides.collect();
    if !overrides.is_empty() {
        parts.push(format!("\nLimits of its own:\n{overrides}"));
    }
    parts.concat()
}
