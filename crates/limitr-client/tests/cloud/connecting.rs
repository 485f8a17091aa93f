//! Connecting, and being connected.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use limitr_client::limitr::Amount;
use limitr_client::{Cloud, CloudOptions, ConnectionEvent, NewCustomer};

use super::server::{StandIn, TOKEN};
use super::{connect, options, policy, until, within};

#[tokio::test]
async fn a_connected_program_decides_by_the_published_policy() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    assert!(cloud.is_connected());
    assert!(cloud.engine().policy().plans.contains_key("free"));
    let hello = server.last_heard("hello").unwrap();
    assert_eq!((&hello["sdk"], &hello["policy"]), (&"limitr-client".into(), &serde_json::Value::Null));
    assert_eq!(server.tickets(), 1);
}

#[tokio::test]
async fn a_wrong_token_is_told_at_once() {
    let server = StandIn::start(&policy(10)).await;
    let start = Instant::now();
    let error = Cloud::connect(CloudOptions::new("limitr_wrong").ws_address(format!("ws://{}", server.addr))).await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), error.path()), ("invalid_token", Some("token")));
    assert_eq!(error.to_string(), "the token is unknown, revoked or expired");
    assert!(error.hint().is_some());
    assert!(!format!("{error:?}").contains("limitr_wrong"));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(server.tickets(), 1);
    assert_eq!(Cloud::connect(CloudOptions::new("")).await.unwrap_err().code(), "invalid_token");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for_and_then_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = CloudOptions::new(TOKEN).ws_address(format!("ws://{free}"));
    let start = Instant::now();
    let error = Cloud::connect(options.connect_timeout(Duration::from_millis(300))).await.unwrap_err();
    assert_eq!(error.code(), "cannot_connect");
    assert!(error.to_string().starts_with(&format!("cannot connect to http://{free}: ")), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_server_that_comes_in_time_is_found() {
    let server = StandIn::start(&policy(10)).await;
    server.go_away();
    let (cloud, ()) = tokio::join!(Cloud::connect(options(&server)), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.come_back();
    });
    assert!(cloud.unwrap().is_connected());
    assert!(server.tickets() > 1);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = StandIn::start(&policy(10)).await;
    server.pause();
    let options = options(&server).connect_timeout(Duration::from_millis(200));
    assert_eq!(Cloud::connect(options).await.unwrap_err().code(), "connect_timeout");
}

#[tokio::test]
async fn without_a_policy_there_is_nothing_to_decide_by() {
    let server = StandIn::without_policy().await;
    let error = Cloud::connect(options(&server)).await.unwrap_err();
    assert_eq!((error.code(), error.hint()), ("no_policy", Some("publish one, then connect again")));
}

#[tokio::test]
async fn what_is_published_is_in_force_within_a_second() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    cloud.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    assert!(!cloud.allow("ann", "chat", 20).allowed);
    let versions = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&versions);
    cloud.on(move |event| {
        if let ConnectionEvent::Policy { id, number } = event {
            heard.lock().unwrap().push((id.clone(), *number));
        }
    });
    server.publish(&policy(100));
    within(Duration::from_secs(1), || cloud.check("ann", "chat", 20).allowed).await;
    assert_eq!(*versions.lock().unwrap(), [("pol_2".to_owned(), 2)]);
}

#[tokio::test]
async fn a_pinned_program_stays_on_its_version() {
    let server = StandIn::start(&policy(10)).await;
    server.publish(&policy(100));
    let (pinned, latest) = (Cloud::connect(options(&server).policy("pol_1")).await.unwrap(), connect(&server).await);
    server.publish(&policy(1000));
    latest.ensure_customer(NewCustomer::new("ann")).await.unwrap();
    let limit = |cloud: &Cloud| cloud.engine().limit("ann", "chat", true);
    within(Duration::from_secs(1), || limit(&latest) == Some(1000.into())).await;
    // The customer is made when the batch is stored.
    until(|| server.has("ann")).await;
    assert!(pinned.fetch("ann").await.unwrap());
    assert_eq!(limit(&pinned), Some(10.into()));
    server.cut();
    until(|| server.heard("hello") == 4 && pinned.is_connected()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(limit(&pinned), Some(10.into()));

    let error = Cloud::connect(options(&server).policy("pol_9")).await.unwrap_err();
    assert_eq!(error.code(), "unknown_version");
    assert_eq!(error.to_string(), "there is no published version `pol_9`");
}

#[tokio::test]
async fn events_tell_of_the_connection() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    cloud.on(|_| panic!("a listener that panics is nobody else's trouble"));
    cloud.on(move |event| {
        heard.lock().unwrap().push(match event {
            ConnectionEvent::Trouble(error) => error.code().to_owned(),
            event => format!("{event:?}").split([' ', '(']).next().unwrap().to_owned(),
        });
    });
    server.go_away();
    until(|| server.tickets() >= 3).await;
    server.come_back();
    until(|| cloud.is_connected() && server.heard("hello") == 2).await;
    until(|| events.lock().unwrap().contains(&"Policy".to_owned())).await;
    let events = events.lock().unwrap();
    assert_eq!(events.first().map(String::as_str), Some("Disconnected"));
    assert_eq!(events.iter().rev().take(2).rev().collect::<Vec<_>>(), ["Connected", "Policy"]);
    assert!(events.iter().filter(|event| *event == "cannot_connect").count() >= 2, "{events:?}");
}

#[tokio::test]
async fn dropped_it_is_gone() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    assert_eq!(server.connected(), 1);
    drop(cloud);
    until(|| server.connected() == 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((server.connected(), server.tickets()), (0, 1));
}

#[tokio::test]
async fn what_the_server_refuses_is_told() {
    let server = StandIn::start(&policy(10)).await;
    let cloud = connect(&server).await;
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&refusals);
    cloud.on(move |event| {
        if let ConnectionEvent::Refused(refused) = event {
            heard.lock().unwrap().extend(refused.iter().map(|refusal| refusal.code.clone()));
        }
    });
    server.call(serde_json::json!({"create_customer": {"id": "ann", "alt_ids": ["a@x"]}}));
    // Not known here, so taken twice.
    cloud.engine().create_customer(NewCustomer::new("bob").alt_ids(["a@x"])).unwrap();
    until(|| !refusals.lock().unwrap().is_empty()).await;
    assert_eq!(*refusals.lock().unwrap(), ["alt_id_taken"]);
    assert!(cloud.close().await);
    assert_eq!(server.value("bob", "chat"), Amount::ZERO);
}
