//! What is used here counts there, once.

use std::sync::Arc;
use std::time::Duration;

use limitr_client::limitr::Amount;
use limitr_client::{Call, Cloud, Denial, NewCustomer, Reserve};

use super::server::StandIn;
use super::{connect, options, policy, until, within};

#[tokio::test]
async fn a_call_is_sent_within_200_ms() {
    let server = StandIn::start(&policy(100)).await;
    let cloud = connect(&server).await;
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    until(|| server.has("ann")).await;
    for used in 1..=3_i64 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(cloud.allow("ann", "chat", 1).allowed);
        within(Duration::from_millis(200), || server.value("ann", "chat") == used.into()).await;
    }
    // Also what is done to the engine itself, of which the task is not told.
    assert!(cloud.engine().allow("ann", "chat", 1).allowed);
    within(Duration::from_millis(200), || server.value("ann", "chat") == 4.into()).await;
    let call = Call::new("ann", "chat").value(2).event(serde_json::json!({"model": "m-1"}));
    assert!(cloud.allow_with(call).unwrap().allowed);
    within(Duration::from_millis(200), || server.ledger("ann", "chat") == 6.into()).await;
}

#[tokio::test]
async fn without_a_connection_it_depends() {
    let server = StandIn::start(&policy(100)).await;
    let careful = connect(&server).await;
    let bold = Cloud::connect(options(&server).deny_unconnected(false)).await.unwrap();
    careful.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    assert!(careful.increment("ann", "seats").allowed);
    until(|| server.value("ann", "seats") == 1.into()).await;
    assert!(bold.fetch("ann").await.unwrap());
    server.go_away();
    until(|| !careful.is_connected() && !bold.is_connected()).await;

    for decision in [
        careful.allow("ann", "chat", 1),
        careful.check("ann", "chat", 1),
        careful.increment("ann", "seats"),
        careful.allow_with(Call::new("ann", "chat").value(1)).unwrap(),
        careful.allow_async("ann", "chat", 1).await,
    ] {
        assert_eq!((decision.allowed, decision.reason), (false, Some(Denial::Disconnected)));
    }
    assert_eq!(careful.reserve(Reserve::new("ann", "chat").value(1)), None);
    assert!(bold.reserve(Reserve::new("ann", "chat").value(1)).is_some());
    // A seat given back is not forgotten.
    assert!(careful.decrement("ann", "seats").allowed);
    for _ in 0..10 {
        assert!(bold.allow("ann", "chat", 1).allowed);
    }
    assert_eq!(server.value("ann", "chat"), Amount::ZERO);
    server.come_back();
    until(|| server.value("ann", "chat") == 10.into() && server.value("ann", "seats") == 0.into()).await;
    until(|| careful.is_connected() && careful.allow("ann", "chat", 1).allowed).await;
    until(|| server.ledger("ann", "chat") == 11.into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_exact_however_often_the_connection_breaks() {
    let server = StandIn::start(&policy(1_000_000)).await;
    let cloud = Cloud::connect(options(&server).deny_unconnected(false)).await.unwrap();
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    let mut allowed: i64 = 0;
    for round in 0..10 {
        for _ in 0..200 {
            allowed += i64::from(cloud.allow("ann", "chat", 1).allowed);
            tokio::task::yield_now().await;
        }
        match round % 3 {
            0 => server.cut(),
            1 => server.crash(),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(allowed, 2000);
    assert!(cloud.close().await);
    assert_eq!((server.ledger("ann", "chat"), server.value("ann", "chat")), (allowed.into(), allowed.into()));
    assert!(server.heard("hello") > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_threads_call_while_records_are_pushed() {
    let server = StandIn::start(&policy(100_000_000)).await;
    let (here, there) = (Arc::new(connect(&server).await), connect(&server).await);
    here.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    until(|| server.has("ann")).await;
    assert!(there.fetch("ann").await.unwrap());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let cloud = Arc::clone(&here);
            std::thread::spawn(move || {
                let mut allowed: i64 = 0;
                for at in 0..2000 {
                    allowed += i64::from(cloud.allow("ann", "chat", 1).allowed);
                    if at % 50 == 0 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
                allowed
            })
        })
        .collect();
    // Each of these is pushed to the other engine, over what its threads are doing.
    let mut elsewhere: i64 = 0;
    while threads.iter().any(|thread| !thread.is_finished()) {
        elsewhere += 3 * i64::from(there.allow("ann", "chat", 3).allowed);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let total: i64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum::<i64>() + elsewhere;
    assert!(elsewhere > 0 && total == 16_000 + elsewhere);
    until(|| server.value("ann", "chat") == total.into()).await;
    assert_eq!(server.ledger("ann", "chat"), total.into());
    until(|| [&*here, &there].iter().all(|cloud| cloud.engine().value("ann", "chat") == Some(total.into()))).await;
}
