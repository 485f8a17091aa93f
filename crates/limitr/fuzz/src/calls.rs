//! Operations through [`limitr::call`]: nothing panics, what only looks changes nothing, a check says what the call then
//! does, a denied call leaves things as they were, and a snapshot brings everything back.

use std::sync::{Arc, Mutex, PoisonError};

use limitr::{Limitr, ManualClock, call};
use serde_json::{Map, Value, json};

use super::bytes::Bytes;
use super::engine::{self, START};
use super::{generate, hostile};

const CUSTOMERS: [&str; 7] = ["c0", "c1", "org", "a0", "nobody", "c2", ""];
const ENTITLEMENTS: [&str; 7] = ["chat", "store", "api", "time", "flag", "subscription", "nope"];
const CREDITS: [&str; 11] = ["tok", "mb", "req", "sec", "cent", "seat", "rune", "usd", "eur", "gold", "nope"];
const TOPUPS: [&str; 4] = ["boost", "pack", "disk", "nope"];
/// Longer sequences find little that shorter ones do not.
const MOST: usize = 64;

/// What changes nothing, whatever is asked.
const LOOKS: [&str; 31] = [
    "check",
    "explain",
    "check_increment",
    "check_decrement",
    "held",
    "estimate",
    "value",
    "remaining",
    "limit",
    "allowance",
    "cost",
    "resets",
    "rate",
    "acceleration",
    "projected_exhaustion",
    "credit_exchange",
    "credit_remaining",
    "meter_obj",
    "limit_obj",
    "entitlement",
    "credit_for",
    "customer",
    "customers",
    "plan_for",
    "customer_metadata",
    "customer_cap",
    "customer_margin",
    "plan_margin",
    "difference",
    "record",
    "stringify",
];

struct Session {
    limitr: Limitr,
    clock: ManualClock,
    events: Arc<Mutex<Vec<Value>>>,
    before: Value,
}

pub(super) fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let policy = bytes.pick(engine::policies());
    let mut session = Session::new(policy, bytes.one_in(4));
    for _ in 0..MOST {
        if bytes.is_empty() {
            break;
        }
        session.step(&mut bytes);
    }
    session.restore(bytes.one_in(4));
}

impl Session {
    fn new(policy: &Value, deaf: bool) -> Self {
        let clock = ManualClock::new(START);
        let limitr = engine::built(policy, &clock, false).expect("a fixed policy");
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        if !deaf {
            limitr.on(move |event| {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(event.to_json());
            });
        }
        for customer in [
            json!({"id": "org", "plan": "org", "type": "org"}),
            json!({"id": "c0", "plan": "pro", "refs": ["org"], "alts": ["a0"]}),
            json!({"id": "c1", "refs": ["org"]}),
        ] {
            call(&limitr, &json!({"create_customer": customer})).expect("a fixed customer");
        }
        events.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let before = engine::customers(&limitr);
        Self { limitr, clock, events, before }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(16) {
            0 => self.travel(bytes),
            1 => self.restore(bytes.one_in(16)),
            2..=8 => {
                let arguments = metered(bytes);
                let (verb, check) = *bytes.pick(&[
                    ("allow", "check"),
                    ("increment", "check_increment"),
                    ("decrement", "check_decrement"),
                    ("set", ""),
                ]);
                self.enforce(verb, check, &arguments);
            }
            9 => self.reservation(bytes),
            _ => {
                let (verb, arguments) = operation(bytes);
                self.run(verb, &arguments);
            }
        }
    }

    fn travel(&mut self, bytes: &mut Bytes<'_>) {
        const DAY: i64 = 86_400_000;
        const STEPS: [i64; 12] =
            [1, 999, 60_000, 3_600_000, DAY, 31 * DAY, 366 * DAY, -1, -3_600_000, -DAY, -40 * DAY, 600_000];
        const MOMENTS: [i64; 6] = [i64::MIN, i64::MAX, 0, -62_135_596_800_000, 253_402_300_799_999, START];
        if bytes.one_in(8) {
            self.clock.set(*bytes.pick(&MOMENTS));
        } else {
            self.clock.advance(*bytes.pick(&STEPS));
        }
    }

    /// Runs one operation and judges what it did to the customers. Gives its result.
    fn run(&mut self, verb: &str, arguments: &Value) -> Value {
        let operation = json!({verb: arguments});
        let result = call(&self.limitr, &operation);
        let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        assert!(events.iter().all(Value::is_object), "{operation} sent {events:?}");
        let after = engine::customers(&self.limitr);
        if result.is_err() || LOOKS.contains(&verb) {
            assert!(events.is_empty(), "{operation} must send nothing, sent {events:?}");
            assert_eq!(after, self.before, "{operation} must change nothing, said {result:?}");
        }
        self.before = after;
        engine::said(result)
    }

    fn enforce(&mut self, verb: &str, check: &str, arguments: &Value) {
        let keyed = arguments.get("idempotency_key").is_some_and(|key| !key.is_null());
        let asked = (!check.is_empty()).then(|| self.run(check, arguments));
        let before = self.before.clone();
        let done = self.run(verb, arguments);
        if let Some(asked) = asked
            && !keyed
        {
            // Messages name the operation.
            let same = done == asked || done.get("error").is_some() && done["error"] == asked["error"];
            assert!(same, "I1: {check} says {asked} and {verb} {done} of {arguments}");
        }
        if done == json!(false) {
            let (before, after) = (kept(&before, &self.before), kept(&self.before, &before));
            assert_eq!(after, before, "denied: {verb} {arguments}");
        }
        if keyed && done == json!(true) {
            let before = self.before.clone();
            assert_eq!(self.run(verb, arguments), done, "replayed: {verb} {arguments}");
            assert_eq!(self.before, before, "replayed: {verb} {arguments}");
        }
    }

    fn reservation(&mut self, bytes: &mut Bytes<'_>) {
        let mut arguments = place(bytes);
        maybe(bytes, &mut arguments, 2, "value", hostile::measure);
        maybe(bytes, &mut arguments, 4, "context", context);
        maybe(bytes, &mut arguments, 6, "basis", hostile::number);
        maybe(bytes, &mut arguments, 6, "ttl", hostile::duration);
        maybe(bytes, &mut arguments, 6, "quantile", hostile::number);
        maybe(bytes, &mut arguments, 4, "overhead", hostile::number);
        let place = json!({"customer": arguments["customer"], "entitlement": arguments["entitlement"]});
        let held = self.run("held", &place);
        let hold = self.run("reserve", &json!(arguments));
        if !hold.is_string() {
            return;
        }
        let hold = json!({"customer": place["customer"], "entitlement": place["entitlement"], "hold": hold});
        match bytes.below(3) {
            0 => {}
            1 => {
                let released = self.run("release", &hold);
                // One made to lapse at once is no hold.
                assert!(arguments.contains_key("ttl") || released == json!(true), "{hold}");
                let now = self.run("held", &place);
                assert!(now == held || held.is_null() && now == json!(0), "{now} held, before {held}: {hold}");
            }
            _ => {
                let mut settle = metered(bytes);
                settle["hold"] = hold["hold"].clone();
                settle["customer"] = hold["customer"].clone();
                settle["entitlement"] = hold["entitlement"].clone();
                if let Value::Object(settle) = &mut settle {
                    settle.remove("cap");
                    settle.remove("force");
                    settle.entry("value").or_insert(json!(1));
                }
                self.run("settle", &settle);
            }
        }
    }

    /// A snapshot, through text, into an engine on the same policy: the same customers, and if `thoroughly` the same
    /// answer to every question.
    fn restore(&mut self, thoroughly: bool) {
        engine::lookups(&self.limitr, &self.before, &["c0", "c1", "c2", "org", "a0", "a1", "nobody", ""]);
        let policy = self.limitr.record();
        let other = engine::built(&policy, &self.clock, false)
            .unwrap_or_else(|error| panic!("its own policy: {error}\n{policy}"));
        let text = self.before.to_string();
        let records: Value = serde_json::from_str(&text).expect("JSON");
        call(&other, &json!({"load_customers": {"customers": records}}))
            .unwrap_or_else(|error| panic!("its own snapshot: {error}\n{text}"));
        assert_eq!(engine::customers(&other), self.before, "restored");
        if !thoroughly {
            return;
        }
        let customers: Vec<String> = ["c0", "org"].map(str::to_owned).into();
        let entitlements: Vec<String> = ENTITLEMENTS.map(str::to_owned).into();
        let expected = engine::reads(&self.limitr, &customers, &entitlements);
        let restored = engine::reads(&other, &customers, &entitlements);
        for (expected, restored) in expected.iter().zip(&restored) {
            assert_eq!(restored, expected, "asked of the restored engine");
        }
        assert_eq!(engine::customers(&self.limitr), self.before, "reads change nothing");
    }
}

/// A call's customer and entitlement, nearly always known ones.
fn place(bytes: &mut Bytes<'_>) -> Map<String, Value> {
    let mut place = Map::new();
    place.insert("customer".to_owned(), customer(bytes));
    let known = if bytes.one_in(16) { ENTITLEMENTS.len() } else { 6 };
    place.insert("entitlement".to_owned(), json!(ENTITLEMENTS[bytes.below(known)]));
    place
}

fn customer(bytes: &mut Bytes<'_>) -> Value {
    let known = if bytes.one_in(16) { CUSTOMERS.len() } else { 4 };
    json!(CUSTOMERS[bytes.below(known)])
}

fn metered(bytes: &mut Bytes<'_>) -> Value {
    let mut call = place(bytes);
    let value = hostile::measure(bytes);
    call.insert("value".to_owned(), value);
    maybe(bytes, &mut call, 8, "event", context);
    maybe(bytes, &mut call, 8, "overhead", hostile::number);
    maybe(bytes, &mut call, 8, "cap", |bytes| {
        if bytes.one_in(2) { json!({(*bytes.pick(&CREDITS)): hostile::number(bytes)}) } else { json!([cap(bytes)]) }
    });
    maybe(bytes, &mut call, 8, "force", |_| json!(true));
    maybe(bytes, &mut call, 16, "idempotency_key", |bytes| json!(bytes.pick(&["k1", "k2", ""])));
    spoil(bytes, call)
}

fn context(bytes: &mut Bytes<'_>) -> Value {
    match bytes.below(4) {
        0 => json!(false),
        1 => json!({"size": hostile::number(bytes), "model": *bytes.pick(&["large", "small", ""])}),
        2 => json!({"model": hostile::junk(bytes), "size": hostile::junk(bytes)}),
        _ => hostile::junk(bytes),
    }
}

fn cap(bytes: &mut Bytes<'_>) -> Value {
    let mut cap = Map::new();
    cap.insert("value".to_owned(), hostile::number(bytes));
    cap.insert("credit".to_owned(), json!(bytes.pick(&CREDITS)));
    maybe(bytes, &mut cap, 2, "id", |bytes| json!(bytes.pick(&["k", "l", ""])));
    for flag in [
        "exchangeable",
        "overage_only",
        "ignore_grants",
        "observe_only",
        "overhead_cost",
        "follow_decrements",
        "hard_trailing",
        "shared",
    ] {
        maybe(bytes, &mut cap, 3, flag, |_| json!(true));
    }
    maybe(bytes, &mut cap, 8, "shared_with", |_| json!(["user"]));
    maybe(bytes, &mut cap, 8, "scope", |bytes| json!([*bytes.pick(&ENTITLEMENTS)]));
    maybe(bytes, &mut cap, 4, "resets", |_| json!(true));
    maybe(bytes, &mut cap, 6, "reset_inc", hostile::duration);
    maybe(bytes, &mut cap, 6, "reset_sch", hostile::schedule);
    maybe(bytes, &mut cap, 8, "expires_on", hostile::whole);
    spoil(bytes, cap)
}

/// Every operation that does not enforce.
fn operation(bytes: &mut Bytes<'_>) -> (&'static str, Value) {
    const PLACED: [&str; 9] = [
        "remove_customer_override",
        "release",
        "held",
        "resets",
        "meter_obj",
        "projected_exhaustion",
        "limit",
        "remaining",
        "value",
    ];
    const OF_ONE: [&str; 7] = [
        "ensure_plan_subscription",
        "ensure_included_topups",
        "start_margin_measurement",
        "capture_margin_measurement",
        "customer_margin",
        "customer_metadata",
        "plan_for",
    ];
    let mut arguments = Map::new();
    let verb = match bytes.below(24) {
        0 => {
            arguments = place(bytes);
            maybe(bytes, &mut arguments, 2, "percent", |_| json!(true));
            *bytes.pick(&PLACED)
        }
        1 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            *bytes.pick(&OF_ONE)
        }
        2 | 3 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            if let Value::Object(cap) = cap(bytes) {
                arguments.extend(cap);
            }
            "add_customer_cap"
        }
        4 | 5 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            arguments.insert("topup".to_owned(), json!(bytes.pick(&TOPUPS)));
            "apply_customer_topup"
        }
        6 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            arguments.insert("plan".to_owned(), json!(bytes.pick(&generate::PLANS)));
            maybe(bytes, &mut arguments, 2, "overwrite_meters", |_| json!(true));
            "set_customer_plan"
        }
        7 => {
            arguments = place(bytes);
            arguments.insert("limit".to_owned(), generate::limit(bytes));
            "create_customer_override"
        }
        8 => {
            arguments = place(bytes);
            arguments.insert("value".to_owned(), hostile::measure(bytes));
            maybe(bytes, &mut arguments, 2, "context", context);
            maybe(bytes, &mut arguments, 4, "basis", hostile::number);
            maybe(bytes, &mut arguments, 4, "segment", |bytes| json!(bytes.text(4)));
            maybe(bytes, &mut arguments, 4, "overhead", hostile::number);
            "observe"
        }
        9 => {
            arguments = place(bytes);
            maybe(bytes, &mut arguments, 2, "context", context);
            maybe(bytes, &mut arguments, 4, "basis", hostile::number);
            maybe(bytes, &mut arguments, 4, "quantile", hostile::number);
            "estimate"
        }
        10 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            let refs = [customer(bytes), customer(bytes)];
            arguments.insert("refs".to_owned(), json!(refs));
            "set_customer_refs"
        }
        11 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            arguments.insert("alt".to_owned(), json!(bytes.pick(&["a0", "a1", "c1", "", "org"])));
            *bytes.pick(&["set_alt_customer_id", "remove_alt_customer_id"])
        }
        12 => {
            arguments.insert("id".to_owned(), customer(bytes));
            maybe(bytes, &mut arguments, 2, "plan", |bytes| json!(bytes.pick(&generate::PLANS)));
            maybe(bytes, &mut arguments, 2, "refs", |bytes| json!([customer(bytes)]));
            maybe(bytes, &mut arguments, 4, "alts", |bytes| json!([*bytes.pick(&["a0", "a1"])]));
            maybe(bytes, &mut arguments, 4, "type", |bytes| json!(bytes.pick(&["org", "user", ""])));
            maybe(bytes, &mut arguments, 4, "metadata", |bytes| json!({"m": hostile::junk(bytes)}));
            *bytes.pick(&["create_customer", "ensure_customer"])
        }
        13 => {
            arguments.insert("id".to_owned(), customer(bytes));
            *bytes.pick(&["customer", "delete_customer", "plan", "credit"])
        }
        14 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            arguments.insert("id".to_owned(), json!(bytes.pick(&["k", "l", "nope"])));
            *bytes.pick(&["customer_cap", "reset_customer_cap", "remove_customer_cap"])
        }
        15 => {
            arguments.insert("id".to_owned(), json!(bytes.pick(&generate::PLANS)));
            arguments.insert("plan".to_owned(), generate::plan(bytes));
            "set_plan"
        }
        16 => {
            arguments.insert("id".to_owned(), json!(bytes.pick(&generate::PLANS)));
            "delete_plan"
        }
        17 => {
            arguments.insert("policy".to_owned(), generate::policy(bytes));
            *bytes.pick(&["replace", "difference"])
        }
        18 => {
            arguments.insert("in_currency".to_owned(), json!(bytes.pick(&CREDITS)));
            arguments.insert("out_currency".to_owned(), json!(bytes.pick(&CREDITS)));
            arguments.insert("value".to_owned(), hostile::number(bytes));
            "credit_exchange"
        }
        19 => {
            arguments.insert("customer".to_owned(), customer(bytes));
            arguments.insert("credit".to_owned(), json!(bytes.pick(&CREDITS)));
            "credit_remaining"
        }
        20 => {
            arguments.insert("plan".to_owned(), json!(bytes.pick(&generate::PLANS)));
            let (value, limit) = (hostile::measure(bytes), hostile::measure(bytes));
            arguments.insert(
                "entitlements".to_owned(),
                json!({(*bytes.pick(&ENTITLEMENTS)): value, "chat": {"value": limit, "limit": 1, "overhead": 2}}),
            );
            maybe(bytes, &mut arguments, 2, "scaled", |_| json!(false));
            "plan_margin"
        }
        21 => {
            arguments.insert("format".to_owned(), json!(bytes.pick(&["json", "yaml", "toml", "xml"])));
            "stringify"
        }
        22 => {
            arguments = place(bytes);
            let hold = format!("id{}", bytes.below(12));
            arguments.insert("hold".to_owned(), json!(hold));
            arguments.insert("value".to_owned(), hostile::measure(bytes));
            maybe(bytes, &mut arguments, 2, "event", context);
            maybe(bytes, &mut arguments, 4, "overhead", hostile::number);
            maybe(bytes, &mut arguments, 8, "idempotency_key", |_| json!("k1"));
            "settle"
        }
        _ => {
            arguments = place(bytes);
            let hold = format!("id{}", bytes.below(12));
            arguments.insert("hold".to_owned(), json!(hold));
            "release"
        }
    };
    (verb, spoil(bytes, arguments))
}

fn maybe(
    bytes: &mut Bytes<'_>,
    arguments: &mut Map<String, Value>,
    n: usize,
    name: &str,
    value: impl FnOnce(&mut Bytes<'_>) -> Value,
) {
    if bytes.one_in(n) {
        let value = value(bytes);
        arguments.insert(name.to_owned(), value);
    }
}

/// Now and then one argument is something else.
fn spoil(bytes: &mut Bytes<'_>, mut arguments: Map<String, Value>) -> Value {
    if bytes.one_in(48) {
        let at = bytes.below(arguments.len());
        if let Some(value) = arguments.values_mut().nth(at) {
            *value = hostile::junk(bytes);
        }
    }
    Value::Object(arguments)
}

/// What a denied call must not change: all but the periods of meters and caps, and the history of attempts. `other` is
/// the same customers at another moment.
fn kept(customers: &Value, other: &Value) -> Value {
    let mut kept = customers.clone();
    for (id, record) in kept.as_object_mut().into_iter().flatten() {
        let other = &other[id.as_str()];
        if let Some(meters) = record.get_mut("meters").and_then(Value::as_object_mut) {
            meters.retain(|name, _| other["meters"].get(name).is_some());
            for (name, meter) in meters {
                let other = &other["meters"][name.as_str()];
                without(meter, &["history", "ewma_rate"]);
                if meter["started"] != other["started"] {
                    without(meter, &["started", "value", "overhead", "governor_tokens", "governor_last_refill"]);
                }
            }
        }
        for (name, cap) in record.get_mut("caps").and_then(Value::as_object_mut).into_iter().flatten() {
            if cap.get("last_reset") != other["caps"][name.as_str()].get("last_reset") {
                without(cap, &["started", "last_reset", "meter_value"]);
            }
        }
    }
    kept
}

fn without(record: &mut Value, fields: &[&str]) {
    if let Some(record) = record.as_object_mut() {
        record.retain(|field, _| !fields.contains(&field.as_str()));
    }
}
