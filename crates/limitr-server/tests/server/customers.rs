//! Customers over HTTP: listed, created, changed; and what happened to them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::accounts::member;
use crate::client::{Answer, Client, Node, send};
use crate::database::Kind;
use crate::on_both;
use crate::policies::{pages, program, publish};

on_both!(
    a_customer_is_created_once,
    changes_are_made_and_written_down,
    overrides_come_and_go,
    caps_come_and_go,
    topups_are_granted_once_a_key,
    a_customer_is_found_by_what_one_knows_of_it,
    what_a_customer_may_do_is_told,
    history_is_changes_and_usage,
    customers_are_for_those_who_may,
);

const POLICY: &str = "
policy:
  credits: {token: {price: {amount: 0.01}}}
  plans:
    free:
      default: true
      entitlements:
        chat: {limit: {credit: token, value: 10, resets: false}}
        seats: {description: Access}
      topups: {pack: {credit: token, value: 100}}
    pro:
      entitlements: {chat: {limit: {credit: token, value: 1000, resets: false}}}
      topups: {gift: {credit: token, value: 5, included: true}}
";

pub(crate) async fn ready(kind: Kind) -> (Node, Client) {
    let (node, owner) = Node::ready(kind).await;
    publish(&owner, POLICY).await.expect(201);
    (node, owner)
}

pub(crate) async fn put(client: &Client, path: &str, body: &Value) -> Answer {
    send(client.request(Method::PUT, path).json(body)).await
}

async fn create(client: &Client, id: &str) -> Answer {
    client.post("/api/v1/customers", &json!({"id": id})).await.expect(201)
}

/// What was written down, latest last.
async fn entries(client: &Client) -> Vec<(String, Value, Value)> {
    let entries = client.get("/api/v1/audit?action=customer&limit=200").await.expect(200).body;
    let entries = entries["items"].as_array().unwrap().iter().rev();
    entries
        .map(|entry| (entry["action"].as_str().unwrap().to_owned(), entry["before"].clone(), entry["after"].clone()))
        .collect()
}

async fn a_customer_is_created_once(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    let new = json!({
        "id": "acme", "plan": "pro", "type": "org", "label": "Acme", "alt_ids": ["cus_9"], "metadata": {"a": 1}
    });
    let made = owner.post("/api/v1/customers", &new).await.expect(201).body;
    assert_eq!(
        (&made["id"], &made["plan"], &made["type"], &made["metadata"]["a"]),
        (&json!("acme"), &json!("pro"), &json!("org"), &json!(1))
    );
    assert_eq!(made["grants"].as_object().unwrap().len(), 1);
    let again = owner.post("/api/v1/customers", &json!({"id": "acme", "plan": "free"})).await;
    assert_eq!(again.problem(409, "customer_exists").body["path"], "id");
    let ensured = owner.post("/api/v1/customers", &json!({"id": "acme", "plan": "free", "ensure": true})).await;
    assert_eq!(ensured.expect(200).body["plan"], "pro");
    owner.post("/api/v1/customers", &json!({"id": "ann", "plan": "por"})).await.problem(422, "unknown_plan");
    owner.post("/api/v1/customers", &json!({"id": ""})).await.problem(422, "invalid_id");
    owner.post("/api/v1/customers", &json!({"id": "bob", "alt_ids": ["cus_9"]})).await.problem(409, "alt_id_taken");
    for name in ["acme", "cus_9"] {
        let read = owner.get(&format!("/api/v1/customers/{name}")).await.expect(200);
        assert_eq!(read.id(), "acme");
        assert!(read.header("etag").starts_with('"'));
    }
    owner.get("/api/v1/customers/ann").await.problem(404, "not_found");
    let entries = entries(&owner).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((&*entries[0].0, &entries[0].2["label"]), ("customer.create", &json!("Acme")));
    owner.delete("/api/v1/customers/cus_9").await.expect(204);
    owner.delete("/api/v1/customers/acme").await.problem(404, "not_found");
    assert_eq!(self::entries(&owner).await[1].1["plan"], "pro");
}

async fn changes_are_made_and_written_down(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner, "ann").await;
    create(&owner, "acme").await;
    let use_some = json!({"customer": "ann", "entitlement": "chat", "value": 4});
    owner.post("/api/v1/allow", &use_some).await.expect(200);
    let path = "/api/v1/customers/ann";
    let changed = owner.patch(path, &json!({"label": "Ann", "metadata": {"tier": 2}})).await.expect(200).body;
    assert_eq!(
        (&changed["label"], &changed["metadata"], &changed["type"]),
        (&json!("Ann"), &json!({"tier": 2}), &json!("user"))
    );
    // What was used is not forgotten over it.
    assert_eq!(changed["meters"]["chat"]["value"], 4);
    let moved = put(&owner, &format!("{path}/plan"), &json!({"plan": "pro"})).await.expect(200).body;
    assert_eq!((&moved["plan"], &moved["meters"]["chat"]["value"]), (&json!("pro"), &json!(4)));
    assert_eq!(moved["grants"].as_object().unwrap().len(), 1);
    put(&owner, &format!("{path}/plan"), &json!({"plan": "pro"})).await.expect(200);
    put(&owner, &format!("{path}/plan"), &json!({"plan": "none"})).await.problem(422, "unknown_plan");
    let over = json!({"plan": "free", "overwrite_meters": true});
    let over = put(&owner, &format!("{path}/plan"), &over).await.expect(200).body;
    assert_eq!(over["meters"]["chat"]["value"], 0);
    let refs = put(&owner, &format!("{path}/refs"), &json!({"refs": ["acme"]})).await.expect(200).body;
    assert_eq!(refs["refs"], json!(["acme"]));
    let named = put(&owner, &format!("{path}/alts/a%2Fb"), &json!({})).await.expect(200).body;
    assert_eq!(named["alt_ids"], json!(["a/b"]));
    put(&owner, "/api/v1/customers/acme/alts/a%2Fb", &json!({})).await.problem(409, "alt_id_taken");
    let unnamed = owner.delete("/api/v1/customers/a%2Fb/alts/a%2Fb").await.expect(200);
    assert_eq!((unnamed.id(), unnamed.body.get("alt_ids")), ("ann".to_owned(), None));
    owner.patch("/api/v1/customers/bob", &json!({"label": "Bob"})).await.problem(404, "not_found");
    put(&owner, "/api/v1/customers/bob/plan", &json!({"plan": "pro"})).await.problem(404, "not_found");
    let wrong = owner.patch(path, &json!({"lable": "Bob"})).await.problem(422, "unknown_field");
    assert_eq!(wrong.body["hint"], "did you mean `label`?");
    let written = entries(&owner).await;
    let actions: Vec<&str> = written.iter().map(|(action, ..)| action.as_str()).collect();
    let expected = [
        "customer.create",
        "customer.create",
        "customer.change",
        "customer.plan",
        "customer.plan",
        "customer.refs",
        "customer.alt",
        "customer.alt",
    ];
    assert_eq!(actions, expected);
    assert_eq!(written[2].1, json!({"label": "User"}));
    assert_eq!(written[2].2, json!({"label": "Ann", "metadata": {"tier": 2}}));
    assert_eq!((&written[3].1["plan"], &written[3].2["plan"]), (&json!("free"), &json!("pro")));
}

async fn overrides_come_and_go(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner, "ann").await;
    let path = "/api/v1/customers/ann/overrides/chat";
    let limit = put(&owner, path, &json!({"value": 50})).await.expect(200).body;
    assert_eq!((&limit["value"], &limit["credit"]), (&json!(50), &json!("token")));
    let read = json!({"customer": "ann", "entitlement": "chat"});
    assert_eq!(owner.post("/api/v1/limit", &read).await.expect(200).body["result"], 50);
    let wrong = put(&owner, path, &json!({"credit": "none"})).await.expect(422);
    assert!(!wrong.body["problems"].as_array().unwrap().is_empty());
    put(&owner, "/api/v1/customers/ann/overrides/none", &json!({"value": 5})).await.problem(404, "not_found");
    owner.delete(path).await.expect(204);
    owner.delete(path).await.problem(404, "not_found");
    assert_eq!(owner.post("/api/v1/limit", &read).await.expect(200).body["result"], 10);
    let written = entries(&owner).await;
    assert_eq!(written[1].2["overrides"]["chat"]["value"], 50);
    assert_eq!(written[2].1["overrides"]["chat"]["value"], 50);
}

async fn caps_come_and_go(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner, "ann").await;
    let path = "/api/v1/customers/ann/caps";
    let cap = owner.post(path, &json!({"id": "month", "value": 3, "credit": "token"})).await.expect(201).body;
    assert_eq!((&cap["id"], &cap["value"]), (&json!("month"), &json!(3)));
    owner.post(path, &json!({"id": "month", "value": 4})).await.problem(409, "cap_exists");
    owner.post(path, &json!({"value": 4, "credit": "none"})).await.problem(422, "unknown_credit");
    let odd = json!({"value": 4, "resets": true, "reset_inc": "1day", "reset_sch": "monthly:1"});
    owner.post(path, &odd).await.problem(422, "refused_cap");
    let wrong = owner.post(path, &json!({"vlaue": 4})).await.problem(422, "bad_operation");
    assert_eq!(wrong.body["path"], "vlaue");
    let use_some = json!({"customer": "ann", "entitlement": "chat", "value": 2});
    assert_eq!(owner.post("/api/v1/allow", &use_some).await.expect(200).body["result"]["allowed"], true);
    let denied = owner.post("/api/v1/allow", &use_some).await.expect(200).body;
    assert_eq!((&denied["result"]["allowed"], &denied["result"]["reason"]), (&json!(false), &json!("cap")));
    let reset = owner.post(&format!("{path}/month/reset"), &json!({})).await.expect(200).body;
    assert_eq!(reset["meter_value"], 0);
    assert_eq!(owner.post("/api/v1/allow", &use_some).await.expect(200).body["result"]["allowed"], true);
    owner.post(&format!("{path}/none/reset"), &json!({})).await.problem(404, "not_found");
    owner.delete(&format!("{path}/month")).await.expect(204);
    owner.delete(&format!("{path}/month")).await.problem(404, "not_found");
}

async fn topups_are_granted_once_a_key(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner, "ann").await;
    let grant = || {
        let request =
            owner.request(Method::POST, "/api/v1/customers/ann/topups").header("Idempotency-Key", "invoice-7");
        send(request.json(&json!({"topup": "pack"})))
    };
    let (a, b) = tokio::join!(grant(), grant());
    let (granted, other) = if a.status == 201 { (a, b) } else { (b, a) };
    assert_eq!((&granted.body["topup"], &granted.body["value"]), (&json!("pack"), &json!(100)));
    // The other one came while it was under way, or afterwards.
    if other.status != 201 {
        assert_eq!(other.problem(409, "in_progress").header("retry-after"), "1");
    }
    let again = grant().await.expect(201);
    assert_eq!((again.id(), again.header("idempotency-replayed")), (granted.id(), "true"));
    let grants = owner.get("/api/v1/customers/ann/grants").await.expect(200).body;
    assert_eq!(grants["items"].as_array().unwrap().len(), 1);
    // What fails leaves the key free.
    let fail = |topup: &str| {
        let request = owner.request(Method::POST, "/api/v1/customers/ann/topups").header("Idempotency-Key", "other");
        send(request.json(&json!({"topup": topup})))
    };
    assert_eq!(fail("none").await.problem(422, "unknown_topup").body["path"], "topup");
    fail("pack").await.expect(201);
    fail("none").await.problem(422, "key_reused");
    let all = pages(&owner, "/api/v1/customers/ann/grants?limit=1").await;
    assert_eq!(all.len(), 2);
    let remaining = json!({"customer": "ann", "entitlement": "chat"});
    assert_eq!(owner.post("/api/v1/remaining", &remaining).await.expect(200).body["result"], 210);
}

async fn a_customer_is_found_by_what_one_knows_of_it(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    for (id, label, alts) in [
        ("acme", "Acme Inc.", json!(["cus_1"])),
        ("acme-labs", "Labs\u{0}", json!([])),
        ("bob", "Bob of ACME", json!(["cus_2", "100%_bob"])),
        ("zoe", "It's zoe", json!([])),
    ] {
        owner.post("/api/v1/customers", &json!({"id": id, "label": label, "alt_ids": alts})).await.expect(201);
    }
    for (search, expected) in [
        ("acme", vec!["acme", "acme-labs", "bob"]),
        ("acme-", vec!["acme-labs"]),
        ("CUS_2", vec![]),
        ("cus_", vec!["acme", "bob"]),
        ("100%25_", vec!["bob"]),
        ("%25", vec![]),
        ("t's", vec!["zoe"]),
        ("", vec!["acme", "acme-labs", "bob", "zoe"]),
        ("nobody", vec![]),
    ] {
        let pages = pages(&owner, &format!("/api/v1/customers?search={search}&limit=2")).await;
        let found: Vec<Value> = pages.concat().iter().map(|customer| customer["id"].clone()).collect();
        assert_eq!(found, expected, "{search}");
    }
    let listed = owner.get("/api/v1/customers?search=bob").await.expect(200).body["items"][0].clone();
    assert_eq!((&listed["plan"], &listed["alt_ids"]), (&json!("free"), &json!(["cus_2", "100%_bob"])));
    assert!(listed.get("meters").is_none());
}

async fn what_a_customer_may_do_is_told(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    create(&owner, "ann").await;
    owner.post("/api/v1/allow", &json!({"customer": "ann", "entitlement": "chat", "value": 4})).await.expect(200);
    let told = owner.get("/api/v1/customers/ann/entitlements").await.expect(200).body;
    let expected = json!({
        "plan": "free",
        "entitlements": {"chat": {"allowed": true, "used": 4, "limit": 10, "remaining": 6}, "seats": {"allowed": true}}
    });
    assert_eq!(told, expected);
    owner.get("/api/v1/customers/bob/entitlements").await.problem(404, "not_found");
}

async fn history_is_changes_and_usage(kind: Kind) {
    let (_node, owner) = ready(kind).await;
    owner.post("/api/v1/customers", &json!({"id": "ann", "alt_ids": ["cus_1"]})).await.expect(201);
    create(&owner, "bob").await;
    for value in 1..=3 {
        let body = json!({"customer": "ann", "entitlement": "chat", "value": value});
        owner.post("/api/v1/allow", &body).await.expect(200);
        owner.post("/api/v1/allow", &json!({"customer": "bob", "entitlement": "chat", "value": 1})).await.expect(200);
        owner.patch("/api/v1/customers/ann", &json!({"label": format!("Ann {value}")})).await.expect(200);
    }
    for name in ["ann", "cus_1"] {
        for limit in [1, 2, 3, 50] {
            let moments = pages(&owner, &format!("/api/v1/customers/{name}/history?limit={limit}")).await.concat();
            let told: Vec<String> = moments
                .iter()
                .map(|moment| match moment["kind"].as_str().unwrap() {
                    "usage" => format!("used {}", moment["effect"]["units"]),
                    "change" => format!("{} {}", moment["action"].as_str().unwrap(), moment["after"]["label"]),
                    other => panic!("{other}"),
                })
                .collect();
            let mut sorted = told.clone();
            sorted.sort();
            let mut expected: Vec<String> = (1..=3)
                .flat_map(|n| [format!("used {n}"), format!("customer.change \"Ann {n}\"")])
                .chain(["customer.create \"User\"".to_owned()])
                .collect();
            expected.sort();
            assert_eq!(sorted, expected, "{limit}");
            assert_eq!(told.last().unwrap(), "customer.create \"User\"");
            let order = |wanted: &str| told.iter().position(|told| told == wanted).unwrap();
            assert!(order("used 3") < order("used 2") && order("used 2") < order("used 1"), "{told:?}");
        }
    }
    owner.delete("/api/v1/customers/ann").await.expect(204);
    let after = pages(&owner, "/api/v1/customers/ann/history").await.concat();
    assert_eq!((after.len(), &after[0]["action"]), (8, &json!("customer.delete")));
    owner.get("/api/v1/customers/nobody/history").await.problem(404, "not_found");
}

async fn customers_are_for_those_who_may(kind: Kind) {
    let (node, owner) = ready(kind).await;
    create(&owner, "ann").await;
    let (_, viewer) = member(&node, &owner, "viewer").await;
    let (_, editor) = member(&node, &owner, "editor").await;
    let read = &program(&node, &owner, "read").await;
    let engine = &program(&node, &owner, "engine").await;
    let reads = ["", "/ann", "/ann/entitlements", "/ann/grants", "/ann/history"];
    for client in [&viewer, &editor, read, engine] {
        for path in reads {
            client.get(&format!("/api/v1/customers{path}")).await.expect(200);
        }
    }
    let ask = json!({"customer": "ann", "entitlement": "chat"});
    for client in [&viewer, read] {
        client.post("/api/v1/customers", &json!({"id": "bob"})).await.problem(403, "forbidden");
        client.patch("/api/v1/customers/ann", &json!({})).await.problem(403, "forbidden");
        client.delete("/api/v1/customers/ann").await.problem(403, "forbidden");
        client.delete("/api/v1/customers/ann/alts/a").await.problem(403, "forbidden");
        client.delete("/api/v1/customers/ann/overrides/chat").await.problem(403, "forbidden");
        client.delete("/api/v1/customers/ann/caps/c").await.problem(403, "forbidden");
        client.post("/api/v1/customers/ann/caps", &json!({"value": 1})).await.problem(403, "forbidden");
        client.post("/api/v1/customers/ann/caps/c/reset", &json!({})).await.problem(403, "forbidden");
        client.post("/api/v1/customers/ann/topups", &json!({"topup": "pack"})).await.problem(403, "forbidden");
        for (path, body) in [
            ("plan", json!({"plan": "pro"})),
            ("refs", json!({"refs": []})),
            ("alts/a", json!({})),
            ("overrides/chat", json!({"value": 1})),
        ] {
            put(client, &format!("/api/v1/customers/ann/{path}"), &body).await.problem(403, "forbidden");
        }
        client.post("/api/v1/allow", &ask).await.problem(403, "forbidden");
    }
    for client in [&editor, engine] {
        client.patch("/api/v1/customers/ann", &json!({"label": "Ann"})).await.expect(200);
        client.post("/api/v1/allow", &ask).await.expect(200);
    }
    node.client().get("/api/v1/customers").await.problem(401, "unauthenticated");
}
