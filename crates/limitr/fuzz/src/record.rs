//! Customer records: what is taken comes back as it was given out, and every read answers.

use limitr::{ManualClock, call};
use serde_json::{Map, Value, json};

use super::bytes::Bytes;
use super::engine::{self, START};
use super::{generate, hostile};

pub(super) fn run(input: &[u8]) {
    let (mode, rest) = input.split_first().unwrap_or((&0, &[]));
    let records = if mode & 1 == 0 {
        let Ok(records) = serde_json::from_slice(rest) else { return };
        records
    } else {
        let mut bytes = Bytes::new(rest);
        let count = 1 + bytes.below(3);
        (0..count).map(|_| record(&mut bytes)).collect::<Value>()
    };
    let clock = ManualClock::new(START);
    let limitr = engine::built(&engine::policies()[0], &clock, false).expect("a fixed policy");
    call(&limitr, &json!({"create_customer": {"id": "org", "plan": "org", "type": "org"}})).expect("fixed");
    let before = engine::customers(&limitr);
    let loaded = call(&limitr, &json!({"load_customers": {"customers": records}}));
    if loaded.is_err() {
        assert_eq!(engine::customers(&limitr), before, "all or none");
        let each: Vec<&Value> = match &records {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            one => vec![one],
        };
        for record in each {
            engine::said(call(&limitr, &json!({"set_customer": {"record": record}})));
        }
        engine::said(call(&limitr, &json!({"set_customer": {"record": records, "event": false}})));
    }
    engine::said(loaded);
    let state = engine::customers(&limitr);
    engine::lookups(&limitr, &state, &["c0", "c1", "org", "a0", "a1", "nobody", ""]);
    again(&state);
    let customers: Vec<String> = state.as_object().map(|map| map.keys().take(4).cloned().collect()).unwrap_or_default();
    let entitlements: Vec<String> = generate::ENTITLEMENTS.map(str::to_owned).into();
    engine::reads(&limitr, &customers, &entitlements);
    assert_eq!(engine::customers(&limitr), state, "reads change nothing");
    for customer in &customers {
        for entitlement in &entitlements {
            for value in [json!(1), json!(-1), json!(0), json!("1e27")] {
                let arguments = json!({"customer": customer, "entitlement": entitlement, "value": value});
                let check = engine::said(call(&limitr, &json!({"check": arguments})));
                let allow = engine::said(call(&limitr, &json!({"allow": arguments})));
                assert_eq!(allow, check, "I1: {arguments}");
            }
            engine::said(call(&limitr, &json!({"reserve": {"customer": customer, "entitlement": entitlement}})));
            engine::said(call(
                &limitr,
                &json!({"settle": {"customer": customer, "entitlement": entitlement, "hold": "h", "value": 1}}),
            ));
        }
        for verb in ["ensure_included_topups", "ensure_plan_subscription", "capture_margin_measurement"] {
            engine::said(call(&limitr, &json!({verb: {"customer": customer}})));
        }
        engine::said(call(&limitr, &json!({"reset_customer_cap": {"customer": customer, "id": "k"}})));
    }
    clock.advance(40 * 86_400_000);
    engine::reads(&limitr, &customers, &entitlements);
    for value in [json!(1), json!("1e27")] {
        for customer in &customers {
            for entitlement in &entitlements {
                let arguments = json!({"customer": customer, "entitlement": entitlement, "value": value});
                engine::said(call(&limitr, &json!({"allow": arguments})));
            }
        }
        clock.advance(1);
    }
    again(&engine::customers(&limitr));
}

/// A snapshot, through text, is the same again.
fn again(state: &Value) {
    let clock = ManualClock::new(START);
    let other = engine::built(&engine::policies()[0], &clock, false).expect("a fixed policy");
    let text = state.to_string();
    let records: Value = serde_json::from_str(&text).expect("JSON");
    call(&other, &json!({"load_customers": {"customers": records}}))
        .unwrap_or_else(|error| panic!("its own snapshot: {error}\n{text}"));
    assert_eq!(&engine::customers(&other), state, "restored");
}

type Field = (&'static str, fn(&mut Bytes<'_>) -> Value);

/// A record with some of `fields`, those in `always` in any case.
fn with(bytes: &mut Bytes<'_>, always: &[Field], fields: &[Field]) -> Value {
    let mut record = Map::new();
    for (name, value) in always {
        let value = if bytes.one_in(64) { hostile::junk(bytes) } else { value(bytes) };
        record.insert((*name).to_owned(), value);
    }
    for (name, value) in fields {
        if bytes.one_in(4) {
            let value = if bytes.one_in(64) { hostile::junk(bytes) } else { value(bytes) };
            record.insert((*name).to_owned(), value);
        }
    }
    Value::Object(record)
}

fn yes(_: &mut Bytes<'_>) -> Value {
    json!(true)
}

fn credit(bytes: &mut Bytes<'_>) -> Value {
    json!(bytes.pick(&["tok", "mb", "req", "sec", "cent", "seat", "rune", "gold", "nope"]))
}

fn record(bytes: &mut Bytes<'_>) -> Value {
    with(
        bytes,
        &[("id", |bytes| json!(bytes.pick(&["c0", "c1", "org", "\u{e9}"]))), ("meters", meters)],
        &[
            ("plan", |bytes| json!(bytes.pick(&["pro", "free", "org", "", "nope"]))),
            ("type", |bytes| json!(bytes.pick(&["user", "org"]))),
            ("label", |bytes| json!(bytes.text(8))),
            ("alt_ids", |bytes| json!([*bytes.pick(&["a0", "a1", "c1", "org"])])),
            ("refs", |bytes| json!([*bytes.pick(&["c0", "c1", "org", "nobody"]), "org"])),
            ("metadata", |bytes| json!({"m": hostile::junk(bytes), "margin-charged": hostile::junk(bytes)})),
            ("overrides", |bytes| json!({(*bytes.pick(&generate::ENTITLEMENTS)): generate::limit(bytes)})),
            ("grants", |bytes| json!({"g": grant(bytes), "h": grant(bytes)})),
            ("caps", |bytes| json!({"k": cap(bytes)})),
            ("idempotency", hostile::junk),
        ],
    )
}

fn meters(bytes: &mut Bytes<'_>) -> Value {
    let mut meters = Map::new();
    for _ in 0..1 + bytes.below(3) {
        let name = *bytes.pick(&generate::ENTITLEMENTS);
        let meter = with(
            bytes,
            &[("credit", credit), ("started", hostile::whole), ("value", hostile::number)],
            &[
                ("overhead", hostile::number),
                ("history", history),
                ("ewma_rate", hostile::number),
                ("governor_tokens", hostile::number),
                ("governor_last_refill", hostile::whole),
                ("holds", |bytes| json!({"h": hold(bytes)})),
                ("estimates", |bytes| json!({(*bytes.pick(&["", "large"])): estimate(bytes)})),
            ],
        );
        meters.insert(name.to_owned(), meter);
    }
    Value::Object(meters)
}

fn history(bytes: &mut Bytes<'_>) -> Value {
    (0..bytes.below(5)).map(|_| json!({"ts": hostile::whole(bytes), "delta": hostile::number(bytes)})).collect()
}

fn hold(bytes: &mut Bytes<'_>) -> Value {
    with(
        bytes,
        &[("value", hostile::number), ("expires_on", hostile::whole)],
        &[("overhead", hostile::number), ("basis", hostile::number), ("segment", |_| json!("large"))],
    )
}

fn estimate(bytes: &mut Bytes<'_>) -> Value {
    with(
        bytes,
        &[("samples", hostile::whole)],
        &[
            ("alpha", hostile::number),
            ("value_mean", hostile::number),
            ("value_var", hostile::number),
            ("overhead_mean", hostile::number),
            ("overhead_var", hostile::number),
            ("source", |_| json!("central")),
            ("updated", hostile::whole),
            ("basis", |_| json!("size")),
        ],
    )
}

fn grant(bytes: &mut Bytes<'_>) -> Value {
    with(
        bytes,
        &[("credit", credit), ("value", hostile::number), ("granted_on", hostile::whole)],
        &[
            ("id", |_| json!("g")),
            ("topup", |bytes| json!(bytes.pick(&["boost", "pack", "disk", "nope", ""]))),
            ("created_on", hostile::whole),
            ("starting_value", hostile::number),
            ("expires_on", hostile::whole),
            ("priority", hostile::whole),
            ("resets", yes),
            ("reset_inc", hostile::whole),
            ("reset_sch", hostile::schedule),
            ("reset_mode", |bytes| json!(bytes.pick(&["hard", "add", "rollover"]))),
            ("rollover_pct", hostile::number),
            ("rollover_min", hostile::measure),
            ("rollover_max", hostile::measure),
            ("max_balance", hostile::measure),
            ("reset_catchup_cap", hostile::whole),
            ("last_reset", hostile::whole),
        ],
    )
}

fn cap(bytes: &mut Bytes<'_>) -> Value {
    with(
        bytes,
        &[("id", |_| json!("k")), ("credit", credit), ("value", hostile::number)],
        &[
            ("exchangeable", yes),
            ("overage_only", yes),
            ("ignore_grants", yes),
            ("observe_only", yes),
            ("overhead_cost", yes),
            ("follow_decrements", yes),
            ("hard_trailing", yes),
            ("shared", yes),
            ("shared_with", |_| json!(["user"])),
            ("scope", |bytes| json!([*bytes.pick(&generate::ENTITLEMENTS)])),
            ("resets", yes),
            ("reset_inc", hostile::duration),
            ("reset_sch", hostile::schedule),
            ("expires_on", hostile::whole),
            ("meter_value", hostile::number),
            ("created_on", hostile::whole),
            ("started", hostile::whole),
            ("last_reset", hostile::whole),
        ],
    )
}
