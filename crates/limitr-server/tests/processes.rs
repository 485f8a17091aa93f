//! Servers and engines as processes of their own, which are killed, and databases that fail: nothing that was
//! acknowledged is lost, and nothing counts twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(dead_code, reason = "the helpers of the other tests have more than is needed here")]

#[path = "support/client.rs"]
mod client;
#[path = "support/database.rs"]
mod database;
#[path = "processes/fleet.rs"]
mod fleet;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use database::Kind;
use fleet::{Fleet, Limit};
use limitr::{Amount, NewCustomer};
use limitr_client::Cloud;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const CUSTOMERS: [&str; 4] = ["ann", "bob", "acme", "eve"];

/// What engines were allowed: how often, and how much by customer.
#[derive(Debug, Default, PartialEq)]
struct Allowed {
    calls: usize,
    units: BTreeMap<String, Amount>,
}

impl Allowed {
    fn count(&mut self, customer: &str, units: i64) {
        self.calls += 1;
        let sum = self.units.entry(customer.to_owned()).or_default();
        *sum = sum.checked_add(units.into()).unwrap();
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        for (customer, units) in &other.units {
            let sum = self.units.entry(customer.clone()).or_default();
            *sum = sum.checked_add(*units).unwrap();
        }
    }
}

/// Calls until it is told to stop, and says what was allowed. Nobody here knows what befalls the server.
async fn call_until(cloud: &Cloud, stop: &AtomicBool, seed: u64) -> Allowed {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut allowed = Allowed::default();
    while !stop.load(Ordering::Relaxed) {
        let customer = CUSTOMERS[rng.usize(..CUSTOMERS.len())];
        for _ in 0..20 {
            let units = rng.i64(1..5);
            if cloud.allow(customer, "chat", units).allowed {
                allowed.count(customer, units);
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
    allowed
}

/// Engines on all nodes call while something is done to them.
async fn under_load(
    fleet: &mut Fleet,
    engines: usize,
    disaster: impl AsyncFnOnce(&mut Fleet),
) -> (Allowed, Vec<Arc<Cloud>>) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    let mut clouds = Vec::new();
    for at in 0..engines {
        let cloud = Arc::new(fleet.engine(at).await);
        for customer in CUSTOMERS {
            cloud.ensure_customer(NewCustomer::new(customer).plan("free")).await.unwrap();
        }
        clouds.push(Arc::clone(&cloud));
        let stop = Arc::clone(&stop);
        running.spawn(async move { call_until(&cloud, &stop, at as u64).await });
    }
    disaster(fleet).await;
    stop.store(true, Ordering::Relaxed);
    let mut allowed = Allowed::default();
    while let Some(done) = running.join_next().await {
        allowed.add(&done.unwrap());
    }
    assert!(allowed.calls > 1_000, "{allowed:?}");
    (allowed, clouds)
}

/// Waits until every engine has had everything acknowledged, and compares.
async fn compare(fleet: &Fleet, allowed: &Allowed, clouds: &[Arc<Cloud>]) {
    let begun = Instant::now();
    for cloud in clouds {
        while !cloud.unsent().await.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(90), "it does not arrive");
            sleep(Duration::from_millis(50)).await;
        }
    }
    let (lines, sums) = fleet.ledger().await;
    assert_eq!((lines, &sums), (allowed.calls, &allowed.units), "the ledger");
    assert_eq!(fleet.rolled_up().await, sums, "its sums by day");
    assert_eq!(fleet.meters().await, sums, "the meters");
    for cloud in clouds {
        for (customer, units) in &sums {
            while cloud.engine().value(customer, "chat") != Some(*units) {
                assert!(
                    begun.elapsed() < Duration::from_secs(90),
                    "{customer}: {:?}",
                    cloud.engine().value(customer, "chat")
                );
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    println!("{} calls allowed, {lines} lines in the ledger, every copy the same", allowed.calls);
}

async fn a_server_killed_again_and_again(kind: Kind) {
    let mut fleet = Fleet::start(kind, 1, Limit::None).await;
    let (allowed, clouds) = under_load(&mut fleet, 3, async |fleet: &mut Fleet| {
        for round in 0..4 {
            sleep(Duration::from_millis(400 + 250 * round)).await;
            fleet.kill(0);
            fleet.revive(0).await;
        }
        sleep(Duration::from_millis(500)).await;
    })
    .await;
    compare(&fleet, &allowed, &clouds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_again_and_again_on_sqlite() {
    a_server_killed_again_and_again(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_again_and_again_on_postgres() {
    a_server_killed_again_and_again(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_dying_in_turn() {
    let mut fleet = Fleet::start(Kind::Postgres, 2, Limit::None).await;
    let (allowed, clouds) = under_load(&mut fleet, 4, async |fleet: &mut Fleet| {
        for round in 0..4 {
            sleep(Duration::from_millis(700)).await;
            fleet.kill(round % 2);
            sleep(Duration::from_millis(300)).await;
            fleet.revive(round % 2).await;
        }
        sleep(Duration::from_millis(500)).await;
    })
    .await;
    compare(&fleet, &allowed, &clouds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_drops_every_connection() {
    let mut fleet = Fleet::start(Kind::Postgres, 1, Limit::None).await;
    let (allowed, clouds) = under_load(&mut fleet, 3, async |fleet: &mut Fleet| {
        for _ in 0..4 {
            sleep(Duration::from_millis(600)).await;
            fleet.drop_database_connections().await;
        }
        sleep(Duration::from_millis(500)).await;
    })
    .await;
    compare(&fleet, &allowed, &clouds).await;
}

/// Files may not grow beyond a size, as on a full disk. Nothing is acknowledged then; with room again, all of it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_while() {
    let mut fleet = Fleet::start(Kind::Sqlite, 1, Limit::Disk).await;
    let (allowed, clouds) = under_load(&mut fleet, 2, async |fleet: &mut Fleet| {
        let begun = Instant::now();
        while !fleet.is_refused_room() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the disk does not fill");
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(500)).await;
        let stored = fleet.ledger().await.0;
        fleet.kill(0);
        fleet.give_room();
        fleet.revive(0).await;
        assert!(stored > 0);
        sleep(Duration::from_millis(500)).await;
    })
    .await;
    compare(&fleet, &allowed, &clouds).await;
}

/// An engine that says after each round how much is acknowledged by then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn engine_process() {
    let cloud = fleet::connect_from_environment().await;
    cloud.ensure_customer(NewCustomer::new("ann").plan("free")).await.unwrap();
    let mut calls = 0;
    loop {
        for _ in 0..20 {
            assert!(cloud.allow("ann", "chat", 1).allowed);
            calls += 1;
        }
        while !cloud.unsent().await.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        println!("acknowledged {calls}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_at_any_moment() {
    let fleet = Fleet::start(Kind::Sqlite, 1, Limit::None).await;
    let (mut least, mut most) = (0, 0);
    for round in 0..4 {
        let mut engine = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine_process", "--ignored", "--nocapture"])
            .envs(fleet.environment())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(900 + 137 * round)).await;
        engine.kill().unwrap();
        let said = engine.wait_with_output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let acknowledged =
            said.lines().filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<usize>().ok()).max();
        let acknowledged = acknowledged.unwrap_or(0);
        least += acknowledged;
        most += acknowledged + 20;
        assert!(acknowledged > 0, "{said}");
    }
    sleep(Duration::from_millis(500)).await;
    let (lines, _) = fleet.ledger().await;
    assert!((least..=most).contains(&lines), "{lines} lines, {least} were acknowledged, {most} can have happened");
    println!("{least} calls acknowledged before the engines died, {lines} lines in the ledger");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn server_process() {
    fleet::serve_from_environment().await;
}
