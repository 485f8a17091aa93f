//! Rollups, grouped. Rows are read one by one and groups come in order, so that what is kept is a page, however much
//! there is to add up.

use std::cmp::Ordering;

use futures_util::TryStreamExt as _;
use limitr::Amount;
use serde::{Deserialize, Serialize};

use super::sums::{Measure, Row, Sums};
use crate::http::problem::Problem;
use crate::store::{Bound, Store};

/// What rollups can be grouped by, and filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Customer,
    Plan,
    Entitlement,
    Credit,
    Day,
}

impl Column {
    pub(super) const ALL: [Self; 5] = [Self::Customer, Self::Plan, Self::Entitlement, Self::Credit, Self::Day];

    /// Its name, in the API and in the database.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Plan => "plan",
            Self::Entitlement => "entitlement",
            Self::Credit => "credit",
            Self::Day => "day",
        }
    }

    fn part(self, row: &Row) -> Part {
        match self {
            Self::Customer => Part::Name(row.customer.clone()),
            Self::Plan => Part::Name(row.plan.clone()),
            Self::Entitlement => Part::Name(row.entitlement.clone()),
            Self::Credit => Part::Name(row.credit.clone()),
            Self::Day => Part::Day(row.day),
        }
    }
}

/// One part of what a group is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Part {
    Day(i64),
    Name(String),
}

/// Rows with the same parts, added up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) key: Vec<Part>,
    pub(super) sums: Sums,
}

/// Where a group stands in its list: by a measure, if that is what they are sorted by, then by its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Amount>,
    pub(super) key: Vec<Part>,
}

/// How groups follow each other.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Key,
    By { measure: Measure, descending: bool },
}

/// Which groups.
pub(super) struct Query<'a> {
    pub(super) workspace: &'a str,
    pub(super) by: Vec<Column>,
    /// First and last day.
    pub(super) days: (Option<i64>, Option<i64>),
    pub(super) names: Vec<(Column, String)>,
    pub(super) order: Order,
    pub(super) after: Option<Mark>,
    /// How many at most.
    pub(super) rows: usize,
}

impl Order {
    pub(super) fn mark(self, group: &Group) -> Mark {
        let value = match self {
            Self::Key => None,
            Self::By { measure, .. } => measure(&group.sums),
        };
        Mark { value, key: group.key.clone() }
    }

    /// Who has no value comes last, in either direction.
    fn compare(self, a: &Mark, b: &Mark) -> Ordering {
        let descending = matches!(self, Self::By { descending: true, .. });
        let values = match (a.value, b.value) {
            (Some(a), Some(b)) if descending => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        values.then_with(|| a.key.cmp(&b.key))
    }
}

impl Query<'_> {
    pub(super) async fn run(self, store: &Store) -> Result<Vec<Group>, Problem> {
        let mut page = Page { order: self.order, after: self.after.clone(), most: self.rows, groups: Vec::new() };
        let (sql, bound) = self.statement()?;
        let query = bound.query::<Row>(sql);
        let mut rows = query.fetch(store.read());
        // Without a key all rows are one group, even when there are none.
        let mut current = self.by.is_empty().then(|| Group { key: Vec::new(), sums: Sums::default() });
        while let Some(row) = rows.try_next().await? {
            let key: Vec<Part> = self.by.iter().map(|column| column.part(&row)).collect();
            if current.as_ref().is_none_or(|group| group.key != key) {
                page.offer(current.replace(Group { key, sums: Sums::default() }));
            }
            if let Some(group) = &mut current {
                group.sums.add(&row)?;
            }
        }
        page.offer(current);
        Ok(page.groups.into_iter().map(|(_, group)| group).collect())
    }

    fn statement(&self) -> sqlx::Result<(String, Bound)> {
        let mut bound = Bound::default();
        let mut conditions = format!("workspace = {}", bound.place(self.workspace)?);
        for (comparison, day) in [(">=", self.days.0), ("<=", self.days.1)] {
            if let Some(day) = day {
                conditions.push_str(&format!(" AND day {comparison} {}", bound.place(day)?));
            }
        }
        for (column, name) in &self.names {
            conditions.push_str(&format!(" AND {} = {}", column.name(), bound.place(name.clone())?));
        }
        let columns = self.by.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ");
        let mut sql = format!(
            "SELECT day, customer, plan, entitlement, credit, calls, units, overhead, price, charge, covered, overage \
             FROM rollups WHERE {conditions}"
        );
        if columns.is_empty() {
            return Ok((sql, bound));
        }
        // In the order of keys the database finds the groups of the page, and no others are read.
        if matches!(self.order, Order::Key) {
            let mut beyond = String::new();
            if let Some(after) = &self.after {
                let places = after.key.iter().map(|part| match part {
                    Part::Day(day) => bound.place(*day),
                    Part::Name(name) => bound.place(name.clone()),
                });
                beyond = format!(" AND ({columns}) > ({})", places.collect::<sqlx::Result<Vec<_>>>()?.join(", "));
            }
            let rows = bound.place(i64::try_from(self.rows).unwrap_or(i64::MAX))?;
            sql.push_str(&format!(
                " AND ({columns}) IN (SELECT DISTINCT {columns} FROM rollups WHERE {conditions}{beyond} \
                 ORDER BY {columns} LIMIT {rows})"
            ));
        }
        sql.push_str(&format!(" ORDER BY {columns}"));
        Ok((sql, bound))
    }
}

/// The groups that come first, of those seen so far.
struct Page {
    order: Order,
    after: Option<Mark>,
    most: usize,
    groups: Vec<(Mark, Group)>,
}

impl Page {
    fn offer(&mut self, group: Option<Group>) {
        let Some(group) = group else { return };
        // In the order of keys they are the right ones already, in the order of the database.
        if matches!(self.order, Order::Key) {
            self.groups.push((self.order.mark(&group), group));
            return;
        }
        let mark = self.order.mark(&group);
        if self.after.as_ref().is_some_and(|after| self.order.compare(&mark, after) != Ordering::Greater) {
            return;
        }
        let at = self.groups.partition_point(|(known, _)| self.order.compare(known, &mark) == Ordering::Less);
        if at < self.most {
            self.groups.insert(at, (mark, group));
            self.groups.truncate(self.most);
        }
    }
}
