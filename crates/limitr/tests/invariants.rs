//! Invariants of the design that need nothing but the public API, on random but reproducible calls.

#![allow(clippy::unwrap_used)] // a test's helpers are tests too

use limitr::{Amount, Call, Limitr, ManualClock, NewCustomer, SequentialIds};
use serde_json::json;

const DAY: i64 = 86_400_000;

fn engine(clock: &ManualClock) -> Limitr {
    let policy = json!({
        "credits": {
            "token": {"overhead_cost": 0.25, "price": {"amount": 2}},
            "point": {},
        },
        "exchange": {"point": {"value": 0.5, "currency": "rune"}},
        "plans": {"pro": {"default": true,
            "entitlements": {
                "hard": {"limit": {"credit": "token", "value": 100, "resets": true, "reset_inc": "1day"}},
                "soft": {"limit": {"credit": "token", "mode": "soft", "value": 50, "minimum": 0}},
            },
            "topups": {
                "pack": {"credit": "token", "value": 40},
                "points": {"credit": "point", "value": 33, "expires_after": "10day"},
            },
        }},
    });
    Limitr::builder().clock(clock.clone()).ids(SequentialIds::default()).policy_value(&policy).unwrap()
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Amount {
    amounts.into_iter().fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap())
}

/// For every meter, value = the sum of what was metered since its period began. For grants of the metered credit,
/// granted = covered + what is left.
#[test]
fn i2_conservation() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let clock = ManualClock::new(1_768_435_200_000);
        let engine = engine(&clock);
        engine.create_customer(NewCustomer::new("c")).unwrap();
        let (mut hard, mut soft, mut granted, mut covered) = (Amount::ZERO, Amount::ZERO, Amount::ZERO, Amount::ZERO);
        let mut period = clock.now();
        for _ in 0..300 {
            clock.advance(random.i64(0..DAY / 6));
            if random.u8(0..20) == 0 && engine.apply_customer_topup("c", "pack") {
                granted = granted.checked_add(40.into()).unwrap();
            }
            let value = Amount::from_f64(f64::from(random.i32(-20..60)) / 4.0).unwrap();
            let entitlement = if random.bool() { "hard" } else { "soft" };
            let decision = engine.allow("c", entitlement, value);
            covered = covered.checked_add(decision.covered).unwrap();
            if entitlement == "soft" {
                soft = soft.checked_add(decision.metered).unwrap();
                assert!(decision.allowed, "a soft limit never denies");
            } else {
                // Whole steps from the meter's start.
                let began = period + (clock.now() - period) / DAY * DAY;
                if began > period {
                    (period, hard) = (began, Amount::ZERO);
                }
                hard = hard.checked_add(decision.metered).unwrap();
            }
            assert_eq!(engine.value("c", "soft"), Some(soft), "seed {seed}");
            let rolled = clock.now() - period >= DAY;
            assert_eq!(engine.value("c", "hard"), Some(if rolled { Amount::ZERO } else { hard }), "seed {seed}");
            let left = sum(engine.customer("c").unwrap().grants.values().map(|grant| grant.value));
            assert_eq!(granted, covered.checked_add(left).unwrap(), "seed {seed}");
        }
    }
}

/// A grant in another credit: what is drawn of it is worth what it covered, to the digit.
#[test]
fn i2_conservation_across_the_exchange() {
    let clock = ManualClock::new(1_768_435_200_000);
    let engine = engine(&clock);
    engine.create_customer(NewCustomer::new("c")).unwrap();
    engine.allow("c", "soft", 50).allowed.then_some(()).unwrap();
    engine.apply_customer_topup("c", "points");
    // A token is worth 2 runes, a point half a rune: 33 points cover 8.25 tokens.
    let decision = engine.allow("c", "soft", 3);
    assert_eq!((decision.covered, decision.overage), (3.into(), Amount::ZERO));
    assert_eq!(engine.credit_remaining("c", "point"), Some(21.into()));
    let decision = engine.allow("c", "soft", 7);
    assert_eq!((decision.covered, decision.overage), ("5.25".parse().unwrap(), "1.75".parse().unwrap()));
    assert!(engine.customer("c").unwrap().grants.is_empty());
}

/// The same key never counts twice; a denied attempt leaves no claim on it; another call under it is an error.
#[test]
fn i9_idempotency() {
    let clock = ManualClock::new(1_768_435_200_000);
    let engine = engine(&clock);
    engine.create_customer(NewCustomer::new("c")).unwrap();
    let call =
        |value: i32, key: &'static str| engine.allow_with(Call::new("c", "hard").value(value).idempotency_key(key));
    assert!(!call(101, "k").unwrap().allowed);
    let first = call(60, "k").unwrap();
    assert_eq!(call(60, "k").unwrap(), first);
    assert_eq!(engine.value("c", "hard"), Some(60.into()));
    assert_eq!(call(61, "k").unwrap_err().code(), "idempotency_mismatch");
    // Kept for a day, and through a snapshot.
    let snapshot = serde_json::to_value(engine.customers()).unwrap();
    let restored = self::engine(&clock);
    restored.load_customers(limitr::Customer::list_from_json(&snapshot).unwrap()).unwrap();
    assert_eq!(restored.allow_with(Call::new("c", "hard").value(60).idempotency_key("k")).unwrap(), first);
    clock.advance(DAY);
    assert!(call(61, "k").unwrap().allowed);
}

/// Ten thousand keys are kept, then the oldest goes.
#[test]
fn idempotency_keys_do_not_grow_without_bound() {
    let clock = ManualClock::new(1_768_435_200_000);
    let engine = engine(&clock);
    engine.create_customer(NewCustomer::new("c")).unwrap();
    let call = |key: &str| engine.allow_with(Call::new("c", "soft").value(1).idempotency_key(key)).unwrap();
    for key in 0..10_001 {
        assert!(call(&key.to_string()).allowed);
    }
    assert_eq!(engine.value("c", "soft"), Some(10_001.into()));
    let _ = call("1");
    assert_eq!(engine.value("c", "soft"), Some(10_001.into()), "still known");
    let _ = call("0");
    assert_eq!(engine.value("c", "soft"), Some(10_002.into()), "forgotten, so it counts again");
}

/// The in-limit call of a known customer allocates nothing.
#[test]
fn the_common_call_does_not_allocate() {
    let clock = ManualClock::new(1_768_435_200_000);
    let engine = engine(&clock);
    engine.create_customer(NewCustomer::new("c")).unwrap();
    assert!(engine.allow("c", "hard", 1).allowed);
    let counted = allocation_counter::measure(|| {
        for _ in 0..50 {
            clock.advance(7);
            assert!(engine.allow("c", "hard", 1).allowed);
            assert!(engine.check("c", "hard", 1).allowed);
        }
        assert!(!engine.allow("c", "hard", 1000).allowed);
    });
    assert_eq!(counted.count_total, 0);
}
