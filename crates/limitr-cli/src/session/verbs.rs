//! The verbs a step can have.

/// Every verb: those of the clock, and the engine's operations with their other names.
pub const VERBS: [&str; 72] = [
    "advance",
    "now",
    "allow",
    "check",
    "explain",
    "increment",
    "decrement",
    "check_increment",
    "check_decrement",
    "set",
    "reserve",
    "settle",
    "release",
    "held",
    "estimate",
    "observe",
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
    "credit",
    "plan",
    "plan_for",
    "default_plan",
    "create_customer",
    "ensure_customer",
    "customer",
    "customers",
    "set_customer",
    "load_customers",
    "delete_customer",
    "set_customer_plan",
    "set_customer_refs",
    "add_alt_customer_id",
    "add_alt_id",
    "set_alt_customer_id",
    "remove_alt_id",
    "remove_alt_customer_id",
    "customer_metadata",
    "create_customer_override",
    "remove_customer_override",
    "ensure_plan_subscription",
    "ensure_included_topups",
    "apply_customer_topup",
    "add_customer_cap",
    "customer_cap",
    "reset_customer_cap",
    "remove_customer_cap",
    "start_margin_measurement",
    "capture_margin_measurement",
    "customer_margin_snapshot",
    "customer_margin",
    "margin_snapshot",
    "plan_margin",
    "set_plan",
    "delete_plan",
    "replace",
    "difference",
    "valid",
    "record",
    "stringify",
];

#[cfg(test)]
mod tests {
    use limitr::{Limitr, call};
    use serde_json::{Map, Value};

    use super::VERBS;

    #[test]
    fn the_engine_knows_the_same() {
        let limitr = Limitr::from_yaml("policy: {}").unwrap();
        let error = |verb: &str| {
            let operation = Map::from_iter([(verb.to_owned(), Value::Null)]);
            call(&limitr, &Value::Object(operation)).unwrap_err().to_string()
        };
        for verb in VERBS.iter().filter(|verb| !matches!(**verb, "advance" | "now")) {
            assert!(!error(verb).contains("unknown variant"), "the engine does not know `{verb}`");
        }
        let listed = error("no such verb");
        let names = listed.split('`').skip(1).step_by(2).filter(|name| *name != "no such verb");
        let missing: Vec<&str> = names.filter(|name| !VERBS.contains(name)).collect();
        assert!(missing.is_empty(), "missing here: {missing:?}");
    }
}
