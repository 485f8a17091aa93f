//! Many threads on one engine: nothing is counted twice, nothing is let through twice, nothing stands still.

#![allow(clippy::unwrap_used)] // a test's helpers are tests too

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use limitr::{Amount, Call, Limitr, ManualClock, NewCap, NewCustomer, Reserve, SequentialIds, Settle};
use serde_json::json;

fn engine() -> Arc<Limitr> {
    let policy = json!({
        "credits": {"token": {"price": {"amount": 1}}},
        "plans": {"team": {"default": true, "entitlements": {
            "own": {"limit": {"credit": "token", "value": 1000}},
            "pool": {"scope": "org", "limit": {"credit": "token", "value": 1000}},
            "open": {"limit": {"credit": "token", "mode": "soft", "value": 0}},
            "trickle": {"limit": {"credit": "token", "value": 1_000_000, "governor_enabled": true,
                "governor_capacity": 500, "governor_refill_rate": 0.001}},
        }}},
    });
    let builder = Limitr::builder().clock(ManualClock::new(1_768_435_200_000)).ids(SequentialIds::default());
    let engine = builder.policy_value(&policy).unwrap();
    engine.create_customer(NewCustomer::new("acme").kind("org")).unwrap();
    for member in 0..4 {
        engine.create_customer(NewCustomer::new(format!("m{member}")).refs(["acme"])).unwrap();
    }
    Arc::new(engine)
}

/// Runs `work` on four threads and returns how many of its calls were allowed.
fn on_four_threads(engine: &Arc<Limitr>, calls: u64, work: impl Fn(&Limitr, u64, u64) -> bool + Sync) -> u64 {
    let allowed = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (engine, work, allowed) = (engine, &work, &allowed);
            scope.spawn(move || {
                let passed = (0..calls).filter(|call| work(engine, thread, *call)).count();
                allowed.fetch_add(passed as u64, Ordering::Relaxed);
            });
        }
    });
    allowed.load(Ordering::Relaxed)
}

#[test]
fn i7_a_hard_limit_is_never_exceeded() {
    let engine = engine();
    let allowed = on_four_threads(&engine, 1000, |engine, _, _| engine.allow("m0", "own", 1).allowed);
    assert_eq!(allowed, 1000);
    assert_eq!(engine.value("m0", "own"), Some(1000.into()));
}

#[test]
fn i7_a_pool_shared_through_refs_is_never_exceeded() {
    let engine = engine();
    let allowed =
        on_four_threads(&engine, 1000, |engine, thread, _| engine.allow(&format!("m{thread}"), "pool", 1).allowed);
    assert_eq!(allowed, 1000);
    assert_eq!(engine.value("acme", "pool"), Some(1000.into()));
}

#[test]
fn i7_a_shared_cap_is_never_exceeded() {
    let engine = engine();
    engine.add_customer_cap("acme", NewCap::new(777).id("budget").shared()).unwrap();
    let allowed =
        on_four_threads(&engine, 1000, |engine, thread, _| engine.allow(&format!("m{thread}"), "open", 1).allowed);
    assert_eq!(allowed, 777);
    assert_eq!(engine.customer_cap("acme", "budget").unwrap().meter_value, Amount::from(777));
}

#[test]
fn i7_a_bucket_never_gives_more_than_it_holds() {
    let engine = engine();
    let allowed = on_four_threads(&engine, 1000, |engine, _, _| engine.allow("m1", "trickle", 1).allowed);
    assert_eq!(allowed, 500);
}

#[test]
fn i9_a_key_counts_once_however_many_retry_at_once() {
    let engine = engine();
    let allowed = on_four_threads(&engine, 200, |engine, _, call| {
        let key = format!("k{}", call % 50);
        engine.allow_with(Call::new("m2", "own").value(1).idempotency_key(&key)).unwrap().allowed
    });
    assert_eq!(allowed, 800);
    assert_eq!(engine.value("m2", "own"), Some(50.into()));
}

#[test]
fn reservations_never_promise_the_same_room_twice() {
    let engine = engine();
    let settled = on_four_threads(&engine, 500, |engine, _, _| {
        let Some(hold) = engine.reserve(Reserve::new("m3", "own").value(3)) else { return false };
        engine.settle(Settle::new(Call::new("m3", "own").value(2), Some(&hold))).unwrap().allowed
    });
    let used = engine.value("m3", "own").unwrap();
    assert_eq!(used, Amount::from(settled * 2));
    assert!(used <= Amount::from(1000));
    assert_eq!(engine.held("m3", "own"), Some(Amount::ZERO));
}

#[test]
fn refs_in_circles_and_policies_in_motion_do_not_deadlock() {
    let engine = engine();
    engine.set_customer_refs("acme", ["m0", "m1"]);
    let plan = json!({"default": true, "entitlements": {"pool": {"scope": "org", "limit": {"credit": "token", "value": 5000}}}});
    on_four_threads(&engine, 300, |engine, thread, call| match (thread + call) % 5 {
        0 => engine.set_customer_refs(&format!("m{thread}"), ["acme", "m2"]),
        1 => engine.set_plan("team", &plan).is_ok(),
        2 => engine.customers().len() == 5,
        3 => engine.delete_customer("m3") || engine.create_customer(NewCustomer::new("m3").refs(["acme"])).is_ok(),
        _ => engine.allow(&format!("m{thread}"), "pool", 1).allowed,
    });
    // Whoever was in use while customers were taken out of their shards is back.
    assert!(engine.customer("acme").is_some() && engine.customer("m0").is_some());
}
