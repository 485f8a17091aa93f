//! `GET /usage` and `GET /margin`: the rollups by whatever one asks for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use limitr::Amount;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rollups::{Column, Group, Mark, Order, Part, Query as Rollups};
use super::sums::{Measure, Sums, Units, out_of_range};
use super::{amounts, days};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::Query;
use crate::http::page::{Page, Window};
use crate::http::problem::{Details, Problem};
use crate::state::App;
use crate::suggest;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(usage)).routes(routes!(margin))
}

/// What is added up, and how it is shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Report {
    /// What to group by: one or several of `customer`, `plan`, `entitlement`, `credit` and `day`, separated by commas.
    /// `none`, which is the default, adds up everything.
    group: Option<String>,
    /// The first day, UTC: `2026-01-01`.
    from: Option<String>,
    /// The last day, UTC: `2026-01-31`.
    to: Option<String>,
    /// Only of this customer.
    customer: Option<String>,
    /// Only under this plan.
    plan: Option<String>,
    /// Only of this entitlement.
    entitlement: Option<String>,
    /// Only in this credit.
    credit: Option<String>,
    /// A number of the groups to sort by, with `-` in front of it for the largest first. In order of what they are
    /// grouped by, if not given.
    sort: Option<String>,
    /// How many items at most, 1 to 200. 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// What a group is of. It has what was grouped by.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = UsageKey)]
struct Key {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entitlement: Option<String>,
    /// Also there when all of it happens to be in one credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<String>,
    /// A day, UTC.
    #[schema(example = "2026-01-15")]
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSum)]
struct Used {
    #[serde(flatten)]
    key: Key,
    calls: i64,
    /// In the unit of the credit. Not there when it is of several credits, whose units do not add up.
    #[schema(value_type = Option<amounts::Amount>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<Amount>,
    /// Units past the limit that grants covered.
    #[schema(value_type = Option<amounts::Amount>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    covered: Option<Amount>,
    /// Units past the limit that they did not.
    #[schema(value_type = Option<amounts::Amount>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    overage: Option<Amount>,
    /// List price of the units past the limit, in runes.
    #[schema(value_type = amounts::Amount)]
    price: Amount,
    /// Of that, what grants did not cover, in runes.
    #[schema(value_type = amounts::Amount)]
    charge: Amount,
    /// What it cost to provide, in runes.
    #[schema(value_type = amounts::Amount)]
    overhead: Amount,
}

/// What was earned.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MarginSum)]
struct Earned {
    #[serde(flatten)]
    key: Key,
    calls: i64,
    /// List price of the units past the limit, whether grants covered them or not, in runes.
    #[schema(value_type = amounts::Amount)]
    revenue: Amount,
    /// Of that, what grants did not cover, in runes.
    #[schema(value_type = amounts::Amount)]
    charged: Amount,
    /// What it cost to provide, in runes.
    #[schema(value_type = amounts::Amount)]
    overhead: Amount,
    /// `revenue - overhead`, in runes.
    #[schema(value_type = amounts::Amount)]
    margin: Amount,
    /// `margin / revenue * 100`, to nine decimals. Not there without revenue.
    #[schema(value_type = Option<amounts::Amount>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    margin_pct: Option<Amount>,
}

const USED: &[(&str, Measure)] = &[
    ("calls", |sums| Some(sums.calls.into())),
    ("units", Sums::units),
    ("price", |sums| Some(sums.price)),
    ("charge", |sums| Some(sums.charge)),
    ("overhead", |sums| Some(sums.overhead)),
];
const EARNED: &[(&str, Measure)] = &[
    ("calls", |sums| Some(sums.calls.into())),
    ("revenue", |sums| Some(sums.price)),
    ("charged", |sums| Some(sums.charge)),
    ("overhead", |sums| Some(sums.overhead)),
    ("margin", Sums::margin),
    ("margin_pct", Sums::margin_pct),
];

/// What was used, added up from the ledger by day, and grouped.
///
/// Sums are exact. They stay when old lines of the ledger are removed.
#[utoipa::path(get, path = "/usage", tag = "usage", params(Report),
    responses(
        (status = 200, description = "A page of sums.", body = Page<Used>, example = json!({"items": [{
            "customer": "acme", "credit": "token", "day": "2026-01-15", "calls": 12, "units": 740_000, "covered": 0,
            "overage": 240_000, "price": 0.72, "charge": 0.72, "overhead": 2.22
        }]})),
        (status = 422, description = "A sum leaves the range of amounts: `out_of_range`.", body = Details,
            content_type = "application/problem+json")))]
async fn usage(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(report): Query<Report>,
) -> Result<Json<Page<Used>>, Problem> {
    report
        .page(&app, &caller, USED, |key, sums| {
            let (covered, overage) = match &sums.units {
                Units::Of { covered, overage, .. } => (Some(*covered), Some(*overage)),
                Units::None | Units::Mixed => (None, None),
            };
            let Sums { calls, overhead, price, charge, .. } = sums;
            Ok(Used { key, calls, units: sums.units(), covered, overage, price, charge, overhead })
        })
        .await
}

/// What was earned: revenue against what it cost, grouped.
///
/// `revenue` is the list price of what was used past limits, `charged` the part of it that grants did not cover, and
/// `overhead` what it cost to provide. `margin = revenue - overhead`, and `margin_pct = margin / revenue * 100`. All are
/// in runes: one rune is the unit of money that the policy's prices and costs are written in, such as a dollar.
#[utoipa::path(get, path = "/margin", tag = "usage", params(Report),
    responses(
        (status = 200, description = "A page of sums.", body = Page<Earned>, example = json!({"items": [{
            "plan": "pro", "calls": 310, "revenue": 42.5, "charged": 40, "overhead": 12.75, "margin": 29.75,
            "margin_pct": 70
        }]})),
        (status = 422, description = "A sum leaves the range of amounts: `out_of_range`.", body = Details,
            content_type = "application/problem+json")))]
async fn margin(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(report): Query<Report>,
) -> Result<Json<Page<Earned>>, Problem> {
    report
        .page(&app, &caller, EARNED, |key, sums| {
            let (margin, margin_pct) = (sums.margin().ok_or_else(out_of_range)?, sums.margin_pct());
            let Sums { calls, overhead, price: revenue, charge: charged, .. } = sums;
            Ok(Earned { key, calls, revenue, charged, overhead, margin, margin_pct })
        })
        .await
}

impl Report {
    async fn page<T: Serialize>(
        self,
        app: &App,
        caller: &Caller,
        measures: &[(&'static str, Measure)],
        show: impl Fn(Key, Sums) -> Result<T, Problem>,
    ) -> Result<Json<Page<T>>, Problem> {
        caller.require(Permission::Read)?;
        let by = columns(self.group.as_deref().unwrap_or("none"))?;
        let order = self.sort.as_deref().map_or(Ok(Order::Key), |sort| order(sort, measures))?;
        let window = Window::<Mark>::new(self.limit, self.cursor.as_deref())?;
        if window.after.as_ref().is_some_and(|mark| !belongs(mark, &by)) {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", "the cursor is one of another list")
                .at("cursor")
                .hint("group and sort every page as the one before"));
        }
        let names = [
            (Column::Customer, self.customer),
            (Column::Plan, self.plan),
            (Column::Entitlement, self.entitlement),
            (Column::Credit, self.credit),
        ];
        let rollups = Rollups {
            workspace: &caller.workspace,
            by: by.clone(),
            days: (
                self.from.map(|text| days::number("from", &text)).transpose()?,
                self.to.map(|text| days::number("to", &text)).transpose()?,
            ),
            names: names.into_iter().filter_map(|(column, name)| Some((column, name?))).collect(),
            order,
            after: window.after.clone(),
            rows: usize::try_from(window.rows()).unwrap_or(usize::MAX),
        };
        let groups = rollups.run(&app.store).await?;
        let Page { items, next } = window.page(groups, |group| order.mark(group));
        let items = items.into_iter().map(|group| {
            let key = Key::of(&by, &group)?;
            show(key, group.sums)
        });
        Ok(Json(Page { items: items.collect::<Result<Vec<_>, _>>()?, next }))
    }
}

impl Key {
    fn of(by: &[Column], group: &Group) -> Result<Self, Problem> {
        let mut key = Self::default();
        if let Units::Of { credit, .. } = &group.sums.units {
            key.credit = Some(credit.clone());
        }
        for (column, part) in by.iter().zip(&group.key) {
            let text = match part {
                Part::Name(name) => name.clone(),
                Part::Day(day) => days::text(*day).ok_or_else(|| Problem::internal(&"a stored day is none"))?,
            };
            let place = match column {
                Column::Customer => &mut key.customer,
                Column::Plan => &mut key.plan,
                Column::Entitlement => &mut key.entitlement,
                Column::Credit => &mut key.credit,
                Column::Day => &mut key.day,
            };
            *place = Some(text);
        }
        Ok(key)
    }
}

fn columns(text: &str) -> Result<Vec<Column>, Problem> {
    let mut columns = Vec::new();
    for name in text.split(',').map(str::trim).filter(|_| text != "none") {
        match Column::ALL.into_iter().find(|column| column.name() == name) {
            Some(column) if columns.contains(&column) => {}
            Some(column) => columns.push(column),
            None => return Err(unknown("group", name, Column::ALL.map(Column::name).into_iter().chain(["none"]))),
        }
    }
    Ok(columns)
}

fn order(sort: &str, measures: &[(&'static str, Measure)]) -> Result<Order, Problem> {
    let (descending, name) = sort.strip_prefix('-').map_or((false, sort), |name| (true, name));
    let known = measures.iter().find(|(known, _)| *known == name);
    let (_, measure) = known.ok_or_else(|| unknown("sort", name, measures.iter().map(|(known, _)| *known)))?;
    Ok(Order::By { measure: *measure, descending })
}

fn unknown(parameter: &str, name: &str, known: impl Iterator<Item = &'static str> + Clone) -> Problem {
    let hint = match suggest::nearest(name, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    let detail = format!("nothing goes by the name `{name}` here");
    Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail).at(parameter).hint(hint)
}

fn belongs(mark: &Mark, by: &[Column]) -> bool {
    let fits = |(part, column): (&Part, &Column)| matches!(part, Part::Day(_)) == (*column == Column::Day);
    mark.key.len() == by.len() && mark.key.iter().zip(by).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named() {
        assert_eq!(columns("none").unwrap(), []);
        assert_eq!(columns("day, customer,day").unwrap(), [Column::Day, Column::Customer]);
        for wrong in ["", "customers", "none,day"] {
            assert_eq!(columns(wrong).unwrap_err().status(), StatusCode::BAD_REQUEST, "{wrong}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_grouping() {
        let mark: Mark = serde_json::from_str(r#"{"key": [20468, "ann"]}"#).unwrap();
        assert!(belongs(&mark, &[Column::Day, Column::Customer]));
        assert!(!belongs(&mark, &[Column::Customer, Column::Day]));
        assert!(!belongs(&mark, &[Column::Day]));
    }
}
