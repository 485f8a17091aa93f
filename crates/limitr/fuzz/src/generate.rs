//! Policies made of the document's own fields: plausible ones, with hostile values strewn in.

use serde_json::{Map, Value, json};

use super::bytes::Bytes;
use super::hostile;

pub(super) const CREDITS: [&str; 5] = ["tok", "mb", "req", "sec", "cent"];
pub(super) const ENTITLEMENTS: [&str; 6] = ["chat", "store", "api", "time", "subscription", "flag"];
pub(super) const PLANS: [&str; 4] = ["free", "pro", "org", ""];
const CURRENCIES: [&str; 9] = ["rune", "usd", "tok", "mb", "req", "sec", "cent", "eur", "gold"];
const UNITS: [&str; 12] = ["float", "int", "MB", "s", "GiB", "day", "C", "rad", "bit", "YB", "parsec", "kg"];

/// A map whose fields are there or not, and now and then hold something else.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new() -> Self {
        Self(Map::new())
    }

    pub(super) fn put(&mut self, bytes: &mut Bytes<'_>, name: &str, value: Value) {
        let value = if bytes.one_in(64) { hostile::junk(bytes) } else { value };
        self.0.insert(name.to_owned(), value);
    }

    /// Puts the field once in `n` times.
    pub(super) fn maybe(
        &mut self,
        bytes: &mut Bytes<'_>,
        n: usize,
        name: &str,
        value: impl FnOnce(&mut Bytes<'_>) -> Value,
    ) {
        if bytes.one_in(n) {
            let value = value(bytes);
            self.put(bytes, name, value);
        }
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

pub(super) fn policy(bytes: &mut Bytes<'_>) -> Value {
    let mut policy = Fields::new();
    let mut credits = Fields::new();
    for name in CREDITS.into_iter().take(1 + bytes.below(CREDITS.len())) {
        let credit = credit(bytes);
        credits.put(bytes, name, credit);
    }
    policy.put(bytes, "credits", credits.done());
    policy.maybe(bytes, 2, "exchange", exchange);
    let mut plans = Fields::new();
    for (index, name) in PLANS.into_iter().take(1 + bytes.below(3)).enumerate() {
        let mut plan = plan(bytes);
        if index == 0 {
            plan["default"] = json!(true);
        }
        plans.put(bytes, name, plan);
    }
    policy.put(bytes, "plans", plans.done());
    policy.maybe(bytes, 8, "hold_ttl", hostile::duration);
    policy.maybe(bytes, 8, "estimate_min_samples", hostile::whole);
    policy.maybe(bytes, 4, "estimates", estimates);
    policy.maybe(bytes, 16, "notifications", |bytes| json!({"n": hostile::junk(bytes)}));
    policy.maybe(bytes, 16, "capabilities", |bytes| json!({"n": {"x": hostile::junk(bytes)}}));
    policy.maybe(bytes, 16, "x-free", hostile::junk);
    policy.maybe(bytes, 32, "x\u{7}nope", hostile::junk);
    policy.done()
}

fn credit(bytes: &mut Bytes<'_>) -> Value {
    let mut credit = Fields::new();
    credit.maybe(bytes, 2, "stof_units", |bytes| json!(bytes.pick(&UNITS)));
    credit.maybe(bytes, 3, "overhead_cost", hostile::number);
    credit.maybe(bytes, 16, "label", |bytes| json!(bytes.text(20)));
    credit.maybe(bytes, 16, "resets", |_| json!(true));
    credit.maybe(bytes, 16, "data", hostile::junk);
    credit.maybe(bytes, 64, "overhead", hostile::junk);
    credit.maybe(bytes, 32, "x-note", hostile::junk);
    match bytes.below(6) {
        0 => {}
        1 | 2 => {
            let price = price(bytes);
            credit.put(bytes, "price", price);
        }
        model => {
            credit.put(bytes, "pricing_model", json!(["tiered", "volume", "stairstep"][model - 3]));
            let tiers = tiers(bytes);
            credit.put(bytes, "tiers", tiers);
        }
    }
    credit.done()
}

fn price(bytes: &mut Bytes<'_>) -> Value {
    let mut price = Fields::new();
    let amount = hostile::number(bytes);
    price.put(bytes, "amount", amount);
    price.maybe(bytes, 8, "id", |bytes| json!(bytes.text(8)));
    price.done()
}

fn tiers(bytes: &mut Bytes<'_>) -> Value {
    let mut tiers = Vec::new();
    for _ in 0..bytes.below(4) {
        let mut tier = Fields::new();
        let up_to = hostile::number(bytes);
        tier.put(bytes, "up_to", up_to);
        let price = price(bytes);
        tier.put(bytes, "price", price);
        tiers.push(tier.done());
    }
    if !bytes.one_in(16) {
        tiers.push(json!({"price": price(bytes)}));
    }
    Value::Array(tiers)
}

fn exchange(bytes: &mut Bytes<'_>) -> Value {
    let mut exchange = Fields::new();
    exchange.maybe(bytes, 3, "grant_strategy", |bytes| {
        json!(bytes.pick(&["expires_first", "cheapest_first", "valuable_first", "cheapest"]))
    });
    for _ in 0..bytes.below(4) {
        let name = *bytes.pick(&CURRENCIES);
        let mut pair = Fields::new();
        let value = hostile::number(bytes);
        pair.put(bytes, "value", value);
        let currency = json!(bytes.pick(&CURRENCIES));
        pair.put(bytes, "currency", currency);
        exchange.put(bytes, name, pair.done());
    }
    exchange.done()
}

pub(super) fn plan(bytes: &mut Bytes<'_>) -> Value {
    let mut plan = Fields::new();
    plan.maybe(bytes, 8, "period", |bytes| json!(bytes.pick(&["yearly", "monthly", "weekly", "daily"])));
    plan.maybe(bytes, 8, "trial_period", hostile::duration);
    plan.maybe(bytes, 8, "subscription", |bytes| json!(bytes.pick(&ENTITLEMENTS)));
    plan.maybe(bytes, 16, "label", |bytes| json!(bytes.text(20)));
    plan.maybe(bytes, 32, "default", |_| json!(true));
    plan.maybe(bytes, 16, "hidden", |_| json!(true));
    plan.maybe(bytes, 32, "x-note", hostile::junk);
    let mut entitlements = Fields::new();
    for _ in 0..1 + bytes.below(4) {
        let name = *bytes.pick(&ENTITLEMENTS);
        let entitlement = entitlement(bytes);
        entitlements.put(bytes, name, entitlement);
    }
    plan.put(bytes, "entitlements", entitlements.done());
    if bytes.one_in(2) {
        let mut topups = Fields::new();
        for name in ["boost", "pack", "free"].into_iter().take(1 + bytes.below(3)) {
            let topup = topup(bytes);
            topups.put(bytes, name, topup);
        }
        plan.put(bytes, "topups", topups.done());
    }
    plan.done()
}

fn entitlement(bytes: &mut Bytes<'_>) -> Value {
    let mut entitlement = Fields::new();
    if !bytes.one_in(8) {
        let limit = limit(bytes);
        entitlement.put(bytes, "limit", limit);
    }
    entitlement.maybe(bytes, 8, "scope", |bytes| json!(bytes.pick(&["org", "user", ""])));
    entitlement.maybe(bytes, 8, "estimate_basis", |bytes| json!(bytes.pick(&["size", ""])));
    entitlement.maybe(bytes, 8, "estimate_segment", |bytes| json!(bytes.pick(&["model", ""])));
    entitlement.maybe(bytes, 16, "description", |bytes| json!(bytes.text(20)));
    entitlement.maybe(bytes, 16, "hidden", |_| json!(true));
    entitlement.done()
}

/// A credit's name, nearly always a known one.
fn a_credit(bytes: &mut Bytes<'_>) -> Value {
    if bytes.one_in(32) { json!("nope") } else { json!(CREDITS[bytes.below(3)]) }
}

pub(super) fn limit(bytes: &mut Bytes<'_>) -> Value {
    let mut limit = Fields::new();
    let credit = a_credit(bytes);
    limit.put(bytes, "credit", credit);
    let mode = *bytes.pick(&["hard", "soft", "observe", "hard"]);
    limit.maybe(bytes, 2, "mode", |_| json!(mode));
    limit.maybe(bytes, 2, "value", hostile::measure);
    limit.maybe(bytes, 6, "increment", hostile::measure);
    limit.maybe(bytes, 6, "minimum", hostile::measure);
    if mode == "hard" {
        limit.maybe(bytes, 6, "hard_trailing", |_| json!(true));
    }
    limit.maybe(bytes, 6, "grants_apply", |_| json!(false));
    limit.maybe(bytes, 2, "resets", |_| json!(true));
    match bytes.below(4) {
        0 | 1 => {}
        2 => limit.maybe(bytes, 1, "reset_inc", hostile::duration),
        _ => limit.maybe(bytes, 1, "reset_sch", hostile::schedule),
    }
    if bytes.one_in(4) {
        limit.put(bytes, "governor_enabled", json!(true));
        limit.maybe(bytes, 1, "governor_capacity", hostile::measure);
        limit.maybe(bytes, 1, "governor_refill_rate", hostile::number);
    }
    limit.maybe(bytes, 8, "ewma_alpha", hostile::number);
    limit.maybe(bytes, 32, "override_expires_on", hostile::whole);
    limit.maybe(bytes, 32, "x-note", hostile::junk);
    limit.done()
}

fn topup(bytes: &mut Bytes<'_>) -> Value {
    let mut topup = Fields::new();
    let credit = a_credit(bytes);
    topup.put(bytes, "credit", credit);
    let value = hostile::measure(bytes);
    topup.put(bytes, "value", value);
    topup.maybe(bytes, 4, "price", price);
    topup.maybe(bytes, 3, "included", |_| json!(true));
    topup.maybe(bytes, 8, "included_scopes", |_| json!(["user", "org"]));
    topup.maybe(bytes, 2, "resets", |_| json!(true));
    match bytes.below(4) {
        0 | 1 => {}
        2 => topup.maybe(bytes, 1, "reset_inc", hostile::duration),
        _ => topup.maybe(bytes, 1, "reset_sch", hostile::schedule),
    }
    topup.maybe(bytes, 2, "reset_mode", |bytes| json!(bytes.pick(&["hard", "add", "rollover"])));
    topup.maybe(bytes, 4, "rollover_pct", hostile::number);
    topup.maybe(bytes, 4, "rollover_min", hostile::measure);
    topup.maybe(bytes, 4, "rollover_max", hostile::measure);
    topup.maybe(bytes, 4, "max_balance", hostile::measure);
    topup.maybe(bytes, 4, "reset_catchup_cap", hostile::whole);
    topup.maybe(bytes, 4, "expires_after", hostile::duration);
    topup.maybe(bytes, 4, "priority", hostile::whole);
    topup.done()
}

fn estimates(bytes: &mut Bytes<'_>) -> Value {
    let mut estimate = Fields::new();
    let samples = hostile::whole(bytes);
    estimate.put(bytes, "samples", samples);
    for name in ["alpha", "value_mean", "value_var", "overhead_mean", "overhead_var"] {
        estimate.maybe(bytes, 2, name, hostile::number);
    }
    estimate.maybe(bytes, 4, "updated", hostile::whole);
    estimate.maybe(bytes, 4, "source", |bytes| json!(bytes.text(6)));
    estimate.maybe(bytes, 4, "basis", |_| json!("size"));
    let segment = *bytes.pick(&["", "large", "s"]);
    json!({(*bytes.pick(&ENTITLEMENTS)): {segment: estimate.done()}})
}
