//! Engines that are connected: what they use adds up, is stored once, and is told to the others.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use limitr::{Amount, Limitr, NewCustomer};
use limitr_sync::{Action, Link, LinkOptions, Unsent};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, Node};
use crate::database::Kind;
use crate::on_both;

on_both!(
    usage_of_two_engines_adds_up,
    a_publication_reaches_engines_at_once,
    a_pinned_engine_stays_on_its_version,
    a_revoked_token_ends_its_connections,
    nonsense_ends_a_connection_and_changes_nothing,
    what_cannot_be_is_refused_entry_by_entry,
    what_was_sent_before_counts_once,
    workspaces_do_not_see_each_other,
    rest_and_engines_share_customers,
    what_cannot_be_stored_yet_is_not_read,
    a_record_that_cannot_be_read_holds_up_nobody,
    an_engine_that_does_not_read_is_disconnected,
);

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

const POLICY: &str = "
policy:
  credits: {token: {price: {amount: 0.02}, overhead_cost: 0.01}}
  plans:
    free: {default: true, entitlements: {chat: {limit: {credit: token, value: 10, mode: soft}}}}
    pro: {entitlements: {chat: {limit: {credit: token, value: 1000}}}}
";

/// An engine with its connection, driven by hand.
pub(crate) struct Engine {
    pub(crate) limitr: Limitr,
    pub(crate) link: Link,
    socket: Socket,
    begun: Instant,
    pub(crate) refused: Vec<String>,
    pub(crate) troubles: Vec<String>,
    missing: Vec<String>,
    pub(crate) policies: Vec<u64>,
}

pub(crate) async fn ticket(client: &Client, token: &str) -> String {
    let answer = client.post("/wss/ticket", &json!({"token": token})).await.expect(200);
    answer.body["ticket"].as_str().unwrap().to_owned()
}

pub(crate) async fn socket(client: &Client, token: &str) -> Socket {
    let address = format!("{}/wss?ticket={}", client.base.replace("http", "ws"), ticket(client, token).await);
    tokio_tungstenite::connect_async(address).await.unwrap().0
}

impl Engine {
    pub(crate) async fn connect(client: &Client, token: &str, id: &str) -> Self {
        Self::connect_with(client, token, LinkOptions { engine: id.to_owned(), ..LinkOptions::default() }).await
    }

    pub(crate) async fn connect_with(client: &Client, token: &str, options: LinkOptions) -> Self {
        Self::resume(client, token, options, Unsent::default()).await
    }

    pub(crate) async fn resume(client: &Client, token: &str, options: LinkOptions, unsent: Unsent) -> Self {
        let limitr = Limitr::builder().policy_value(&json!({})).unwrap();
        limitr.keep_log();
        let socket = socket(client, token).await;
        let begun = Instant::now();
        let link = Link::resume(options, unsent, 0);
        let (refused, troubles, missing, policies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut engine = Self { limitr, link, socket, begun, refused, troubles, missing, policies };
        let actions = engine.link.opened(0);
        engine.act(actions).await;
        engine.until(|engine| engine.link.is_up() && !engine.policies.is_empty()).await;
        engine
    }

    fn now(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).unwrap()
    }

    async fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(text) => {
                    // One that is closed says so when it is read from.
                    let _ = self.socket.send(Message::text(text)).await;
                }
                Action::Refused(refused) => self.refused.extend(refused.into_iter().map(|refusal| refusal.code)),
                Action::Trouble(error) => self.troubles.push(error.code),
                Action::Policy(version) => self.policies.push(version.number),
                Action::Answered { customer, found: false } => self.missing.push(customer),
                Action::Answered { .. } | Action::Connect | Action::Disconnect => {}
            }
        }
    }

    /// Lets the connection do its work for a moment. False when it is closed.
    pub(crate) async fn turn(&mut self) -> bool {
        let now = self.now();
        if self.link.is_up() {
            let actions = self.link.poll(&self.limitr, now);
            self.act(actions).await;
        }
        match timeout(Duration::from_millis(5), self.socket.next()).await {
            Err(_) => true,
            Ok(Some(Ok(Message::Text(text)))) => {
                let actions = self.link.received(&self.limitr, &text, now);
                self.act(actions).await;
                true
            }
            Ok(Some(Ok(message))) => !message.is_close(),
            Ok(Some(Err(_)) | None) => false,
        }
    }

    #[track_caller]
    pub(crate) fn until(&mut self, done: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let begun = Instant::now();
            while !done(self) {
                assert!(self.turn().await || done(self), "the connection was closed: {:?}, {caller}", self.troubles);
                assert!(begun.elapsed() < Duration::from_secs(20), "it does not come, {caller}");
            }
        }
    }

    /// As `ensureCustomer` does.
    pub(crate) async fn ensure(&mut self, customer: &str, plan: &str) -> bool {
        self.missing.clear();
        self.link.fetch(customer);
        let name = customer.to_owned();
        self.until(|engine| engine.limitr.has_customer(&name) || engine.missing.contains(&name)).await;
        self.limitr.ensure_customer(NewCustomer::new(customer).plan(plan)).unwrap()
    }

    pub(crate) async fn settle(&mut self) {
        self.turn().await;
        self.until(|engine| engine.link.is_settled()).await;
    }

    pub(crate) fn value(&self, customer: &str) -> Option<Amount> {
        self.limitr.value(customer, "chat")
    }

    pub(crate) async fn until_value(&mut self, customer: &str, value: i64) {
        self.until(|engine| engine.value(customer) == Some(value.into())).await;
    }
}

/// A server with a policy, and an engine token for it.
pub(crate) async fn ready(kind: Kind) -> (Node, Client, String) {
    let (node, owner) = Node::ready(kind).await;
    publish(&owner, POLICY).await;
    let made = owner.post("/api/v1/tokens", &json!({"name": "engines", "scope": "engine"})).await.expect(201);
    let token = made.body["token"].as_str().unwrap().to_owned();
    (node, owner, token)
}

pub(crate) async fn publish(owner: &Client, document: &str) -> String {
    let body = json!({"format": "yaml", "document": document, "note": "test"});
    owner.post("/api/v1/policies/publish", &body).await.expect(201).id()
}

/// What the ledger says was used: units by customer, and how many lines.
pub(crate) async fn ledger(node: &Node) -> (BTreeMap<String, Amount>, usize) {
    let pool = node.pool().await;
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT customer, effect FROM ledger ORDER BY id").fetch_all(&pool).await.unwrap();
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (customer, effect) in &rows {
        let effect: Value = serde_json::from_str(effect).unwrap();
        let units: Amount = serde_json::from_value(effect["units"].clone()).unwrap_or_default();
        let sum = sums.entry(customer.clone()).or_default();
        *sum = sum.checked_add(units).unwrap();
    }
    (sums, rows.len())
}

async fn rolled_up(node: &Node) -> BTreeMap<String, Amount> {
    let pool = node.pool().await;
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT customer, units FROM rollups").fetch_all(&pool).await.unwrap();
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (customer, units) in rows {
        let sum = sums.entry(customer).or_default();
        *sum = sum.checked_add(units.parse().unwrap()).unwrap();
    }
    sums
}

async fn usage_of_two_engines_adds_up(kind: Kind) {
    let (mut node, _, token) = ready(kind).await;
    let client = node.client();
    let (mut one, mut two) =
        (Engine::connect(&client, &token, "one").await, Engine::connect(&client, &token, "two").await);
    assert!(one.ensure("ann", "free").await);
    one.settle().await;
    assert!(!two.ensure("ann", "free").await, "it was fetched");
    for _ in 0..50 {
        assert!(one.limitr.allow("ann", "chat", 2).allowed);
        assert!(two.limitr.allow("ann", "chat", 3).allowed);
        one.turn().await;
        two.turn().await;
    }
    one.settle().await;
    two.settle().await;
    one.until_value("ann", 250).await;
    two.until_value("ann", 250).await;
    two.limitr.set_customer_plan("ann", "pro", false);
    two.settle().await;
    one.until(|one| one.limitr.customer("ann").is_some_and(|ann| ann.plan.as_deref() == Some("pro"))).await;
    let (sums, lines) = ledger(&node).await;
    assert_eq!((sums.get("ann"), lines), (Some(&250.into()), 100));
    assert_eq!(rolled_up(&node).await, sums);
    node.stop().await;
}

async fn a_publication_reaches_engines_at_once(kind: Kind) {
    let (mut node, owner, token) = ready(kind).await;
    let mut engine = Engine::connect(&node.client(), &token, "one").await;
    engine.ensure("ann", "free").await;
    assert_eq!(engine.limitr.limit("ann", "chat", false), Some(10.into()));
    let begun = Instant::now();
    publish(&owner, &POLICY.replace("value: 10,", "value: 77,")).await;
    engine.until(|engine| engine.limitr.limit("ann", "chat", false) == Some(77.into())).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    node.stop().await;
}

async fn a_pinned_engine_stays_on_its_version(kind: Kind) {
    let (mut node, owner, token) = ready(kind).await;
    let second = publish(&owner, &POLICY.replace("value: 10,", "value: 77,")).await;
    publish(&owner, &POLICY.replace("value: 10,", "value: 78,")).await;
    let options = LinkOptions { engine: "one".to_owned(), policy: Some(second), ..LinkOptions::default() };
    let mut engine = Engine::connect_with(&node.client(), &token, options).await;
    engine.ensure("ann", "free").await;
    publish(&owner, &POLICY.replace("value: 10,", "value: 79,")).await;
    for _ in 0..20 {
        engine.turn().await;
    }
    assert_eq!(engine.policies, [2]);
    assert_eq!(engine.limitr.limit("ann", "chat", false), Some(77.into()));
    let mut lost = socket(&node.client(), &token).await;
    lost.send(Message::text(r#"{"type":"hello","protocol":1,"engine":"two","policy":"pol_no"}"#)).await.unwrap();
    assert_eq!(last_error(&mut lost).await, "unknown_version");
    node.stop().await;
}

async fn a_revoked_token_ends_its_connections(kind: Kind) {
    let (mut node, owner, token) = ready(kind).await;
    let mut engine = Engine::connect(&node.client(), &token, "one").await;
    engine.ensure("ann", "free").await;
    assert!(engine.limitr.allow("ann", "chat", 4).allowed);
    engine.settle().await;
    let tokens = owner.get("/api/v1/tokens").await.expect(200);
    let id = tokens.body["items"][0]["id"].as_str().unwrap();
    owner.delete(&format!("/api/v1/tokens/{id}")).await.expect(204);
    while engine.turn().await {}
    assert_eq!(engine.troubles, ["token_revoked"]);
    node.client().post("/wss/ticket", &json!({"token": token})).await.problem(401, "invalid_token");
    assert_eq!(ledger(&node).await.0.get("ann"), Some(&4.into()));
    node.stop().await;
}

/// The code of the error that a connection ends with.
async fn last_error(socket: &mut Socket) -> String {
    let mut code = String::new();
    while let Ok(Some(Ok(message))) = timeout(Duration::from_secs(20), socket.next()).await {
        if let Message::Text(text) = message {
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == "error" {
                code = frame["code"].as_str().unwrap().to_owned();
            }
        } else if message.is_close() {
            break;
        }
    }
    code
}

async fn nonsense_ends_a_connection_and_changes_nothing(kind: Kind) {
    let (mut node, _, token) = ready(kind).await;
    let client = node.client();
    let hello = r#"{"type":"hello","protocol":1,"engine":"bad"}"#;
    for (frames, code) in [
        (vec!["not json"], "bad_frame"),
        (vec!["{}"], "bad_frame"),
        (vec![r#"{"type":"fetch","customers":["ann"]}"#], "hello_first"),
        (vec![r#"{"type":"hello","protocol":9,"engine":"x"}"#], "unknown_protocol"),
        (vec![r#"{"type":"hello","protocol":1,"engine":""}"#], "bad_frame"),
        (vec![hello, hello], "bad_frame"),
        (vec![hello, r#"{"type":"batch","first":0,"entries":[]}"#], "bad_frame"),
        (vec![hello, r#"{"type":"batch","first":7,"entries":[{}]}"#], "entries_missing"),
        (vec![hello, r#"{"type":"batch","first":-1,"entries":[{}]}"#], "bad_frame"),
        (vec![hello, r#"{"type":"fetch","customers":[""]}"#], "bad_frame"),
        (vec![hello, r#"{"type":"fetch","customers":["a\u0000b"]}"#], "bad_frame"),
    ] {
        let mut socket = socket(&client, &token).await;
        for frame in &frames {
            socket.send(Message::text(*frame)).await.unwrap();
            // The next one is said to an engine that is known.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        assert_eq!(last_error(&mut socket).await, code, "{frames:?}");
    }
    // What a newer engine may say is no nonsense, and neither is an unknown field.
    let mut newer = socket(&client, &token).await;
    for frame in [hello, r#"{"type":"lease","limit":"x"}"#, r#"{"type":"ping","when":5}"#] {
        newer.send(Message::text(frame)).await.unwrap();
    }
    let mut seen = Vec::new();
    while !seen.contains(&"pong".to_owned()) {
        let message = timeout(Duration::from_secs(20), newer.next()).await.unwrap().unwrap().unwrap();
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        seen.push(frame["type"].as_str().unwrap().to_owned());
    }
    // More than a frame may be, and what is no text.
    for message in [Message::text("x".repeat(1_100_000)), Message::binary(vec![1, 2, 3])] {
        let mut socket = socket(&client, &token).await;
        let _ = socket.send(message).await;
        last_error(&mut socket).await;
    }
    let used = Client::to(&client.base);
    let ticket = ticket(&used, &token).await;
    let address = format!("{}/wss?ticket={ticket}", client.base.replace("http", "ws"));
    let first = tokio_tungstenite::connect_async(&address).await;
    assert!(first.is_ok());
    assert!(tokio_tungstenite::connect_async(&address).await.is_err(), "a ticket connects once");
    assert_eq!(ledger(&node).await.1, 0);
    node.client().get("/readyz").await.expect(200);
    node.stop().await;
}

async fn what_cannot_be_is_refused_entry_by_entry(kind: Kind) {
    let (mut node, _, token) = ready(kind).await;
    let mut engine = Engine::connect(&node.client(), &token, "one").await;
    engine.ensure("ann", "free").await;
    engine.settle().await;
    let mut raw = socket(&node.client(), &token).await;
    raw.send(Message::text(r#"{"type":"hello","protocol":1,"engine":"raw"}"#)).await.unwrap();
    let now = limitr::Clock::now(&limitr::SystemClock);
    let effect = |change: Value| {
        let mut effect = json!({"at": now, "caller": "ann", "customer": "ann", "plan": "free", "entitlement": "chat",
            "credit": "token", "period": now, "units": 1});
        effect.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        effect
    };
    let entries = [
        (effect(json!({})), ""),
        (effect(json!({"units": 1e25})), "out_of_range"),
        (effect(json!({"units": "9999999999999999999999999999999999"})), "invalid_effect"),
        (effect(json!({"units": -1e19})), "out_of_range"),
        (effect(json!({"units": -1})), ""),
        (effect(json!({"customer": "nobody"})), "unknown_customer"),
        (effect(json!({"customer": "x\u{0}"})), "invalid_text"),
        (effect(json!({"at": now + 90_000_000})), "clock_ahead"),
        (effect(json!({"at": -5})), "clock_ahead"),
        (effect(json!({"period": now + 90_000_000})), "clock_ahead"),
        (effect(json!({"surprise": 1})), "invalid_effect"),
        (json!({"at": now, "operation": {"replace": {"policy": {}}}}), "invalid_effect"),
        (json!({"at": now, "operation": {"set_customer_plan": {"customer": "ann", "plan": "no"}}}), ""),
        (json!({"at": now, "operation": {"create_customer": {"id": "bob", "plan": "no"}}}), "unknown_plan"),
        (json!("nonsense"), "invalid_effect"),
        (effect(json!({"units": 5})), ""),
    ];
    let batch =
        json!({"type": "batch", "first": 1, "entries": entries.iter().map(|(entry, _)| entry).collect::<Vec<_>>()});
    // It is welcomed first.
    tokio::time::sleep(Duration::from_millis(100)).await;
    raw.send(Message::text(batch.to_string())).await.unwrap();
    let refused = loop {
        let message = timeout(Duration::from_secs(20), raw.next()).await.unwrap().unwrap().unwrap();
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_ne!(frame["type"], "error", "{frame}");
        if frame["type"] == "ack" {
            assert_eq!(frame["through"], entries.len());
            break frame["refused"].clone();
        }
    };
    let mut expected = Vec::new();
    for ((_, code), number) in entries.iter().zip(1..).filter(|((_, code), _)| !code.is_empty()) {
        expected.push((number, (*code).to_owned()));
    }
    let refused: Vec<(usize, String)> = refused
        .as_array()
        .unwrap()
        .iter()
        .map(|refusal| {
            let number = usize::try_from(refusal["entry"].as_u64().unwrap()).unwrap();
            (number, refusal["code"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(refused, expected);
    engine.until_value("ann", 5).await;
    // What was used by somebody whom nobody knows is on the record too.
    assert_eq!(ledger(&node).await, (BTreeMap::from([("ann".into(), 5.into()), ("nobody".into(), 1.into())]), 4));
    node.stop().await;
}

async fn what_was_sent_before_counts_once(kind: Kind) {
    let (mut node, _, token) = ready(kind).await;
    let mut engine = Engine::connect(&node.client(), &token, "one").await;
    engine.ensure("ann", "free").await;
    engine.settle().await;
    for _ in 0..10 {
        assert!(engine.limitr.allow("ann", "chat", 1).allowed);
    }
    // Half of it is kept by somebody who does not know that it arrived.
    let actions = engine.link.poll(&engine.limitr, engine.now() - 1000);
    assert_eq!(actions, []);
    let kept = engine.link.unsent();
    assert_eq!(kept.entries.len(), 10);
    engine.settle().await;
    let options = LinkOptions { engine: "one".to_owned(), ..LinkOptions::default() };
    let mut again = Engine::resume(&node.client(), &token, options, kept).await;
    again.settle().await;
    while engine.turn().await {}
    assert_eq!(engine.troubles, ["superseded"]);
    assert!(!again.ensure("ann", "free").await);
    again.until_value("ann", 10).await;
    assert_eq!(ledger(&node).await.1, 10);
    node.stop().await;
}

async fn workspaces_do_not_see_each_other(kind: Kind) {
    let (mut node, owner, token) = ready(kind).await;
    // A second workspace, with a token and the policy of the first.
    let made = owner.post("/api/v1/tokens", &json!({"name": "other", "scope": "engine"})).await.expect(201);
    let other = made.body["token"].as_str().unwrap();
    let pool = node.pool().await;
    sqlx::query("INSERT INTO workspaces (id, name, created_at) VALUES ('ws_other', 'Other', 0)")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE tokens SET workspace = 'ws_other' WHERE id = $1").bind(made.id()).execute(&pool).await.unwrap();
    let other = other.to_owned();
    let mut stranger = socket(&node.client(), &other).await;
    stranger.send(Message::text(r#"{"type":"hello","protocol":1,"engine":"one"}"#)).await.unwrap();
    assert_eq!(last_error(&mut stranger).await, "no_policy");
    let stranger = node.with_token(&other);
    // The same names mean others there.
    let mut engine = Engine::connect(&node.client(), &token, "one").await;
    engine.ensure("ann", "free").await;
    assert!(engine.limitr.allow("ann", "chat", 4).allowed);
    engine.settle().await;
    stranger.get("/api/v1/customers/ann").await.problem(404, "not_found");
    let mut raw = socket(&node.client(), &other).await;
    raw.send(Message::text(r#"{"type":"hello","protocol":1,"engine":"one"}"#)).await.unwrap();
    for _ in 0..50 {
        engine.turn().await;
    }
    assert_eq!((engine.troubles.as_slice(), engine.value("ann")), ([].as_slice(), Some(4.into())));
    for (table, count) in [("customers", 0), ("ledger", 0), ("rollups", 0), ("engines", 1)] {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE workspace = 'ws_other'");
        let found: (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(&pool).await.unwrap();
        assert_eq!(found.0, count, "{table}");
    }
    node.stop().await;
}

async fn rest_and_engines_share_customers(kind: Kind) {
    let (mut node, _, token) = ready(kind).await;
    let mut engine = Engine::connect(&node.client(), &token, "one").await;
    engine.ensure("ann", "free").await;
    assert!(engine.limitr.allow("ann", "chat", 4).allowed);
    engine.settle().await;
    let rest = node.with_token(&token);
    let body = json!({"customer": "ann", "entitlement": "chat", "value": 3});
    let answer = rest.post("/api/v1/allow", &body).await.expect(200);
    assert_eq!(answer.body["result"]["allowed"], true, "{answer:?}");
    engine.until_value("ann", 7).await;
    assert_eq!(ledger(&node).await.0.get("ann"), Some(&7.into()));
    node.stop().await;
}

/// Whoever sends faster than is stored has to wait, and nothing piles up.
async fn what_cannot_be_stored_yet_is_not_read(kind: Kind) {
    let (mut node, _, token) = ready(kind).await;
    let mut raw = socket(&node.client(), &token).await;
    raw.send(Message::text(r#"{"type":"hello","protocol":1,"engine":"fast"}"#)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let pool = node.pool().await;
    let mut held = pool.acquire().await.unwrap();
    let hold = match kind {
        Kind::Sqlite => ["BEGIN IMMEDIATE", "SELECT 1"],
        Kind::Postgres => ["BEGIN", "LOCK TABLE ledger IN EXCLUSIVE MODE"],
    };
    for statement in hold {
        sqlx::query(statement).execute(&mut *held).await.unwrap();
    }
    let entry = json!({"at": 1_768_435_200_000_i64, "caller": "ann", "customer": "ann", "plan": "free",
        "entitlement": "chat", "credit": "token", "period": 1_768_435_200_000_i64, "units": 1, "data": "x".repeat(200)});
    let entries = vec![entry; 1500];
    let mut sent = 0;
    let all = async {
        for batch in 0..100_u64 {
            let frame = json!({"type": "batch", "first": batch * 1500 + 1, "entries": entries});
            raw.send(Message::text(frame.to_string())).await.unwrap();
            sent += 1;
        }
    };
    assert!(timeout(Duration::from_secs(4), all).await.is_err(), "50 MB were taken in");
    assert!(sent > 3, "{sent}");
    sqlx::query("ROLLBACK").execute(&mut *held).await.unwrap();
    drop(held);
    let begun = Instant::now();
    while ledger(&node).await.1 < 3 * 1500 {
        assert!(begun.elapsed() < Duration::from_secs(30), "what was taken in is stored");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(raw);
    node.stop().await;
}

async fn a_record_that_cannot_be_read_holds_up_nobody(kind: Kind) {
    let (mut node, owner, token) = ready(kind).await;
    let client = node.client();
    let mut one = Engine::connect(&client, &token, "one").await;
    assert!(one.ensure("ann", "free").await && one.ensure("bob", "free").await);
    one.settle().await;
    let pool = node.pool().await;
    sqlx::query("UPDATE customers SET record = '{', version = version + 1 WHERE id = 'ann'")
        .execute(&pool)
        .await
        .unwrap();
    // To the server she is unknown, and cannot be made either.
    let mut two = Engine::connect(&client, &token, "two").await;
    assert!(two.ensure("ann", "free").await);
    while two.turn().await {}
    assert_eq!(two.troubles, ["not_stored"]);
    let entry = two.link.unsent();
    assert_eq!(entry.entries.len(), 1, "it is sent again when she can be read");
    assert!(one.limitr.allow("bob", "chat", 3).allowed);
    one.settle().await;
    let body = json!({"id": "ann", "plan": "pro"});
    owner.post("/api/v1/customers", &body).await.problem(500, "not_stored");
    let written_down: (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM audit WHERE subject = 'ann'").fetch_one(&pool).await.unwrap();
    assert_eq!(written_down.0, 0, "what did not happen is not in the audit");
    assert!(one.limitr.allow("bob", "chat", 4).allowed);
    one.settle().await;
    assert_eq!(ledger(&node).await.0, BTreeMap::from([("bob".into(), 7.into())]));
    let kept: (String,) =
        sqlx::query_as("SELECT record FROM customers WHERE id = 'ann'").fetch_one(&pool).await.unwrap();
    assert_eq!(kept.0, "{");
    node.stop().await;
}

async fn an_engine_that_does_not_read_is_disconnected(kind: Kind) {
    const FRAMES: usize = 100;
    const NAMES: usize = 500;
    let (mut node, _, token) = ready(kind).await;
    let mut socket = socket(&node.client(), &token).await;
    socket.send(Message::text(r#"{"type":"hello","protocol":1,"engine":"deaf"}"#)).await.unwrap();
    // Each name is answered, with a text that is as long: more than fits between two programs.
    let names: Vec<String> = (0..NAMES).map(|number| format!("{number}{}", "x".repeat(1000))).collect();
    let fetch = json!({"type": "fetch", "customers": names}).to_string();
    for _ in 0..FRAMES {
        let sent = timeout(Duration::from_secs(20), socket.send(Message::text(fetch.clone()))).await;
        if sent.expect("what is sent is taken, or the connection is closed").is_err() {
            break;
        }
    }
    let mut answers = 0;
    while let Some(Ok(message)) = timeout(Duration::from_secs(20), socket.next()).await.expect("the connection ends") {
        answers += usize::from(message.is_text());
    }
    assert!(answers < FRAMES * NAMES, "{answers} were kept for it");
    node.client().get("/readyz").await.expect(200);
    node.stop().await;
}
