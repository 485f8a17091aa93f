//! Customers: known here, known there, known nowhere.

use std::time::Duration;

use limitr_client::{Cloud, Denial, NewCustomer};
use serde_json::json;

use super::server::StandIn;
use super::{connect, options, policy, until};

fn create(server: &StandIn, customer: &str) {
    server.call(json!({"create_customer": {"id": customer, "alt_ids": [format!("{customer}@x")]}}));
}

#[tokio::test]
async fn ensuring_goes_from_here_to_there_to_nowhere() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    create(&server, "ann");
    server.call(json!({"allow": {"customer": "ann", "entitlement": "chat", "value": 7}}));

    // There: fetched, not created, and with what it has used.
    assert!(!cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap());
    assert_eq!(cloud.engine().value("ann", "chat"), Some(7.into()));
    // Here: nobody is asked.
    assert_eq!(server.heard("fetch"), 1);
    assert!(!cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap());
    assert!(!cloud.ensure_customer(NewCustomer::new("ann@x")).await.unwrap());
    assert_eq!(server.heard("fetch"), 1);
    // Nowhere: created here and there.
    assert!(cloud.ensure_customer(NewCustomer::new("bob")).await.unwrap());
    assert!(cloud.allow("bob", "chat", 4).allowed);
    until(|| server.value("bob", "chat") == 4.into()).await;
    // What cannot be created is told.
    let error = cloud.ensure_customer(NewCustomer::new("")).await.unwrap_err();
    assert_eq!(error.code(), "invalid_id");
    let error = cloud.ensure_customer(NewCustomer::new("cat").plan("gold")).await.unwrap_err();
    assert_eq!(error.code(), "unknown_plan");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_customer_is_created_on_the_plan_of_whom_it_refers_to() {
    let pro = "      pro: {entitlements: {chat: {limit: {credit: token, value: 99}}}}\n";
    let server = StandIn::start(&format!("{}{}", policy(10).trim_end(), pro.replace("      pro", "\n    pro"))).await;
    let cloud = connect(&server).await;
    server.call(json!({"create_customer": {"id": "acme", "plan": "pro"}}));
    assert!(cloud.ensure_customer(NewCustomer::new("ann").refs(["acme", "nobody"])).await.unwrap());
    assert_eq!(cloud.engine().limit("ann", "chat", true), Some(99.into()));
    assert!(cloud.allow("ann", "chat", 50).allowed);
    assert!(cloud.close().await);
    assert_eq!(server.value("ann", "chat"), 50.into());
}

#[tokio::test]
async fn without_a_connection_nobody_is_created_unless_chosen() {
    let server = StandIn::start(&policy(10)).await;
    create(&server, "ann");
    let careful = connect(&server).await;
    let bold = Cloud::connect(options(&server).deny_unconnected(false)).await.unwrap();
    server.go_away();
    until(|| !careful.is_connected() && !bold.is_connected()).await;

    assert!(!careful.ensure_customer(NewCustomer::new("ann")).await.unwrap());
    assert!(!careful.engine().has_customer("ann"));
    assert_eq!(careful.fetch("ann").await.unwrap_err().code(), "disconnected");
    assert_eq!(careful.allow_async("ann", "chat", 1).await.reason, Some(Denial::Disconnected));

    assert!(bold.ensure_customer(NewCustomer::new("ann")).await.unwrap());
    assert!(bold.allow("ann", "chat", 2).allowed);
    assert_eq!(bold.allow_async("bob", "chat", 1).await.reason, Some(Denial::UnknownCustomer));

    // What the server has of the customer is added when it is back.
    server.call(json!({"allow": {"customer": "ann", "entitlement": "chat", "value": 5}}));
    server.come_back();
    until(|| server.value("ann", "chat") == 7.into()).await;
    until(|| bold.engine().value("ann", "chat") == Some(7.into())).await;
}

#[tokio::test]
async fn a_call_that_does_not_wait_fetches_in_the_background() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    create(&server, "ann");
    let decision = cloud.allow("ann", "chat", 1);
    assert_eq!((decision.allowed, decision.reason), (false, Some(Denial::UnknownCustomer)));
    until(|| cloud.check("ann", "chat", 1).allowed).await;
    // By an alternate id, and a check does it too.
    create(&server, "bob");
    assert_eq!(cloud.check("bob@x", "chat", 1).reason, Some(Denial::UnknownCustomer));
    until(|| cloud.allow("bob@x", "chat", 1).allowed).await;
}

#[tokio::test]
async fn a_call_that_waits_is_decided_by_what_is_fetched() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    create(&server, "ann");
    assert!(cloud.allow_async("ann@x", "chat", 4).await.allowed);
    assert!(!cloud.check_async("ann", "chat", 7).await.allowed);
    create(&server, "bob");
    assert!(cloud.increment_async("bob", "seats").await.allowed);
    create(&server, "cat");
    assert!(cloud.decrement_async("cat", "seats").await.allowed);
    assert_eq!(cloud.allow_async("nobody", "chat", 1).await.reason, Some(Denial::UnknownCustomer));
    assert!(!cloud.fetch("nobody").await.unwrap());
    // No server has such a customer: it is not asked, and stays connected.
    assert!(!cloud.fetch("").await.unwrap());
    assert!(!cloud.fetch(&"x".repeat(1025)).await.unwrap());
    until(|| server.ledger("ann", "chat") == 4.into()).await;
    assert_eq!(server.heard("hello"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_wait_for_a_customer_ask_once() {
    let server = StandIn::start(&policy(1000)).await;
    let cloud = std::sync::Arc::new(connect(&server).await);
    create(&server, "ann");
    server.pause();
    let wait = |_| {
        let cloud = std::sync::Arc::clone(&cloud);
        tokio::spawn(async move { cloud.allow_async("ann", "chat", 1).await.allowed })
    };
    let waiting: Vec<_> = (0..100).map(wait).collect();
    until(|| server.heard("fetch") > 0).await;
    for _ in 0..100 {
        assert!(!cloud.allow("ann", "chat", 1).allowed);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.go_on();
    for waiter in waiting {
        assert!(waiter.await.unwrap());
    }
    assert_eq!(server.heard("fetch"), 1);
    until(|| server.value("ann", "chat") == 100.into()).await;
}

#[tokio::test]
async fn who_waits_is_told_when_the_connection_goes_or_the_server_is_silent() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = Cloud::connect(options(&server).connect_timeout(Duration::from_millis(500))).await.unwrap();
    create(&server, "ann");
    server.pause();
    let (fetched, ()) = tokio::join!(cloud.fetch("ann"), async {
        until(|| server.heard("fetch") > 0).await;
        server.go_away();
    });
    assert_eq!(fetched.unwrap_err().code(), "disconnected");
    server.go_on();
    server.come_back();
    until(|| cloud.is_connected()).await;
    server.pause();
    assert_eq!(cloud.fetch("ann").await.unwrap_err().code(), "disconnected");
    assert_eq!(cloud.allow_async("ann", "chat", 1).await.reason, Some(Denial::Disconnected));
    server.go_on();
    until(|| cloud.check("ann", "chat", 1).allowed).await;
}

#[tokio::test]
async fn changes_at_the_server_arrive() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    create(&server, "ann");
    assert!(cloud.fetch("ann").await.unwrap());
    server.call(json!({"allow": {"customer": "ann", "entitlement": "chat", "value": 9}}));
    until(|| !cloud.check("ann", "chat", 2).allowed).await;
    server.call(json!({"delete_customer": {"id": "ann"}}));
    until(|| !cloud.engine().has_customer("ann")).await;
}
