//! The ledger, its sums by day, and margins: over rows that the test puts in, against sums that it takes itself.

use std::collections::BTreeMap;

use limitr::Amount;
use serde_json::{Value, json};
use sqlx::AnyPool;

use crate::client::{Client, Node};
use crate::database::Kind;
use crate::on_both;
use crate::policies::{pages, program};

on_both!(
    sums_are_those_of_the_rows,
    sums_are_filtered_and_bounded_by_days,
    groups_are_sorted_by_any_number,
    margins_are_revenue_less_cost,
    sums_are_exact_or_refused,
    the_ledger_is_read_line_by_line,
    what_cannot_be_asked_is_refused,
);

/// 2026-01-15.
const DAY: i64 = 20_468;

/// One row of the rollups.
#[derive(Clone)]
struct Row {
    day: i64,
    customer: String,
    plan: &'static str,
    entitlement: &'static str,
    credit: &'static str,
    calls: i64,
    /// Units, overhead, price, charge, covered, overage.
    amounts: [Amount; 6],
}

impl Row {
    fn named(&self, column: &str) -> String {
        match column {
            "customer" => self.customer.clone(),
            "plan" => self.plan.to_owned(),
            "entitlement" => self.entitlement.to_owned(),
            "credit" => self.credit.to_owned(),
            "day" => format!("2026-01-{:02}", self.day - DAY + 15),
            other => panic!("{other}"),
        }
    }
}

/// Rows that look like chance, and are always the same.
fn rows() -> Vec<Row> {
    let mut seed = 7_u64;
    let mut next = move |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    let mut rows = Vec::new();
    for day in DAY..DAY + 4 {
        for customer in 0..7 {
            for (entitlement, credit) in [("chat", "token"), ("images", "image"), ("search", "token")] {
                if next(3) == 0 {
                    continue;
                }
                let mut amount = |places: &str| format!("{}{places}{:03}", next(900), next(1000)).parse().unwrap();
                let amounts =
                    [amount("."), amount(".000"), amount(".0"), amount("."), amount("."), amount(".00000000")];
                let plan = if customer % 2 == 0 { "free" } else { "pro" };
                let (customer, calls) = (format!("c{customer}"), i64::try_from(next(50)).unwrap());
                rows.push(Row { day, customer, plan, entitlement, credit, calls, amounts });
            }
        }
    }
    rows
}

async fn workspace(owner: &Client) -> String {
    owner.get("/api/v1/workspace").await.expect(200).id()
}

async fn insert(pool: &AnyPool, workspace: &str, rows: &[Row]) {
    for row in rows {
        let insert = sqlx::query(
            "INSERT INTO rollups (workspace, day, customer, plan, entitlement, credit, calls, units, overhead, price, \
             charge, covered, overage) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        );
        let insert = insert.bind(workspace).bind(row.day).bind(&row.customer).bind(row.plan).bind(row.entitlement);
        let insert = insert.bind(row.credit).bind(row.calls);
        row.amounts.iter().fold(insert, |insert, amount| insert.bind(amount.to_string())).execute(pool).await.unwrap();
    }
}

async fn ready(kind: Kind) -> (Node, Client, Vec<Row>) {
    let (node, owner) = Node::ready(kind).await;
    let rows = rows();
    let pool = node.pool().await;
    insert(&pool, &workspace(&owner).await, &rows).await;
    // Somebody else's are not counted.
    sqlx::query("INSERT INTO workspaces (id, name, created_at) VALUES ('ws_other', 'Other', 0)")
        .execute(&pool)
        .await
        .unwrap();
    insert(&pool, "ws_other", &rows).await;
    (node, owner, rows)
}

/// Calls and amounts by group.
fn sums(rows: &[Row], by: &[&str]) -> BTreeMap<Vec<String>, (i64, [Amount; 6])> {
    let mut sums: BTreeMap<Vec<String>, (i64, [Amount; 6])> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(by.iter().map(|column| row.named(column)).collect()).or_default();
        sum.0 += row.calls;
        for (sum, amount) in sum.1.iter_mut().zip(row.amounts) {
            *sum = sum.checked_add(amount).unwrap();
        }
    }
    sums
}

fn key(group: &Value, by: &[&str]) -> Vec<String> {
    by.iter().map(|column| group[*column].as_str().unwrap_or_else(|| panic!("{group}")).to_owned()).collect()
}

async fn sums_are_those_of_the_rows(kind: Kind) {
    let (_node, owner, rows) = ready(kind).await;
    for by in
        ["none", "customer", "plan", "entitlement", "credit", "day", "day,customer", "plan,entitlement,day,credit"]
    {
        let columns: Vec<&str> = by.split(',').filter(|column| *column != "none").collect();
        let groups = pages(&owner, &format!("/api/v1/usage?group={by}&limit=3")).await;
        assert!(groups.iter().all(|page| page.len() <= 3));
        let groups = groups.concat();
        let expected = sums(&rows, &columns);
        let keys: Vec<Vec<String>> = groups.iter().map(|group| key(group, &columns)).collect();
        assert_eq!(keys, expected.keys().cloned().collect::<Vec<_>>(), "{by}");
        for (group, (calls, [units, overhead, price, charge, covered, overage])) in groups.iter().zip(expected.values())
        {
            assert_eq!(group["calls"], *calls, "{by}");
            assert_eq!(
                [&group["overhead"], &group["price"], &group["charge"]],
                [&json!(overhead), &json!(price), &json!(charge)]
            );
            // Units add up within one credit alone.
            let one = columns.iter().any(|column| matches!(*column, "credit" | "entitlement"));
            let expected = if one { [json!(units), json!(covered), json!(overage)] } else { Default::default() };
            if one || group.get("credit").is_none() {
                assert_eq!([&group["units"], &group["covered"], &group["overage"]], expected.each_ref(), "{by}");
            }
        }
    }
    let none = owner.get("/api/v1/usage").await.expect(200).body;
    assert_eq!(none["items"].as_array().unwrap().len(), 1);
    assert_eq!(none["items"][0], owner.get("/api/v1/usage?group=none").await.expect(200).body["items"][0]);
}

async fn sums_are_filtered_and_bounded_by_days(kind: Kind) {
    let (_node, owner, rows) = ready(kind).await;
    let of = |query: &str| {
        let path = format!("/api/v1/usage?group=customer&limit=200&{query}");
        let owner = &owner;
        async move { owner.get(&path).await.expect(200).body["items"].as_array().unwrap().clone() }
    };
    let expect = |groups: &[Value], rows: &dyn Fn(&Row) -> bool| {
        let expected = sums(&self::rows().into_iter().filter(|row| rows(row)).collect::<Vec<_>>(), &["customer"]);
        let found: BTreeMap<_, _> =
            groups.iter().map(|group| (key(group, &["customer"]), group["price"].clone())).collect();
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(key, (_, amounts))| (key, json!(amounts[2]))).collect();
        assert_eq!(found, expected);
    };
    assert!(!rows.is_empty());
    expect(&of("from=2026-01-16").await, &|row| row.day > DAY);
    expect(&of("to=2026-01-16").await, &|row| row.day <= DAY + 1);
    expect(&of("from=2026-01-16&to=2026-01-17").await, &|row| (DAY + 1..=DAY + 2).contains(&row.day));
    expect(&of("customer=c3").await, &|row| row.customer == "c3");
    expect(&of("plan=pro&entitlement=chat").await, &|row| row.plan == "pro" && row.entitlement == "chat");
    expect(&of("credit=image&from=2026-01-18").await, &|row| row.credit == "image" && row.day == DAY + 3);
    expect(&of("from=2027-01-01").await, &|_| false);
    let nothing = owner.get("/api/v1/usage?from=2027-01-01").await.expect(200).body;
    assert_eq!(nothing["items"], json!([{"calls": 0, "price": 0, "charge": 0, "overhead": 0}]));
}

async fn groups_are_sorted_by_any_number(kind: Kind) {
    let (_node, owner, rows) = ready(kind).await;
    let by = ["customer", "day"];
    let expected = sums(&rows, &by);
    for (sort, measure) in [("calls", None), ("price", Some(2)), ("charge", Some(3)), ("overhead", Some(1))] {
        let mut ordered: Vec<(Amount, Vec<String>)> = expected
            .iter()
            .map(|(key, (calls, amounts))| (measure.map_or((*calls).into(), |at| amounts[at]), key.clone()))
            .collect();
        ordered.sort();
        let up = pages(&owner, &format!("/api/v1/usage?group=customer,day&sort={sort}&limit=5")).await.concat();
        let keys: Vec<Vec<String>> = up.iter().map(|group| key(group, &by)).collect();
        assert_eq!(keys, ordered.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>(), "{sort}");
        ordered.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.cmp(other)));
        let down = pages(&owner, &format!("/api/v1/usage?group=customer,day&sort=-{sort}&limit=4")).await.concat();
        let keys: Vec<Vec<String>> = down.iter().map(|group| key(group, &by)).collect();
        assert_eq!(keys, ordered.into_iter().map(|(_, key)| key).collect::<Vec<_>>(), "-{sort}");
    }
    // Groups of several credits have no units, and come last whichever way they are sorted.
    for sort in ["units", "-units"] {
        let groups = pages(&owner, &format!("/api/v1/usage?group=customer,day&sort={sort}&limit=3")).await.concat();
        assert_eq!(groups.len(), expected.len());
        let first_without = groups.iter().position(|group| group.get("units").is_none()).unwrap();
        assert!(first_without > 0 && groups[first_without..].iter().all(|group| group.get("units").is_none()));
    }
}

async fn margins_are_revenue_less_cost(kind: Kind) {
    let (node, owner, rows) = ready(kind).await;
    let free = Row { customer: "c9".to_owned(), amounts: [1, 2, 0, 0, 0, 0].map(Amount::from), ..rows[0].clone() };
    insert(&node.pool().await, &workspace(&owner).await, &[free]).await;
    let groups = pages(&owner, "/api/v1/margin?group=customer&sort=-margin&limit=2").await.concat();
    let expected = sums(&rows, &["customer"]);
    let mut last: Option<Amount> = None;
    for group in &groups {
        let margin: Amount = serde_json::from_value(group["margin"].clone()).unwrap();
        assert!(last.is_none_or(|last| last >= margin));
        last = Some(margin);
        let customer = key(group, &["customer"]);
        let Some((_, [_, overhead, price, charge, ..])) = expected.get(&customer) else {
            assert_eq!(customer, ["c9"]);
            assert_eq!((&group["margin"], group.get("margin_pct")), (&json!(-2), None));
            continue;
        };
        assert_eq!(json!(margin), json!(price.checked_sub(*overhead).unwrap()));
        assert_eq!(
            [&group["revenue"], &group["charged"], &group["overhead"]],
            [&json!(price), &json!(charge), &json!(overhead)]
        );
        let percent = margin.checked_mul(100.into()).unwrap().checked_div(*price).unwrap().rounded();
        assert_eq!(group["margin_pct"], json!(percent));
    }
    assert_eq!(groups.len(), expected.len() + 1);
    // Without revenue there is no percentage, which comes last in either direction.
    for sort in ["margin_pct", "-margin_pct"] {
        let groups = pages(&owner, &format!("/api/v1/margin?group=customer&sort={sort}&limit=3")).await.concat();
        assert_eq!(groups.last().unwrap()["customer"], "c9");
    }
    let total = owner.get("/api/v1/margin?plan=pro").await.expect(200).body;
    let (_, [_, overhead, price, ..]) = &sums(&rows, &["plan"])[&vec!["pro".to_owned()]];
    assert_eq!(total["items"][0]["revenue"], json!(price));
    assert_eq!(total["items"][0]["margin"], json!(price.checked_sub(*overhead).unwrap()));
}

async fn sums_are_exact_or_refused(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let (pool, workspace) = (node.pool().await, workspace(&owner).await);
    let row = |day, amount: Amount| Row {
        day,
        customer: "a".to_owned(),
        plan: "p",
        entitlement: "e",
        credit: "c",
        calls: 1,
        amounts: [amount; 6],
    };
    // No double holds the sum of these.
    let tiny: Amount = "9007199254740993.000000001".parse().unwrap();
    insert(&pool, &workspace, &[row(DAY, tiny), row(DAY + 1, Amount::ONE)]).await;
    let sum = owner.get("/api/v1/usage").await.expect(200).body;
    assert_eq!(sum["items"][0]["units"], json!("9007199254740994.000000001"));
    insert(&pool, &workspace, &[row(DAY + 2, Amount::MAX)]).await;
    owner.get("/api/v1/usage").await.problem(422, "out_of_range");
    owner.get("/api/v1/margin?group=customer").await.problem(422, "out_of_range");
    owner.get("/api/v1/usage?group=day").await.expect(200);
}

async fn the_ledger_is_read_line_by_line(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let (pool, workspace) = (node.pool().await, workspace(&owner).await);
    sqlx::query("INSERT INTO workspaces (id, name, created_at) VALUES ('ws_other', 'Other', 0)")
        .execute(&pool)
        .await
        .unwrap();
    let effect = r#"{"at":1, "units": "0.1234567890123456789","overhead":1.50,"price":1e2}"#;
    for at in 1..=25_i64 {
        let workspace = if at % 5 == 0 { "ws_other" } else { &workspace };
        let (customer, entitlement) =
            (if at % 2 == 0 { "ann" } else { "bob" }, if at % 3 == 0 { "chat" } else { "images" });
        let engine = (at % 4 == 0).then_some("eng_1");
        sqlx::query(
            "INSERT INTO ledger (workspace, at, stored_at, engine, entry, customer, entitlement, effect, counted) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(workspace)
        .bind(at * 1000)
        .bind(at * 1000 + 5)
        .bind(engine)
        .bind(at)
        .bind(customer)
        .bind(entitlement)
        .bind(effect)
        .bind(i64::from(at != 8))
        .execute(&pool)
        .await
        .unwrap();
    }
    let entries = |lines: &[Value]| lines.iter().map(|line| line["entry"].as_i64().unwrap()).collect::<Vec<_>>();
    let own: Vec<i64> = (1..=25).rev().filter(|at| at % 5 != 0).collect();
    let pages = pages(&owner, "/api/v1/usage/ledger?limit=6").await;
    assert!(pages.iter().all(|page| page.len() <= 6));
    assert_eq!(entries(&pages.concat()), own);
    let some = |query: &'static str| {
        let owner = &owner;
        async move {
            let body = owner.get(&format!("/api/v1/usage/ledger?limit=200&{query}")).await.expect(200).body;
            body["items"].as_array().unwrap().clone()
        }
    };
    let expect = |at: &dyn Fn(i64) -> bool| own.iter().copied().filter(|entry| at(*entry)).collect::<Vec<_>>();
    assert_eq!(entries(&some("customer=ann").await), expect(&|at| at % 2 == 0));
    assert_eq!(entries(&some("customer=ann&entitlement=chat").await), expect(&|at| at % 6 == 0));
    assert_eq!(entries(&some("from=4000&to=9000").await), expect(&|at| (4..9).contains(&at)));
    assert!(some("customer=nobody").await.is_empty());
    // To the last digit, as it was stored.
    let text = owner.get("/api/v1/usage/ledger?limit=1").await.expect(200).text;
    assert!(text.contains(effect), "{text}");
    let line = &some("from=8000&to=8001").await[0];
    assert_eq!((&line["engine"], &line["counted"], &line["stored_at"]), (&json!("eng_1"), &json!(false), &json!(8005)));
}

async fn what_cannot_be_asked_is_refused(kind: Kind) {
    let (node, owner, _) = ready(kind).await;
    let wrong = owner.get("/api/v1/usage?group=custmer").await.problem(400, "invalid_parameter");
    assert_eq!((&wrong.body["path"], &wrong.body["hint"]), (&json!("group"), &json!("did you mean `customer`?")));
    let wrong = owner.get("/api/v1/margin?sort=units").await.problem(400, "invalid_parameter");
    assert_eq!(wrong.body["path"], "sort");
    owner.get("/api/v1/usage?from=2026-1-1").await.problem(400, "invalid_parameter");
    owner.get("/api/v1/usage?until=2026-01-01").await.problem(400, "unknown_parameter");
    let page = owner.get("/api/v1/usage?group=day&limit=1").await.expect(200).body;
    let cursor = page["next"].as_str().unwrap();
    owner.get(&format!("/api/v1/usage?group=customer&cursor={cursor}")).await.problem(400, "invalid_cursor");
    owner.get(&format!("/api/v1/usage?cursor={cursor}")).await.problem(400, "invalid_cursor");
    let engine = program(&node, &owner, "engine").await;
    for path in ["/api/v1/usage", "/api/v1/margin", "/api/v1/usage/ledger"] {
        engine.get(path).await.problem(403, "forbidden");
        node.client().get(path).await.problem(401, "unauthenticated");
    }
}
