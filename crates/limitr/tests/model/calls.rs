//! Random calls: mostly allow and check, at amounts that hit boundaries exactly. The generator looks at the model to
//! find those amounts (what remains, what a cap has room for, when a period ends) and to name holds that exist.

use super::Model;
use super::amount;
use super::generate::{CreditShape, EntitlementShape, Shape, chance, pick, quantity, random_resets};
use fastrand::Rng;
use rust_decimal::Decimal;
use serde_json::{Value, json};

const CUSTOMERS: &[(&str, &str)] =
    &[("u1", "user"), ("u2", "user"), ("u3", "user"), ("team1", "team"), ("org1", "org"), ("org2", "org")];
const ALTS: &[&str] = &["alt1", "alt2", "alt3", "alt4"];

pub struct Calls<'a> {
    pub rng: Rng,
    pub shape: &'a Shape,
    /// Calls with idempotency keys so far, to repeat them.
    keyed: Vec<Value>,
    /// Steps that come before anything random.
    first: Vec<Value>,
}

impl<'a> Calls<'a> {
    pub fn new(mut rng: Rng, shape: &'a Shape) -> Calls<'a> {
        let mut first = Vec::new();
        for (id, kind) in CUSTOMERS {
            if chance(&mut rng, 90) {
                first.push((*id, *kind));
            }
        }
        let mut calls = Calls { rng, shape, keyed: Vec::new(), first: Vec::new() };
        calls.first = first.into_iter().map(|(id, kind)| calls.create(id, kind)).collect();
        calls.first.reverse();
        calls
    }

    pub fn next(&mut self, model: &Model) -> Value {
        if let Some(step) = self.first.pop() {
            return step;
        }
        match self.rng.u32(..1000) {
            0..=379 => self.allow(model),
            380..=449 => self.allow_as(model, "check"),
            450..=469 => self.allow_as(model, "explain"),
            470..=539 => self.counted(),
            540..=559 => json!({"set": {
                "customer": self.customer(), "entitlement": self.entitlement().name, "value": self.small(),
            }}),
            560..=639 => self.reservation(model),
            640..=759 => self.time(model),
            760..=859 => self.read(),
            _ => self.manage(model),
        }
    }

    fn customer(&mut self) -> String {
        match self.rng.u32(..100) {
            0..=93 => pick(&mut self.rng, CUSTOMERS).0.to_owned(),
            94..=98 => pick(&mut self.rng, ALTS).to_owned(),
            _ => "ghost".to_owned(),
        }
    }

    fn entitlement(&mut self) -> EntitlementShape {
        pick(&mut self.rng, &self.shape.entitlements)
    }

    fn entitlement_name(&mut self) -> String {
        if chance(&mut self.rng, 1) { "nothing".to_owned() } else { self.entitlement().name }
    }

    fn small(&mut self) -> Value {
        pick(&mut self.rng, &[json!(1), json!(1), json!(5), json!(0), json!(2.5), json!(0.1), json!(10), json!(100)])
    }

    /// A value for a call: often exactly what is left, what a cap has room for, or a hair beside it.
    fn value(&mut self, model: &Model, customer: &str, entitlement: &EntitlementShape) -> Value {
        let Some(credit) = entitlement.credit.clone() else { return self.small() };
        match self.rng.u32(..100) {
            0..=34 => quantity(&mut self.rng, &credit, &[1.0, 1.0, 5.0, 2.5, 0.1, 10.0]),
            35..=41 => json!(0),
            42..=49 => pick(&mut self.rng, &[json!(-1), json!(-5), json!(-0.1), json!(-100)]),
            50..=52 => pick(&mut self.rng, &[json!(1000), json!(100000), json!(1e12)]),
            53 => pick(&mut self.rng, &[json!("5s"), json!("lots"), json!("7"), json!("2.5")]),
            // Many digits, so that every amount after it has them too.
            54 => pick(
                &mut self.rng,
                &[
                    json!("0.123456789012345"),
                    json!("98765432.123456789"),
                    json!("-3.00000000712"),
                    json!("0.7000000051"),
                ],
            ),
            55..=59 => self.fill_cap(model, customer, &credit).unwrap_or(json!(1)),
            60..=63 => self.fill_tier(model, customer, entitlement).unwrap_or(json!(1)),
            _ => self.fill_limit(model, customer, entitlement).unwrap_or(json!(1)),
        }
    }

    /// What the limit leaves, with or without grants and tokens, or a hair more or less.
    fn fill_limit(&mut self, model: &Model, customer: &str, entitlement: &EntitlementShape) -> Option<Value> {
        let args = json!({
            "customer": customer, "entitlement": entitlement.name, "grants": chance(&mut self.rng, 60),
        });
        let verb = if chance(&mut self.rng, 25) { "allowance" } else { "remaining" };
        let left = amount::number(&model.read(verb, &args)?)?;
        if left.abs() < Decimal::new(1, 1) || left > Decimal::from(1_000_000) {
            return None;
        }
        // Never exactly 1e-9 off: which side of its own tolerance a comparison falls is nobody's promise.
        let hair = pick(&mut self.rng, &["0", "0", "0", "0.00000000003", "0.00000044", "-0.00000044", "0.1", "-0.1"]);
        let value = left + amount::parse(hair)?;
        (value.abs() >= Decimal::new(5, 2)).then(|| amount::json(value))
    }

    /// What a cap of the customer has room for.
    fn fill_cap(&mut self, model: &Model, customer: &str, credit: &CreditShape) -> Option<Value> {
        let caps: Vec<_> = model.find(customer)?.caps.values().cloned().collect();
        let cap = caps.get(self.rng.usize(..caps.len().max(1)))?;
        let room = cap.value - cap.meter_value;
        let room =
            if cap.credit == credit.name { room } else { model.policy.exchange(&cap.credit, &credit.name, room)? };
        (room >= Decimal::new(1, 1) && room < Decimal::from(1_000_000)).then(|| amount::rounded(room))
    }

    /// As much as takes the meter to the edge of a price band.
    fn fill_tier(&mut self, model: &Model, customer: &str, entitlement: &EntitlementShape) -> Option<Value> {
        let args = json!({"customer": customer, "entitlement": entitlement.name, "grants": false});
        let limit = amount::number(&model.read("limit", &args)?)?;
        let meter = amount::number(&model.read("value", &args)?)?;
        let edge = Decimal::from(pick(&mut self.rng, &[5i64, 10, 100]));
        let left = limit + edge - meter;
        (left.abs() >= Decimal::new(1, 1)).then(|| amount::json(left))
    }

    fn data(&mut self) -> Value {
        let mut data = json!({"model": pick(&mut self.rng, &["m1", "m2"])});
        if chance(&mut self.rng, 85) {
            data["input"] = pick(&mut self.rng, &[json!(10), json!(100), json!(2.5)]);
        }
        data
    }

    fn allow(&mut self, model: &Model) -> Value {
        if !self.keyed.is_empty() && chance(&mut self.rng, 3) {
            let mut again = pick(&mut self.rng, &self.keyed);
            if chance(&mut self.rng, 20) {
                again["allow"]["value"] = json!(77);
            }
            return again;
        }
        let mut step = self.allow_as(model, "allow");
        if chance(&mut self.rng, 4) {
            step["allow"]["force"] = json!(true);
        }
        if chance(&mut self.rng, 4) {
            step["allow"]["idempotency_key"] = json!(pick(&mut self.rng, &["k1", "k2", "k3", "k4", "k5", "k6"]));
            self.keyed.push(step.clone());
        }
        step
    }

    fn allow_as(&mut self, model: &Model, verb: &str) -> Value {
        let customer = self.customer();
        let entitlement = self.entitlement();
        let mut args = json!({"customer": customer, "entitlement": entitlement.name});
        if chance(&mut self.rng, 1) {
            args["entitlement"] = json!("nothing");
        }
        if chance(&mut self.rng, 95) {
            args["value"] = self.value(model, &customer, &entitlement);
        }
        match self.rng.u32(..100) {
            0..=19 => args["event"] = json!(false),
            20..=24 => args["event"] = json!(true),
            25..=34 => args["event"] = self.data(),
            _ => {}
        }
        if chance(&mut self.rng, 8) {
            args["overhead"] = pick(&mut self.rng, &[json!(0), json!(0.5), json!(2)]);
        }
        match self.rng.u32(..100) {
            0..=4 => args["cap"] = json!({"rune": self.small()}),
            5 => args["cap"] = json!({self.shape.credits[0].name.as_str(): self.small()}),
            6..=7 => {
                args["cap"] = json!([{"credit": "rune", "value": 5, "overage_only": true}, {"value": 3, "overhead_cost": true, "id": "cost"}]);
            }
            _ => {}
        }
        json!({verb: args})
    }

    fn counted(&mut self) -> Value {
        let verb = pick(&mut self.rng, &["increment", "increment", "decrement", "check_increment", "check_decrement"]);
        json!({verb: {"customer": self.customer(), "entitlement": self.entitlement_name()}})
    }

    fn reservation(&mut self, model: &Model) -> Value {
        let (customer, entitlement) = (self.customer(), self.entitlement());
        let mut args = json!({"customer": customer, "entitlement": entitlement.name});
        match self.rng.u32(..10) {
            0..=3 => {
                // A predicted amount of an `int` credit hangs on the last bit of a float.
                let whole = entitlement.credit.as_ref().is_some_and(|credit| credit.unit == "int");
                if whole || chance(&mut self.rng, 75) {
                    args["value"] = self.value(model, &customer, &entitlement);
                }
                if chance(&mut self.rng, 40) {
                    args["ttl"] = pick(&mut self.rng, &[json!("1s"), json!("1hr"), json!("2days")]);
                }
                if chance(&mut self.rng, 20) {
                    args["overhead"] = json!(1);
                }
                if chance(&mut self.rng, 70) {
                    args["context"] = self.data();
                }
                json!({"reserve": args})
            }
            4..=6 => {
                self.name_hold(model, &mut args);
                args["value"] = pick(&mut self.rng, &[json!(1), json!(5), json!(2.5), json!(0), json!(10)]);
                if chance(&mut self.rng, 60) {
                    args["event"] = self.data();
                }
                json!({"settle": args})
            }
            7 => {
                self.name_hold(model, &mut args);
                json!({"release": args})
            }
            8 => {
                args["context"] = self.data();
                if chance(&mut self.rng, 50) {
                    args["quantile"] = pick(&mut self.rng, &[json!(0.5), json!(0.99), json!(0.25)]);
                }
                json!({"estimate": args})
            }
            _ => {
                args["context"] = self.data();
                args["value"] = pick(&mut self.rng, &[json!(1), json!(5), json!(2.5)]);
                json!({"observe": args})
            }
        }
    }

    /// Points a step at a hold that is live, most of the time. What is left of an expired one is nowhere said.
    fn name_hold(&mut self, model: &Model, args: &mut Value) {
        let mut holds = Vec::new();
        for customer in model.customers.values() {
            for (entitlement, meter) in &customer.meters {
                for (id, _) in meter.holds.iter().filter(|(_, hold)| model.now < hold.expires_on) {
                    holds.push((customer.id.clone(), entitlement.clone(), id.clone()));
                }
            }
        }
        args["hold"] = json!("nope");
        if !holds.is_empty() && chance(&mut self.rng, 85) {
            let (customer, entitlement, id) = pick(&mut self.rng, &holds);
            args["customer"] = json!(customer);
            args["entitlement"] = json!(entitlement);
            args["hold"] = json!(id);
        }
    }

    fn time(&mut self, model: &Model) -> Value {
        const HOUR: i64 = 3_600_000;
        const DAY: i64 = 24 * HOUR;
        match self.rng.u32(..100) {
            0..=44 => json!({"advance": pick(&mut self.rng, &[1, 10, 500, 1000, 60_000])}),
            45..=69 => {
                json!({"advance": pick(&mut self.rng, &[HOUR, 5 * HOUR, DAY - 1, DAY, DAY + 1, 3 * DAY])})
            }
            70..=79 => json!({"advance": pick(&mut self.rng, &[7 * DAY, 30 * DAY - 1, 30 * DAY, 31 * DAY])}),
            80..=81 => json!({"advance": pick(&mut self.rng, &[100 * DAY, 400 * DAY])}),
            82..=84 => {
                let back = model.now - pick(&mut self.rng, &[1, 1000, HOUR, DAY]);
                // Whether a hold that expired was swept away before the clock went back is nobody's promise.
                let mut holds = model.customers.values().flat_map(|c| c.meters.values()).flat_map(|m| m.holds.values());
                let revives = holds.any(|hold| hold.expires_on > back && hold.expires_on <= model.now);
                json!({"now": if revives { model.now } else { back }})
            }
            _ => {
                // To the end of a period, or to just before it.
                let args = json!({"customer": self.customer(), "entitlement": self.entitlement().name});
                let ends = model.read("resets", &args).and_then(|at| at.as_i64()).filter(|at| *at > model.now);
                let at = ends.unwrap_or(model.now + 1) - i64::from(chance(&mut self.rng, 40));
                json!({"now": at})
            }
        }
    }

    fn read(&mut self) -> Value {
        let verb = pick(
            &mut self.rng,
            &[
                "value",
                "value",
                "remaining",
                "remaining",
                "remaining",
                "limit",
                "limit",
                "allowance",
                "cost",
                "resets",
                "rate",
                "acceleration",
                "projected_exhaustion",
                "held",
                "credit_exchange",
                "credit_remaining",
                "customer_margin",
            ],
        );
        let names: Vec<String> = self.shape.credits.iter().map(|c| c.name.clone()).collect();
        let money = |calls: &mut Calls| match calls.rng.u32(..10) {
            0..=1 => "rune".to_owned(),
            2 => "usd".to_owned(),
            _ => pick(&mut calls.rng, &names),
        };
        match verb {
            "credit_exchange" => {
                let value = pick(&mut self.rng, &[json!(1), json!(10), json!(0.5), json!(150), json!(0)]);
                json!({verb: {"in_currency": money(self), "out_currency": money(self), "value": value}})
            }
            "credit_remaining" => json!({verb: {"customer": self.customer(), "credit": money(self)}}),
            "customer_margin" => json!({verb: {"customer": self.customer()}}),
            _ => {
                let mut args = json!({"customer": self.customer(), "entitlement": self.entitlement_name()});
                if matches!(verb, "limit" | "cost") && chance(&mut self.rng, 20) {
                    args["customer"] = json!(pick(&mut self.rng, &self.shape.plans));
                }
                if matches!(verb, "value" | "remaining") && chance(&mut self.rng, 35) {
                    args["percent"] = json!(true);
                }
                if matches!(verb, "value" | "remaining" | "limit") && chance(&mut self.rng, 30) {
                    args["grants"] = json!(false);
                }
                if verb == "projected_exhaustion" && chance(&mut self.rng, 40) {
                    args["smoothed"] = json!(true);
                }
                json!({verb: args})
            }
        }
    }

    fn plan(&mut self) -> String {
        if chance(&mut self.rng, 3) { "nowhere".to_owned() } else { pick(&mut self.rng, &self.shape.plans) }
    }

    fn refs(&mut self) -> Vec<String> {
        (0..self.rng.usize(..4))
            .map(|_| {
                if chance(&mut self.rng, 20) {
                    self.customer()
                } else {
                    pick(&mut self.rng, &["team1", "org1", "org2", "u3"]).to_owned()
                }
            })
            .collect()
    }

    fn create(&mut self, id: &str, kind: &str) -> Value {
        let mut args = json!({"id": id, "type": kind, "refs": self.refs()});
        if chance(&mut self.rng, 55) {
            args["plan"] = json!(self.plan());
        }
        if chance(&mut self.rng, 10) {
            args["metadata"] = json!({"tier": "gold", "seats": 3});
        }
        json!({"create_customer": args})
    }

    fn manage(&mut self, model: &Model) -> Value {
        let customer = self.customer();
        match self.rng.u32(..100) {
            0..=9 => {
                let (id, kind) = pick(&mut self.rng, CUSTOMERS);
                let mut step = self.create(id, kind);
                // What a second create does to a plan that it does not name is nowhere said.
                if model.find(id).is_some() {
                    step["create_customer"]["plan"] = json!(pick(&mut self.rng, &self.shape.plans));
                    step["create_customer"]["label"] = json!("Again");
                } else if chance(&mut self.rng, 40) {
                    return json!({"ensure_customer": step["create_customer"]});
                }
                step
            }
            10..=12 => json!({"ensure_customer": {"id": pick(&mut self.rng, CUSTOMERS).0}}),
            13..=20 => {
                let overwrite = chance(&mut self.rng, 20);
                json!({"set_customer_plan": {"customer": customer, "plan": self.plan(), "overwrite_meters": overwrite}})
            }
            21..=25 => json!({"set_customer_refs": {"customer": customer, "refs": self.refs()}}),
            26 => json!({"delete_customer": {"id": customer}}),
            27..=30 => {
                json!({"set_alt_customer_id": {"customer": customer, "alt": pick(&mut self.rng, ALTS)}})
            }
            31..=32 => {
                json!({"remove_alt_customer_id": {"customer": customer, "alt": pick(&mut self.rng, ALTS)}})
            }
            33..=40 => self.override_limit(model, &customer),
            41..=42 => {
                let entitlement = self.entitlement().name;
                json!({"remove_customer_override": {"customer": customer, "entitlement": entitlement}})
            }
            43..=60 => self.add_cap(model, customer),
            61..=67 => {
                let verb =
                    pick(&mut self.rng, &["customer_cap", "customer_cap", "reset_customer_cap", "remove_customer_cap"]);
                let known: Vec<String> =
                    model.find(&customer).map(|c| c.caps.keys().cloned().collect()).unwrap_or_default();
                let id = if known.is_empty() { "cap1".to_owned() } else { pick(&mut self.rng, &known) };
                json!({verb: {"customer": customer, "id": id}})
            }
            68..=82 => {
                let known = self.shape.topups.clone();
                let topup = if known.is_empty() { "none".to_owned() } else { pick(&mut self.rng, &known).0 };
                json!({"apply_customer_topup": {"customer": customer, "topup": topup}})
            }
            83..=88 => json!({"ensure_included_topups": {"customer": customer}}),
            89..=94 => json!({"ensure_plan_subscription": {"customer": customer}}),
            95..=98 => self.set_plan(),
            _ => {
                let id = self.plan();
                json!({"delete_plan": {"id": id}})
            }
        }
    }

    fn set_plan(&mut self) -> Value {
        let id = pick(&mut self.rng, &self.shape.plans);
        let mut plan = self.shape.random_plan(&mut self.rng);
        if self.shape.policy["plans"][&id]["default"] == json!(true) {
            plan["default"] = json!(true);
        }
        json!({"set_plan": {"id": id, "plan": plan}})
    }

    fn override_limit(&mut self, model: &Model, customer: &str) -> Value {
        let entitlement = self.entitlement();
        let mut args = json!({"customer": customer, "entitlement": entitlement.name});
        let found = model.resolve(customer, &entitlement.name).ok();
        let scheduled = found.and_then(|f| f.limit).is_some_and(|l| l.reset_sch.is_some());
        let flag = entitlement.credit.is_none();
        let credit = entitlement.credit.unwrap_or_else(|| self.shape.credits[0].clone());
        // Nothing to copy from on a feature flag: the credit has to be there.
        if flag {
            args["credit"] = json!(credit.name);
        }
        args["value"] = quantity(&mut self.rng, &credit, &[0.0, 3.0, 20.0, 500.0]);
        if chance(&mut self.rng, 25) {
            args["increment"] = json!(2);
        }
        if chance(&mut self.rng, 20) {
            args["grants_apply"] = json!(chance(&mut self.rng, 50));
        }
        if chance(&mut self.rng, 20) {
            args["mode"] = json!(pick(&mut self.rng, &["hard", "soft", "observe"]));
            args["hard_trailing"] = json!(false);
            args["governor_enabled"] = json!(false);
        }
        if !scheduled && chance(&mut self.rng, 20) {
            args["resets"] = json!(true);
            args["reset_inc"] = pick(&mut self.rng, &[json!("2hr"), json!("10days")]);
        }
        if chance(&mut self.rng, 50) {
            args["override_expires_on"] = json!(model.now + pick(&mut self.rng, &[1000, 3_600_000, 864_000_000]));
        }
        json!({"create_customer_override": args})
    }

    fn add_cap(&mut self, model: &Model, customer: String) -> Value {
        let mut args = json!({
            "customer": customer, "value": pick(&mut self.rng, &[json!(1), json!(5), json!(10), json!(100), json!(0.8)]),
        });
        if chance(&mut self.rng, 60) {
            args["id"] = json!(pick(&mut self.rng, &["cap1", "cap2", "cap3"]));
        }
        // Curves other than flat cannot be bought backwards, so what they convert to is left out.
        let mut linear = true;
        match self.rng.u32(..10) {
            0..=3 => {}
            4 => args["credit"] = json!(pick(&mut self.rng, &["usd", "rune", "gold"])),
            _ => {
                let credit = pick(&mut self.rng, &self.shape.credits);
                linear = credit.model == "flat" || credit.model == "abstract";
                if (linear || credit.model == "stairstep") && chance(&mut self.rng, 40) {
                    args["exchangeable"] = json!(true);
                }
                args["credit"] = json!(credit.name);
            }
        }
        for (field, percent) in [
            ("overage_only", 25),
            ("ignore_grants", 25),
            ("observe_only", 30),
            ("follow_decrements", 30),
            ("hard_trailing", 15),
            ("shared", 50),
        ] {
            if chance(&mut self.rng, percent) {
                args[field] = json!(true);
            }
        }
        if linear && chance(&mut self.rng, 20) {
            args["overhead_cost"] = json!(true);
        }
        // A shared cap always counts its holder's own calls here; whether it must is not said.
        let kind = model.find(&customer).map(|holder| holder.kind.clone()).unwrap_or_default();
        if chance(&mut self.rng, 20) {
            args["shared_with"] = json!([kind, pick(&mut self.rng, &["user", "team"])]);
        }
        if chance(&mut self.rng, 20) {
            args["scope"] = json!([self.entitlement().name, self.entitlement().name]);
        }
        if chance(&mut self.rng, 20) {
            args["expires_on"] = json!(model.now + pick(&mut self.rng, &[60_000, 3_600_000, 864_000_000]));
        }
        if chance(&mut self.rng, 20) {
            args["events"] = json!(false);
        }
        random_resets(&mut self.rng, &mut args, 40, &[json!("1hr"), json!("1day"), json!("30days")]);
        json!({"add_customer_cap": args})
    }
}
