//! Who changed: what `take_changes` answers, against whole snapshots.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use limitr::{Limitr, ManualClock, NewCap, NewCustomer, Reserve, SequentialIds};
use serde_json::{Value, json};

const POLICY: &str = "
policy:
  credits: {token: {price: {amount: 0.01}}}
  plans:
    free:
      default: true
      entitlements:
        chat: {limit: {credit: token, value: 100, resets: true, reset_inc: 1day}}
        pool: {scope: org, limit: {credit: token, mode: soft, value: 10}}
      topups: {pack: {credit: token, value: 5}}
    pro:
      entitlements: {chat: {limit: {credit: token, value: 1000}}}
";

fn engine() -> (Limitr, ManualClock) {
    let clock = ManualClock::new(1_768_435_200_000);
    let builder = Limitr::builder().clock(clock.clone()).ids(SequentialIds::default());
    (builder.policy(POLICY, limitr::Format::Yaml).unwrap(), clock)
}

fn snapshot(limitr: &Limitr) -> BTreeMap<String, Value> {
    let customers = limitr.customers();
    customers.iter().map(|(id, customer)| (id.to_owned(), serde_json::to_value(customer).unwrap())).collect()
}

/// Saved copies that are kept up with changes alone are the snapshot, after every kind of change; and who no change
/// reached is not told of.
#[test]
fn what_changed_is_what_differs_between_snapshots() {
    let (limitr, clock) = engine();
    limitr.track_changes();
    let mut saved = BTreeMap::new();
    let mut step = |what: &str, touched: &[&str], change: &dyn Fn()| {
        change();
        let changes = limitr.take_changes();
        let mut ids: Vec<_> = changes.iter().map(|(id, _)| id.to_string()).collect();
        ids.sort();
        assert_eq!(ids, touched, "{what}");
        for (id, record) in changes {
            match record {
                Some(record) => saved.insert(id.to_string(), serde_json::to_value(record).unwrap()),
                None => saved.remove(&*id),
            };
        }
        assert_eq!(saved, snapshot(&limitr), "{what}");
    };
    step("created", &["acme", "ann", "bob"], &|| {
        limitr.create_customer(NewCustomer::new("acme").kind("org")).unwrap();
        limitr.create_customer(NewCustomer::new("ann").refs(["acme"])).unwrap();
        limitr.create_customer(NewCustomer::new("bob")).unwrap();
    });
    step("allowed", &["bob"], &|| assert!(limitr.allow("bob", "chat", 3).allowed));
    step("asked and read", &[], &|| {
        assert!(limitr.check("bob", "chat", 3).allowed);
        assert_eq!(limitr.remaining("bob", "chat"), Some(97.into()));
        assert!(limitr.customer("bob").is_some());
        assert!(!limitr.customers().is_empty());
    });
    step("an organisation's meter", &["acme", "ann"], &|| assert!(limitr.allow("ann", "pool", 3).allowed));
    step("a new period", &["bob"], &|| {
        clock.advance(86_400_000);
        assert!(!limitr.allow("bob", "chat", 1000).allowed);
    });
    step("a cap", &["acme"], &|| assert!(limitr.add_customer_cap("acme", NewCap::new(1).shared()).is_some()));
    step("a topup", &["bob"], &|| assert!(limitr.apply_customer_topup("bob", "pack")));
    step("a reservation", &["bob"], &|| assert!(limitr.reserve(Reserve::new("bob", "chat").value(1)).is_some()));
    step("an override", &["bob"], &|| {
        limitr.create_customer_override("bob", "chat", &json!({"value": 5})).unwrap();
    });
    step("another plan", &["bob"], &|| assert!(limitr.set_customer_plan("bob", "pro", false)));
    step("an alternate id", &["bob"], &|| assert!(limitr.add_alt_id("bob", "robert").unwrap()));
    step("by the alternate id", &["bob"], &|| assert!(limitr.allow("robert", "chat", 1).allowed));
    step("removed", &["bob"], &|| assert!(limitr.delete_customer("robert")));
    step("back again", &["bob"], &|| {
        limitr.create_customer(NewCustomer::new("bob")).unwrap();
    });
}

#[test]
fn nothing_is_remembered_before_tracking() {
    let (limitr, _) = engine();
    limitr.create_customer(NewCustomer::new("ann")).unwrap();
    limitr.track_changes();
    assert!(limitr.take_changes().is_empty());
}
