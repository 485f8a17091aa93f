//! `limitr demo`: the quick start. Its policy is built in, its time is simulated, so it always says the same.

use std::io::Write;

use limitr::{Amount, Decision, Format, Limitr, ManualClock, NewCustomer, SequentialIds};
use serde_json::{Value, json};

use crate::cli::Demo;
use crate::outcome::{Exit, Outcome, Trouble};

const POLICY: &str = include_str!("../../assets/quick-start.json");
/// 2026-01-15T00:00:00Z
const START: i64 = 1_768_435_200_000;
const STARTER: [u32; 5] = [120_000, 95_000, 180_000, 60_000, 90_000];
const GROWTH: [u32; 5] = [520_000, 98_000, 200_000, 60_000, 900_000];
const ACCESS: &str = "ai-chat-access";
const INPUT: &str = "ai-chat-input";
const OUTPUT: &str = "ai-chat-output";
/// Input tokens to an output token.
const RATIO: f64 = 2.2;

pub(super) fn run(arguments: &Demo, out: &mut dyn Write) -> Outcome {
    let mut demo = Demonstration { json: arguments.json, out };
    demo.limits()?;
    demo.enforcement()?;
    demo.event()?;
    demo.grant()?;
    Ok(Exit::Fine)
}

/// Where the demonstration goes: to people or to machines.
struct Demonstration<'o> {
    json: bool,
    out: &'o mut dyn Write,
}

impl Demonstration<'_> {
    /// For people only.
    fn say(&mut self, line: &str) -> Outcome<()> {
        if !self.json {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// A decision, for people and for machines.
    fn decided(&mut self, line: &str, program: &str, call: &Call<'_>, left: Value) -> Outcome<()> {
        if !self.json {
            return self.say(line);
        }
        let mut decision = json!({"program": program, "customer": call.customer, "entitlement": call.entitlement});
        if let (Some(record), Ok(Value::Object(outcome))) =
            (decision.as_object_mut(), serde_json::to_value(call.decision))
        {
            record.insert("value".to_owned(), json!(Amount::from_f64(call.value)));
            record.extend(outcome);
            record.extend(left.as_object().cloned().unwrap_or_default());
        }
        writeln!(self.out, "{decision}")?;
        Ok(())
    }

    fn limits(&mut self) -> Outcome<()> {
        let limitr = engine()?;
        customer(&limitr, "user_starter", "starter")?;
        customer(&limitr, "user_growth", "growth")?;
        self.say("Policy loaded. Customers created.")?;
        for (name, customer) in [("Starter", "user_starter"), ("Growth", "user_growth")] {
            self.say(&format!("{name} limit: {}", limitr.limit(customer, INPUT, true).unwrap_or_default()))?;
        }
        Ok(())
    }

    fn enforcement(&mut self) -> Outcome<()> {
        self.say("\n# Enforce a limit\n")?;
        let limitr = engine()?;
        let customer = "user_starter";
        self::customer(&limitr, customer, "starter")?;
        let program = "enforce";
        for tokens in STARTER {
            if !limitr.allow(customer, ACCESS, 0).allowed {
                self.say("no ai-chat-access on this plan")?;
                continue;
            }
            let decision = limitr.allow(customer, INPUT, tokens);
            let output = f64::from(tokens) / RATIO;
            let reply = decision.allowed.then(|| limitr.allow(customer, OUTPUT, output));
            let remaining = limitr.remaining(customer, INPUT).unwrap_or_default();
            let used = limitr.value(customer, OUTPUT).unwrap_or_default();
            let line = if decision.allowed {
                let (tokens, remaining, used) = (grouped(tokens.into()), grouped(remaining), grouped(used));
                format!("✓ Allowed {tokens} input tokens — {remaining} remaining, {used} output tokens used")
            } else {
                let (tokens, remaining) = (grouped(tokens.into()), grouped(remaining));
                format!("✗ Denied {tokens} tokens — limit exceeded ({remaining} remaining)")
            };
            let call = Call { customer, entitlement: INPUT, value: tokens.into(), decision: &decision };
            self.decided(&line, program, &call, Value::Null)?;
            if let Some(reply) = &reply
                && self.json
            {
                let call = Call { customer, entitlement: OUTPUT, value: output, decision: reply };
                self.decided("", program, &call, Value::Null)?;
            }
        }
        Ok(())
    }

    fn event(&mut self) -> Outcome<()> {
        self.say("\n# Handle an event\n")?;
        let limitr = engine()?;
        let customer = "user_starter";
        self::customer(&limitr, customer, "starter")?;
        let (sender, events) = std::sync::mpsc::channel();
        limitr.on(move |event| {
            if event.name() == "meter-limit" {
                // The receiver lives as long as the engine.
                let _ = sender.send(event.to_json());
            }
        });
        for tokens in STARTER {
            let decision = limitr.allow(customer, INPUT, tokens);
            let event = events.try_iter().last();
            let lines = event.as_ref().map(told).unwrap_or_default();
            let call = Call { customer, entitlement: INPUT, value: tokens.into(), decision: &decision };
            let happened = event.map(|value| json!({"event": {"name": "meter-limit", "value": value}}));
            if self.json || !lines.is_empty() {
                self.decided(&lines, "event", &call, happened.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn grant(&mut self) -> Outcome<()> {
        self.say("\n# Apply a credit grant\n")?;
        let limitr = engine()?;
        let (customer, topup) = ("user_growth", "ai-token-small");
        self::customer(&limitr, customer, "growth")?;
        limitr.apply_customer_topup(customer, topup);
        let granted = || {
            let record = limitr.customer(customer)?;
            let grant = record.grants.values().find(|grant| grant.topup.as_ref().is_some_and(|name| **name == *topup));
            grant.cloned()
        };
        self.say(&format!("Granted 10 AI tokens; {} input tokens are included", grouped(700_000.into())))?;
        for tokens in GROWTH {
            let decision = limitr.allow(customer, INPUT, tokens);
            let balance = granted().map(|grant| grant.value).unwrap_or_default();
            let left = limitr.remaining_without_grants(customer, INPUT).unwrap_or_default();
            let line = if left.is_negative() {
                format!(
                    "✓ Allowed {} input tokens — {} past the limit: {} covered by the grant, {} to bill, {} AI tokens left",
                    grouped(tokens.into()),
                    grouped(decision.covered.saturating_add(decision.overage)),
                    grouped(decision.covered),
                    grouped(decision.overage),
                    balance.rounded(),
                )
            } else {
                let (tokens, left) = (grouped(tokens.into()), grouped(left));
                format!("✓ Allowed {tokens} input tokens — {left} remaining, {} AI tokens left", balance.rounded())
            };
            let call = Call { customer, entitlement: INPUT, value: tokens.into(), decision: &decision };
            self.decided(&line, "grant", &call, json!({"grant": balance.rounded()}))?;
        }
        let used = limitr.value(customer, INPUT).unwrap_or_default();
        self.say(&format!("Used: {} input tokens", grouped(used)))?;
        if let Some(grant) = granted() {
            self.say(&format!("Grant starting value: {}", grant.starting_value))?;
            // As the quick start rounds it.
            let cents = (grant.value.to_f64() * 100.0).round() / 100.0;
            self.say(&format!("Grant current value: {cents}"))?;
        }
        Ok(())
    }
}

/// A call and what was decided.
struct Call<'a> {
    customer: &'a str,
    entitlement: &'a str,
    value: f64,
    decision: &'a Decision,
}

fn engine() -> Outcome<Limitr> {
    let builder = Limitr::builder().clock(ManualClock::new(START)).ids(SequentialIds::default());
    builder.policy(POLICY, Format::Json).map_err(|error| Trouble::new(error.to_string()))
}

fn customer(limitr: &Limitr, id: &str, plan: &str) -> Outcome<()> {
    let created = limitr.create_customer(NewCustomer::new(id).plan(plan));
    created.map(drop).map_err(|error| Trouble::new(error.to_string()))
}

/// What the quick start's handler says about a `meter-limit` event.
fn told(event: &Value) -> String {
    let at = |pointer: &str| match event.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    format!(
        "Customer {} hit their limit for {}.\nUsed: {} tokens. Total: {}. Attempted: {}.\nPlan: {}. Credit: {}.",
        at("/customer/id"),
        at("/entitlement"),
        at("/meter/value"),
        at("/meter/limit"),
        at("/meter/invalid"),
        at("/plan"),
        at("/credit/description"),
    )
}

/// `1234567.5` as `1,234,567.5`.
fn grouped(amount: Amount) -> String {
    let text = amount.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (amount, expected) in
            [("0", "0"), ("999", "999"), ("1000", "1,000"), ("-1234567.25", "-1,234,567.25"), ("100000", "100,000")]
        {
            assert_eq!(grouped(amount.parse().unwrap()), expected);
        }
    }
}
