//! Usage, margin and the audit.

use clap::Args;
use serde_json::Value;

use super::api::{Api, Listed};
use super::shown::{amount, percent, text, time};
use super::table::Table;
use super::{Most, Shown};
use crate::outcome::Outcome;

/// What there is to group by, in the order of the columns.
const KEYS: [(&str, &str); 5] =
    [("day", "DAY"), ("customer", "CUSTOMER"), ("plan", "PLAN"), ("entitlement", "ENTITLEMENT"), ("credit", "CREDIT")];

const USED: [(&str, &str); 7] = [
    ("calls", ">CALLS"),
    ("units", ">UNITS"),
    ("covered", ">COVERED"),
    ("overage", ">OVERAGE"),
    ("price", ">PRICE"),
    ("charge", ">CHARGE"),
    ("overhead", ">OVERHEAD"),
];

const EARNED: [(&str, &str); 6] = [
    ("calls", ">CALLS"),
    ("revenue", ">REVENUE"),
    ("charged", ">CHARGED"),
    ("overhead", ">OVERHEAD"),
    ("margin", ">MARGIN"),
    ("margin_pct", ">MARGIN %"),
];

#[derive(Debug, Args)]
pub(super) struct Report {
    /// What to group by: customer, plan, entitlement, credit, day, several with commas; all in one, if not given
    #[arg(long, value_name = "NAMES")]
    by: Option<String>,
    /// The first day, UTC, such as 2026-01-01
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day, UTC
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Only of this customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only under this plan
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Only of this entitlement
    #[arg(long, value_name = "NAME")]
    entitlement: Option<String>,
    /// Only in this credit
    #[arg(long, value_name = "NAME")]
    credit: Option<String>,
    /// The column to sort by, `-` in front of it for the largest first: --sort=-charge
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    sort: Option<String>,
    #[command(flatten)]
    most: Most,
}

impl Report {
    fn query(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("group", &self.by),
            ("from", &self.from),
            ("to", &self.to),
            ("customer", &self.customer),
            ("plan", &self.plan),
            ("entitlement", &self.entitlement),
            ("credit", &self.credit),
            ("sort", &self.sort),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

pub(super) fn usage(api: &Api, report: &Report, shown: &mut Shown<'_>) -> Outcome {
    sums(api, "usage", report, &USED, shown)
}

pub(super) fn margin(api: &Api, report: &Report, shown: &mut Shown<'_>) -> Outcome {
    sums(api, "margin", report, &EARNED, shown)
}

fn sums(
    api: &Api,
    what: &str,
    report: &Report,
    numbers: &[(&'static str, &'static str)],
    shown: &mut Shown<'_>,
) -> Outcome {
    let listed = api.list(&[what], &report.query(), report.most.most);
    let Listed { items, more: left } = listed.map_err(|failure| failure.of_flags(&[("group", "by")]))?;
    shown.answer(&items.into(), |groups| {
        let heads: Vec<&'static str> = KEYS.iter().chain(numbers).map(|(_, head)| *head).collect();
        let mut table = Table::new(&heads);
        for group in groups.as_array().into_iter().flatten() {
            let keys = KEYS.iter().map(|(field, _)| text(group, field));
            let numbers = numbers.iter().map(|(field, _)| match *field {
                "margin_pct" => percent(group, field),
                field => amount(group, field),
            });
            table.row(keys.chain(numbers));
        }
        table.text("nothing was used") + more(left)
    })
}

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Only by this one: an id, an email address or the name of a token
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only this action, or all of a kind: token.create, token
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Only what was done to this one, by id
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    #[command(flatten)]
    most: Most,
}

pub(super) fn audit(api: &Api, arguments: &Audit, shown: &mut Shown<'_>) -> Outcome {
    let Audit { actor, action, subject, most } = arguments;
    let given = [("actor", actor), ("action", action), ("subject", subject)];
    let query: Vec<(&str, String)> =
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let Listed { items, more: left } = api.list(&["audit"], &query, most.most)?;
    shown.answer(&items.into(), |entries| {
        let mut table = Table::new(&["WHEN", "WHO", "WHAT", "TO"]);
        for entry in entries.as_array().into_iter().flatten() {
            let who = entry.get("actor").unwrap_or(&Value::Null);
            table.row([time(entry, "at"), text(who, "name"), text(entry, "action"), text(entry, "subject")]);
        }
        table.text("nothing was changed") + more(left)
    })
}

/// What to say below a list that goes on.
pub(super) fn more(left: bool) -> &'static str {
    if left { "There are more: --limit says how many are shown.\n" } else { "" }
}
