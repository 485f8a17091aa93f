//! Random valid policies from a seed. What a name means is the same in every plan of a policy (an entitlement has one
//! credit, one scope and one minimum, a topup one credit), so that changing plans never changes what a meter counts:
//! the specification does not say what that would mean.

use super::policy::COST;
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// What the call generator needs to know about a policy.
#[derive(Clone, Debug)]
pub struct Shape {
    pub policy: Value,
    pub credits: Vec<CreditShape>,
    pub entitlements: Vec<EntitlementShape>,
    pub topups: Vec<(String, String)>,
    pub plans: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct CreditShape {
    pub name: String,
    pub unit: String,
    pub model: String,
}

#[derive(Clone, Debug)]
pub struct EntitlementShape {
    pub name: String,
    /// None: a feature flag.
    pub credit: Option<CreditShape>,
    pub scope: Option<String>,
    minimum: Option<Value>,
    pub estimates: bool,
}

pub fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())].clone()
}

/// True in `percent` of the cases.
pub fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(..100) < percent
}

pub const SCHEDULES: &[&str] = &[
    "monthly:1",
    "monthly:15",
    "monthly:31",
    "monthly:last",
    "weekly:mon",
    "weekly:sun",
    "nth_weekday:1:mon",
    "nth_weekday:4:fri",
    "yearly:1-1",
    "yearly:2-29",
    "quarterly:1",
    "quarterly:31",
];

impl Shape {
    pub fn random(rng: &mut Rng) -> Shape {
        let mut shape = Shape {
            policy: json!({}),
            credits: Vec::new(),
            entitlements: Vec::new(),
            topups: Vec::new(),
            plans: Vec::new(),
        };
        let mut credits = Map::new();
        for n in 0..rng.usize(2..=6) {
            let (credit, value) = random_credit(rng, n);
            credits.insert(credit.name.clone(), value);
            shape.credits.push(credit);
        }
        let exchange = shape.random_exchange(rng);
        for n in 0..rng.usize(2..=6) {
            let entitlement = shape.random_entitlement(rng, n);
            shape.entitlements.push(entitlement);
        }
        for n in 0..rng.usize(0..=4) {
            let credit = pick(rng, &shape.credits).name;
            shape.topups.push((format!("t{n}"), credit));
        }
        let mut plans = Map::new();
        for n in 0..rng.usize(1..=4) {
            let mut plan = shape.random_plan(rng);
            if n == 0 && chance(rng, 85) {
                plan["default"] = json!(true);
            }
            shape.plans.push(format!("p{n}"));
            plans.insert(format!("p{n}"), plan);
        }
        shape.policy = json!({"credits": credits, "exchange": exchange, "plans": plans});
        if chance(rng, 20) {
            shape.policy["hold_ttl"] = json!("1min");
        }
        if chance(rng, 50) {
            shape.policy["estimate_min_samples"] = json!(2);
        }
        if chance(rng, 20) {
            let name = pick(rng, &shape.entitlements).name;
            let estimate = json!({"samples": 40, "value_mean": 3, "value_var": 1, "source": "shipped"});
            shape.policy["estimates"] = json!({name: {"all": estimate}});
        }
        shape
    }

    /// Every abstract credit gets a pair most of the time; a pair always leads to something that is already worth
    /// runes, so that every one of them converts.
    fn random_exchange(&self, rng: &mut Rng) -> Value {
        let mut exchange = Map::new();
        exchange
            .insert("grant_strategy".into(), json!(pick(rng, &["expires_first", "cheapest_first", "valuable_first"])));
        if chance(rng, 40) {
            exchange.insert("euro".into(), json!({"value": 1.25, "currency": "usd"}));
        }
        if chance(rng, 15) {
            exchange.insert("rune".into(), json!({"value": 2, "currency": "usd"}));
        }
        let mut worth = vec!["rune".to_owned(), "usd".to_owned()];
        for credit in &self.credits {
            let flat = credit.model == "flat";
            let paired = match credit.model.as_str() {
                "abstract" => chance(rng, 75),
                "flat" => chance(rng, 15),
                _ => false,
            };
            if paired {
                let value = pick(rng, &[json!(1), json!(0.5), json!(2), json!("0.003"), json!(10), json!(3)]);
                exchange.insert(credit.name.clone(), json!({"value": value, "currency": pick(rng, &worth)}));
            }
            if paired || flat {
                worth.push(credit.name.clone());
            }
        }
        Value::Object(exchange)
    }

    fn random_entitlement(&self, rng: &mut Rng, n: usize) -> EntitlementShape {
        let estimates = chance(rng, 20);
        EntitlementShape {
            name: format!("e{n}"),
            credit: (n == 0 || chance(rng, 92)).then(|| pick(rng, &self.credits)),
            scope: chance(rng, 25).then(|| pick(rng, &["org", "team", "user"]).to_owned()),
            minimum: chance(rng, 40).then(|| pick(rng, &[json!(0), json!(0), json!(-5)])),
            estimates,
        }
    }

    /// A plan over the shape's entitlements and topups, for the policy or for set_plan.
    pub fn random_plan(&self, rng: &mut Rng) -> Value {
        let mut entitlements = Map::new();
        for entitlement in &self.entitlements {
            if chance(rng, 85) {
                let mut value = json!({});
                if let Some(scope) = &entitlement.scope {
                    value["scope"] = json!(scope);
                }
                if entitlement.estimates {
                    value["estimate_segment"] = json!("model");
                    value["estimate_basis"] = json!("input");
                }
                if let Some(credit) = &entitlement.credit {
                    value["limit"] = random_limit(rng, credit, &entitlement.minimum);
                }
                entitlements.insert(entitlement.name.clone(), value);
            }
        }
        let mut topups = Map::new();
        for (name, credit) in &self.topups {
            if chance(rng, 85) {
                topups.insert(name.clone(), random_topup(rng, credit));
            }
        }
        let mut plan = json!({"entitlements": entitlements, "topups": topups});
        if chance(rng, 40) {
            plan["subscription"] = json!(pick(rng, &self.entitlements).name);
        }
        if chance(rng, 30) {
            plan["trial_period"] = json!(pick(rng, &["1day", "14days", "1hr"]));
        }
        plan
    }
}

fn random_credit(rng: &mut Rng, n: usize) -> (CreditShape, Value) {
    let model = match n {
        0 => "flat",
        _ => pick(rng, &["flat", "flat", "tiered", "volume", "stairstep", "abstract", "abstract"]),
    };
    let unit = match model {
        "flat" | "abstract" => pick(rng, &["float", "float", "int", "MB"]),
        _ => pick(rng, &["float", "float", "int"]),
    };
    let mut value = json!({});
    if unit != "float" {
        value["stof_units"] = json!(unit);
    }
    if chance(rng, 60) {
        value["overhead_cost"] = pick(rng, &[json!(0.5), json!(0.25), json!("0.01"), json!(3)]);
    }
    if chance(rng, 25) {
        value["overhead"] = json!(COST);
    }
    let tier = |up_to: Option<i64>, amount: Value| match up_to {
        Some(up_to) => json!({"up_to": up_to, "price": {"amount": amount}}),
        None => json!({"price": {"amount": amount}}),
    };
    match model {
        "flat" => {
            let amount = pick(rng, &[json!(1), json!(0.25), json!("0.01"), json!(2), json!(0.4), json!(3)]);
            value["price"] = json!({"amount": amount});
        }
        "tiered" | "volume" => {
            value["pricing_model"] = json!(model);
            value["tiers"] = pick(
                rng,
                &[
                    json!([tier(Some(10), json!(1)), tier(Some(100), json!(0.5)), tier(None, json!(0.1))]),
                    json!([tier(Some(5), json!(2)), tier(None, json!(1))]),
                    json!([tier(Some(100), json!(0.01)), tier(Some(10), json!(0.03)), tier(None, json!(0.005))]),
                    json!([tier(Some(10), json!(0.5)), tier(None, json!(1))]),
                ],
            );
        }
        "stairstep" => {
            value["pricing_model"] = json!(model);
            value["tiers"] = pick(
                rng,
                &[
                    json!([tier(Some(10), json!(5)), tier(Some(100), json!(20)), tier(None, json!(50))]),
                    json!([tier(Some(5), json!(1)), tier(None, json!(3))]),
                ],
            );
        }
        _ => {}
    }
    (CreditShape { name: format!("c{n}"), unit: unit.to_owned(), model: model.to_owned() }, value)
}

/// A quantity of a credit, sometimes with a unit.
pub fn quantity(rng: &mut Rng, credit: &CreditShape, from: &[f64]) -> Value {
    if credit.unit == "MB" && chance(rng, 30) {
        return pick(
            rng,
            &[json!("1MB"), json!("5MB"), json!("500KB"), json!("0.01GB"), json!("1MiB"), json!("8000000bits")],
        );
    }
    json!(pick(rng, from))
}

fn random_limit(rng: &mut Rng, credit: &CreditShape, minimum: &Option<Value>) -> Value {
    let mut limit = json!({
        "credit": credit.name,
        "value": quantity(rng, credit, &[0.0, 0.0, 1.0, 5.0, 10.0, 10.0, 100.0, 1000.0, 2.5]),
    });
    let mode = rng.u32(..100);
    match mode {
        0..=39 => {}
        40..=49 => limit["hard_trailing"] = json!(true),
        50..=54 => limit["mode"] = json!("hard"),
        55..=89 => limit["mode"] = json!("soft"),
        _ => limit["mode"] = json!("observe"),
    }
    if let Some(minimum) = minimum {
        limit["minimum"] = minimum.clone();
    }
    if chance(rng, 40) {
        limit["increment"] = quantity(rng, credit, &[1.0, 5.0, 0.5, 10.0]);
    }
    if chance(rng, 10) {
        limit["grants_apply"] = json!(false);
    }
    if chance(rng, 10) {
        limit["ewma_alpha"] = pick(rng, &[json!(0), json!(1), json!(0.5)]);
    }
    if mode < 55 && chance(rng, 30) {
        limit["governor_enabled"] = json!(true);
        limit["governor_capacity"] = quantity(rng, credit, &[5.0, 10.0, 50.0]);
        limit["governor_refill_rate"] = pick(rng, &[json!(0.001), json!(0.5), json!("0.00001"), json!(1)]);
    }
    random_resets(
        rng,
        &mut limit,
        50,
        &[json!("1hr"), json!("1day"), json!("7days"), json!("30days"), json!(1000), json!("90min")],
    );
    limit
}

/// `resets`, with an interval, with the default interval, or on a schedule.
pub fn random_resets(rng: &mut Rng, value: &mut Value, percent: u32, intervals: &[Value]) {
    if !chance(rng, percent) {
        return;
    }
    value["resets"] = json!(true);
    match rng.u32(..10) {
        0..=4 => value["reset_inc"] = pick(rng, intervals),
        5 => {}
        _ => value["reset_sch"] = json!(pick(rng, SCHEDULES)),
    }
}

fn random_topup(rng: &mut Rng, credit: &str) -> Value {
    let size = pick(rng, &[1, 5, 10, 50, 100]);
    let mut topup = json!({"credit": credit, "value": size});
    random_resets(rng, &mut topup, 55, &[json!("1day"), json!("7days"), json!("30days"), json!("12hr")]);
    if topup.get("resets").is_some() {
        topup["reset_mode"] = json!(pick(rng, &["hard", "add", "rollover"]));
        if topup["reset_mode"] == "rollover" {
            topup["rollover_pct"] = pick(rng, &[json!(1), json!(0.5), json!(0.25)]);
            if chance(rng, 40) {
                topup["rollover_max"] = json!(size);
            }
            if chance(rng, 20) {
                topup["rollover_min"] = json!(1);
            }
        }
        if chance(rng, 40) {
            topup["max_balance"] = json!(size * pick(rng, &[1, 2, 3]));
        }
        if topup.get("reset_sch").is_none() && chance(rng, 40) {
            topup["reset_catchup_cap"] = json!(pick(rng, &[1, 2, 5]));
        }
    }
    if chance(rng, 30) {
        topup["priority"] = json!(pick(rng, &[-1, 1, 2]));
    }
    // An included topup never expires here: whether an expired grant is "missing" is nowhere said.
    if chance(rng, 35) {
        topup["included"] = json!(true);
        if chance(rng, 50) {
            topup["included_scopes"] = pick(rng, &[json!(["org"]), json!(["user", "team"])]);
        }
    } else if chance(rng, 30) {
        topup["expires_after"] = json!(pick(rng, &["1day", "40days", "1hr", "3days"]));
    }
    topup
}
