//! Policies: drafts, versions, publishing.

use limitr_server::Server;
use reqwest::Method;
use serde_json::{Value, json};

use crate::accounts::member;
use crate::client::{Answer, Client, Node, send};
use crate::database::Kind;
use crate::on_both;

on_both!(
    a_draft_becomes_a_version_and_an_old_one_comes_back,
    a_draft_that_somebody_else_changed_is_not_overwritten,
    a_draft_of_another_time_is_published_by_force_alone,
    the_same_document_is_not_published_twice,
    two_nodes_number_what_is_published_at_once,
    what_is_wrong_is_listed_and_not_published,
    versions_differ_in_meaning,
    lists_come_page_by_page,
    roles_and_scopes_may_what_they_may,
    a_publication_is_sent_again,
    dev_has_a_policy,
);

/// A policy whose plan `pro` has so much chat.
pub(crate) fn policy(chat: &str) -> String {
    format!(
        "policy:\n  credits: {{token: {{price: {{amount: 0.01}}, overhead_cost: 0.002}}}}\n  plans:\n    \
         free: {{default: true, entitlements: {{chat: {{limit: {{credit: token, value: 10, resets: false}}}}}}}}\n    \
         pro: {{entitlements: {{chat: {{limit: {{credit: token, value: {chat}, resets: false}}}}}}}}\n"
    )
}

pub(crate) async fn publish(client: &Client, document: &str) -> Answer {
    client.post("/api/v1/policies/publish", &json!({"format": "yaml", "document": document, "note": "n"})).await
}

/// A program with a token of its own.
pub(crate) async fn program(node: &Node, owner: &Client, scope: &str) -> Client {
    let token = owner.post("/api/v1/tokens", &json!({"name": scope, "scope": scope})).await.expect(201);
    node.with_token(token.body["token"].as_str().unwrap())
}

async fn draft(client: &Client, document: &str) -> Answer {
    let draft = json!({"name": "prices", "format": "yaml", "document": document});
    client.post("/api/v1/policies/drafts", &draft).await.expect(201)
}

async fn actions(client: &Client) -> Vec<String> {
    let entries = client.get("/api/v1/audit?limit=200").await.expect(200).body;
    let actions = entries["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap().to_owned());
    let mut actions: Vec<String> =
        actions.filter(|action| action.starts_with("draft.") || action.starts_with("policy.")).collect();
    actions.reverse();
    actions
}

async fn a_draft_becomes_a_version_and_an_old_one_comes_back(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    owner.get("/api/v1/policies/versions/active").await.problem(404, "not_found");
    let begun = draft(&owner, &policy("100")).await;
    assert!(begun.id().starts_with("drf_"));
    assert_eq!((&begun.body["revision"], &begun.body["base_version"]), (&json!(1), &Value::Null));
    assert_eq!(begun.body["author"]["name"], "ann@example.com");
    let path = format!("/api/v1/policies/drafts/{}", begun.id());
    let one = owner.post(&format!("{path}/publish"), &json!({"note": "the first"})).await.expect(201);
    assert!(one.id().starts_with("pol_"));
    assert_eq!((&one.body["number"], &one.body["active"]), (&json!(1), &json!(true)));
    assert_eq!(one.body["hash"].as_str().unwrap().len(), 64);
    // The draft goes on from there.
    let kept = owner.get(&path).await.expect(200);
    assert_eq!((kept.body["base_version"].as_str(), &kept.body["revision"]), (Some(&*one.id()), &json!(2)));
    owner.patch(&path, &json!({"document": policy("200"), "name": "more"})).await.expect(200);
    let two = owner.post(&format!("{path}/publish"), &json!({})).await.expect(201);
    let active = owner.get("/api/v1/policies/versions/active").await.expect(200);
    assert_eq!((active.id(), &active.body["document"]), (two.id(), &json!(policy("200"))));
    assert_eq!(owner.get("/api/v1/workspace").await.expect(200).body["active_version"], json!(two.id()));
    let back = format!("/api/v1/policies/versions/{}/rollback", one.id());
    let three = owner.post(&back, &json!({})).await.expect(201);
    assert_eq!(three.body["rollback_of"], json!(one.id()));
    assert_eq!((&three.body["number"], &three.body["note"]), (&json!(3), &json!("back to version 1")));
    assert_eq!(three.body["hash"], one.body["hash"]);
    // The old ones are as they were.
    let first = owner.get(&format!("/api/v1/policies/versions/{}", one.id())).await.expect(200);
    assert_eq!((&first.body["active"], &first.body["note"]), (&json!(false), &json!("the first")));
    assert_eq!(first.body["document"], json!(policy("100")));
    owner.delete(&path).await.expect(204);
    owner.get(&path).await.problem(404, "not_found");
    let expected =
        ["draft.create", "policy.publish", "draft.change", "policy.publish", "policy.publish", "draft.delete"];
    assert_eq!(actions(&owner).await, expected);
    let entries = owner.get("/api/v1/audit?action=policy.publish").await.expect(200).body;
    let last = &entries["items"][0];
    assert_eq!((&last["before"]["id"], &last["after"]["id"]), (&json!(two.id()), &json!(three.id())));
    assert!(last["after"].get("document").is_none());
}

async fn a_draft_that_somebody_else_changed_is_not_overwritten(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let (_, editor) = member(&node, &owner, "editor").await;
    let path = format!("/api/v1/policies/drafts/{}", draft(&owner, &policy("1")).await.id());
    let read = owner.get(&path).await.expect(200);
    let change = |client: &Client, tag: &str, document: String| {
        send(client.request(Method::PATCH, &path).header("If-Match", tag).json(&json!({"document": document})))
    };
    let changed = change(&editor, read.header("etag"), policy("2")).await.expect(200);
    assert_eq!(changed.body["revision"], 2);
    change(&owner, read.header("etag"), policy("3")).await.problem(412, "changed");
    let stale = owner.request(Method::POST, &format!("{path}/publish")).header("If-Match", read.header("etag"));
    send(stale.json(&json!({}))).await.problem(412, "changed");
    send(owner.request(Method::DELETE, &path).header("If-Match", read.header("etag"))).await.problem(412, "changed");
    let read = owner.get(&path).await.expect(200);
    assert_eq!(read.body["document"], json!(policy("2")));
    change(&owner, read.header("etag"), policy("3")).await.expect(200);
    // What changes nothing is no change.
    let same = owner.patch(&path, &json!({"document": policy("3")})).await.expect(200);
    assert_eq!(same.body["revision"], 3);
    // Without the header the later one wins, and of those in the same moment one.
    let (a, b) = (json!({"name": "a"}), json!({"name": "b"}));
    let both = tokio::join!(owner.patch(&path, &a), editor.patch(&path, &b));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert!(matches!(statuses, [200, 200 | 409]), "{both:?}");
}

async fn a_draft_of_another_time_is_published_by_force_alone(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    publish(&owner, &policy("1")).await.expect(201);
    let path = format!("/api/v1/policies/drafts/{}", draft(&owner, &policy("2")).await.id());
    let latest = publish(&owner, &policy("3")).await.expect(201);
    let refused = owner.post(&format!("{path}/publish"), &json!({})).await.problem(409, "outdated");
    assert!(refused.body["hint"].as_str().unwrap().contains("base_version"));
    owner.patch(&path, &json!({"base_version": "pol_none"})).await.problem(422, "invalid_value");
    let moved = owner.patch(&path, &json!({"base_version": "active"})).await.expect(200);
    assert_eq!(moved.body["base_version"], json!(latest.id()));
    owner.post(&format!("{path}/publish"), &json!({})).await.expect(201);
    publish(&owner, &policy("4")).await.expect(201);
    owner.patch(&path, &json!({"document": policy("5")})).await.expect(200);
    owner.post(&format!("{path}/publish"), &json!({"force": true})).await.expect(201);
}

async fn the_same_document_is_not_published_twice(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let one = publish(&owner, &policy("1")).await.expect(201);
    publish(&owner, &policy("1")).await.problem(409, "unchanged");
    let back = format!("/api/v1/policies/versions/{}/rollback", one.id());
    owner.post(&back, &json!({})).await.problem(409, "unchanged");
    let forced = json!({"format": "yaml", "document": policy("1"), "force": true});
    let two = owner.post("/api/v1/policies/publish", &forced).await.expect(201);
    assert_eq!((&two.body["number"], &two.body["hash"]), (&json!(2), &one.body["hash"]));
    // Another one in between, and it is news again.
    publish(&owner, &policy("2")).await.expect(201);
    publish(&owner, &policy("1")).await.expect(201);
}

async fn two_nodes_number_what_is_published_at_once(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let second = Server::start(node.config.clone()).await.unwrap();
    let here = program(&node, &owner, "admin").await;
    let mut elsewhere = Client::to(&format!("http://{}", second.addr()));
    elsewhere.token.clone_from(&here.token);
    let documents: Vec<String> = (1..=12).map(|chat: u32| policy(&chat.to_string())).collect();
    let publications = documents.iter().enumerate().map(|(at, document)| {
        let client = if at % 2 == 0 { &here } else { &elsewhere };
        publish(client, document)
    });
    let mut numbers = Vec::new();
    for published in futures_util::future::join_all(publications).await {
        numbers.push(published.expect(201).body["number"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    for client in [&here, &elsewhere] {
        let active = client.get("/api/v1/policies/versions/active").await.expect(200);
        assert_eq!(active.body["number"], 12);
    }
    second.stop().await;
}

async fn what_is_wrong_is_listed_and_not_published(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let wrong = "policy:\n  plans:\n    pro:\n      defualt: true\n      entitlements:\n        \
                 chat: {limit: {credit: tokn, value: 5}}\n";
    let body = json!({"format": "yaml", "document": wrong});
    let validation = owner.post("/api/v1/policies/validate", &body).await.expect(200).body;
    assert_eq!(validation["valid"], false);
    let problems = validation["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{validation}");
    let expected = json!({
        "code": "unknown_field", "path": "policy.plans.pro.defualt", "message": "unknown field `defualt`",
        "hint": "did you mean `default`?", "line": 4, "column": 7
    });
    assert_eq!(problems[0], expected);
    assert_eq!(problems[1]["line"], 6);
    let refused = publish(&owner, wrong).await.expect(422).body;
    assert_eq!(refused["code"], "invalid_policy");
    assert_eq!(refused["problems"].as_array().unwrap().len(), 2);
    // A draft may be wrong, until it is published.
    let begun = draft(&owner, wrong).await;
    let path = format!("/api/v1/policies/drafts/{}/publish", begun.id());
    owner.post(&path, &json!({})).await.problem(422, "invalid_policy");
    let named = format!("/api/v1/policies/diff?from=draft:{0}&to=draft:{0}", begun.id());
    owner.get(&named).await.problem(422, "invalid_policy");
    assert_eq!(owner.get("/api/v1/policies/versions").await.expect(200).body["items"], json!([]));
    let with_customers = "policy: {plans: {free: {default: true}}, customers: {ann: {id: ann, plan: free}}}";
    publish(&owner, with_customers).await.problem(422, "customers_in_policy");
    let body = json!({"format": "yaml", "document": with_customers});
    let validation = owner.post("/api/v1/policies/validate", &body).await.expect(200).body;
    assert_eq!(validation["problems"][0]["code"], "customers_in_policy");
    let body = json!({"format": "yaml", "document": policy("1")});
    let validation = owner.post("/api/v1/policies/validate", &body).await.expect(200).body;
    assert_eq!(validation, json!({"valid": true, "problems": []}));
    let odd = json!({"format": "xml", "document": "<policy/>"});
    owner.post("/api/v1/policies/validate", &odd).await.problem(422, "invalid_value");
    let stof = json!({"format": "stof", "document": "policy: { plans: { free: { default: true } } }"});
    owner.post("/api/v1/policies/publish", &stof).await.expect(201);
}

async fn versions_differ_in_meaning(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let one = publish(&owner, &policy("500_000").replace("500_000", "500000")).await.expect(201);
    publish(&owner, &policy("700000")).await.expect(201);
    let diff = owner.get(&format!("/api/v1/policies/diff?from={}", one.id())).await.expect(200).body;
    let expected = json!([{
        "path": "plans.pro.entitlements.chat.limit.value", "before": 500_000, "after": 700_000,
        "text": "plans.pro.entitlements.chat.limit.value: 500000 -> 700000"
    }]);
    assert_eq!((&diff["from"], &diff["changes"]), (&json!(one.id()), &expected));
    // Another notation is no difference; a plan that is gone is one line.
    let document = json!({"policy": {
        "credits": {"token": {"price": {"amount": "0.010"}, "overhead_cost": 0.002}},
        "plans": {"free": {"default": true, "entitlements": {
            "chat": {"limit": {"credit": "token", "value": "10", "resets": false}}
        }}}
    }});
    let body = json!({"name": "d", "format": "json", "document": document.to_string()});
    let begun = owner.post("/api/v1/policies/drafts", &body).await.expect(201);
    let to = format!("draft:{}", begun.id());
    let diff = owner.get(&format!("/api/v1/policies/diff?from=active&to={to}")).await.expect(200).body;
    assert_eq!(diff["to"], json!(to));
    let texts: Vec<&str> =
        diff["changes"].as_array().unwrap().iter().map(|change| change["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["plans.pro: removed"]);
    owner.get("/api/v1/policies/diff?from=pol_none").await.problem(404, "not_found");
    owner.get("/api/v1/policies/diff?form=active").await.problem(400, "unknown_parameter");
}

async fn lists_come_page_by_page(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    for chat in 1..=5 {
        publish(&owner, &policy(&chat.to_string())).await.expect(201);
        draft(&owner, &policy(&chat.to_string())).await;
    }
    let pages = pages(&owner, "/api/v1/policies/versions?limit=2").await;
    let numbers: Vec<Vec<u64>> =
        pages.iter().map(|page| page.iter().map(|version| version["number"].as_u64().unwrap()).collect()).collect();
    assert_eq!(numbers, [vec![5, 4], vec![3, 2], vec![1]]);
    assert!(pages.concat().iter().all(|version| version.get("document").is_none()));
    let drafts = self::pages(&owner, "/api/v1/policies/drafts?limit=2").await.concat();
    assert_eq!(drafts.len(), 5);
    assert!(drafts.iter().all(|draft| draft.get("document").is_none()));
    owner.get("/api/v1/policies/drafts?limit=0").await.problem(400, "invalid_parameter");
}

/// The pages of a list, up to the last.
pub(crate) async fn pages(client: &Client, path: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}{cursor}")).await.expect(200).body;
        pages.push(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { return pages };
        cursor = format!("{}cursor={next}", if path.contains('?') { '&' } else { '?' });
    }
}

async fn roles_and_scopes_may_what_they_may(kind: Kind) {
    let (node, owner) = Node::ready(kind).await;
    let (_, viewer) = member(&node, &owner, "viewer").await;
    let (_, editor) = member(&node, &owner, "editor").await;
    let read = &program(&node, &owner, "read").await;
    let engine = &program(&node, &owner, "engine").await;
    let admin = &program(&node, &owner, "admin").await;
    publish(&owner, &policy("1")).await.expect(201);
    let id = draft(&editor, &policy("2")).await.id();
    let path = format!("/api/v1/policies/drafts/{id}");
    for client in [&viewer, read, &editor, admin] {
        for path in ["/api/v1/policies/versions", "/api/v1/policies/versions/active", &*path, "/api/v1/policies/diff"] {
            client.get(path).await.expect(200);
        }
    }
    let new = json!({"name": "d", "format": "yaml", "document": ""});
    for client in [&viewer, read, engine] {
        client.post("/api/v1/policies/drafts", &new).await.problem(403, "forbidden");
        client.patch(&path, &json!({"name": "x"})).await.problem(403, "forbidden");
        client.delete(&path).await.problem(403, "forbidden");
    }
    engine.get("/api/v1/policies/versions").await.problem(403, "forbidden");
    for client in [&viewer, read, engine, &editor] {
        publish(client, &policy("3")).await.problem(403, "forbidden");
        client.post(&format!("{path}/publish"), &json!({})).await.problem(403, "forbidden");
        client.post("/api/v1/policies/versions/active/rollback", &json!({})).await.problem(403, "forbidden");
    }
    admin.post(&format!("{path}/publish"), &json!({})).await.expect(201);
}

async fn a_publication_is_sent_again(kind: Kind) {
    let (_node, owner) = Node::ready(kind).await;
    let body = json!({"format": "yaml", "document": policy("1")});
    let publish = || {
        let request = owner.request(Method::POST, "/api/v1/policies/publish").header("Idempotency-Key", "k");
        send(request.json(&body))
    };
    let (a, b) = tokio::join!(publish(), publish());
    let (a, b) = (a.expect(201), b.expect(201));
    assert_eq!(a.body, b.body);
    assert_eq!(pages(&owner, "/api/v1/policies/versions").await.concat().len(), 1);
}

async fn dev_has_a_policy(kind: Kind) {
    let node = Node::start_with(kind, |config| config.dev = true).await;
    let admin = node.with_token(&node.running().dev().unwrap().admin_token);
    let active = admin.get("/api/v1/policies/versions/active").await.expect(200).body;
    assert_eq!((&active["number"], &active["format"]), (&json!(1), &json!("json")));
    assert!(active["document"].as_str().unwrap().contains("ai-chat-input"));
}
