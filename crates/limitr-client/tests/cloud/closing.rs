//! The end of a program, and its next start.

use std::time::{Duration, Instant};

use limitr_client::{Cloud, Denial, NewCustomer, Unsent};

use super::server::StandIn;
use super::{connect, options, policy, until};

#[tokio::test]
async fn closing_sends_what_is_left() {
    let server = StandIn::start(&policy(100)).await;
    let cloud = connect(&server).await;
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    for _ in 0..5 {
        assert!(cloud.allow("ann", "chat", 1).allowed);
    }
    let start = Instant::now();
    assert!(cloud.close().await);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(server.value("ann", "chat"), 5.into());
    assert_eq!(server.connected(), 0);
    // Again and after it.
    assert!(cloud.close().await);
    assert!(!cloud.is_connected());
    assert_eq!(cloud.allow("ann", "chat", 1).reason, Some(Denial::Disconnected));
    assert_eq!(cloud.decrement("ann", "seats").reason, Some(Denial::Disconnected));
    assert_eq!(cloud.fetch("bob").await.unwrap_err().code(), "closed");
    assert_eq!(cloud.ensure_customer(NewCustomer::new("bob")).await.unwrap_err().code(), "closed");
    assert!(cloud.unsent().await.is_empty());
}

#[tokio::test]
async fn many_can_close_at_once() {
    let server = StandIn::start(&policy(100)).await;
    let cloud = connect(&server).await;
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    let (first, second) = tokio::join!(cloud.close(), cloud.close());
    assert!(first && second && server.has("ann"));
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_at_the_next_start() {
    let server = StandIn::start(&policy(100)).await;
    let options = options(&server).deny_unconnected(false).connect_timeout(Duration::from_millis(400));
    let cloud = Cloud::connect(options.clone()).await.unwrap();
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    assert!(cloud.allow("ann", "chat", 1).allowed);
    until(|| server.value("ann", "chat") == 1.into()).await;
    server.go_away();
    until(|| !cloud.is_connected()).await;
    for _ in 0..5 {
        assert!(cloud.allow("ann", "chat", 2).allowed);
    }
    assert!(cloud.ensure_customer(NewCustomer::new("bob")).await.unwrap());
    assert_eq!(cloud.unsent().await.len(), 6);
    let start = Instant::now();
    assert!(!cloud.close().await);
    assert!(start.elapsed() < Duration::from_secs(2));
    let kept = cloud.unsent().await.to_json().to_string();
    drop(cloud);

    server.come_back();
    let unsent = Unsent::from_json(&serde_json::from_str(&kept).unwrap()).unwrap();
    assert_eq!(unsent.len(), 6);
    let cloud = Cloud::connect(options.resume(unsent)).await.unwrap();
    assert!(cloud.fetch("ann").await.unwrap());
    until(|| server.value("ann", "chat") == 11.into() && server.has("bob")).await;
    until(|| cloud.engine().value("ann", "chat") == Some(11.into())).await;
    assert!(cloud.close().await);
    assert_eq!(server.ledger("ann", "chat"), 11.into());
}

#[tokio::test]
async fn a_lost_acknowledgement_makes_nothing_count_twice() {
    let server = StandIn::start(&policy(100)).await;
    let options = options(&server).connect_timeout(Duration::from_millis(300));
    let cloud = Cloud::connect(options.clone()).await.unwrap();
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    while !cloud.unsent().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Sent, and heard by nobody yet.
    server.pause();
    assert!(cloud.allow("ann", "chat", 3).allowed);
    let kept = cloud.unsent().await;
    assert_eq!(kept.len(), 1);
    server.go_on();
    until(|| server.value("ann", "chat") == 3.into()).await;
    // The program ends before it could note that.
    drop(cloud);
    let cloud = Cloud::connect(options.resume(kept)).await.unwrap();
    assert!(cloud.fetch("ann").await.unwrap());
    assert_eq!(cloud.engine().value("ann", "chat"), Some(3.into()));
    assert!(cloud.close().await);
    assert_eq!((server.ledger("ann", "chat"), server.value("ann", "chat")), (3.into(), 3.into()));
}

#[tokio::test]
async fn what_was_kept_too_early_takes_no_numbers_from_what_comes_after() {
    let server = StandIn::start(&policy(100)).await;
    let options = options(&server).deny_unconnected(false).connect_timeout(Duration::from_millis(400));
    let cloud = Cloud::connect(options.clone()).await.unwrap();
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    let kept = cloud.unsent().await;
    for _ in 0..5 {
        assert!(cloud.allow("ann", "chat", 2).allowed);
    }
    until(|| server.value("ann", "chat") == 10.into()).await;
    // The program ends without having kept that.
    drop(cloud);
    let cloud = Cloud::connect(options.resume(kept)).await.unwrap();
    assert!(cloud.fetch("ann").await.unwrap());
    for _ in 0..3 {
        assert!(cloud.allow("ann", "chat", 1).allowed);
    }
    assert!(cloud.close().await);
    assert_eq!((server.ledger("ann", "chat"), server.value("ann", "chat")), (13.into(), 13.into()));
}

#[test]
fn unsent_is_read_as_it_was_written() {
    for (path, json) in [
        ("engine", serde_json::json!({})),
        ("acknowledged", serde_json::json!({"engine": "e", "acknowledged": -1})),
        ("entries", serde_json::json!({"engine": "e", "acknowledged": 1})),
        ("unnumbered", serde_json::json!({"engine": "e", "acknowledged": 1, "entries": [], "unnumbered": "1"})),
        ("entries[0]", serde_json::json!({"engine": "e", "acknowledged": 1, "entries": [{}]})),
    ] {
        let error = Unsent::from_json(&json).unwrap_err();
        assert_eq!((error.code(), error.path()), ("invalid_unsent", Some(path)), "{error}");
    }
}

#[test]
fn it_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Cloud>();
}
