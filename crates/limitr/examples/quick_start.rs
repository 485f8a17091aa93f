//! A chat service that asks before it spends: `cargo run --example quick_start -p limitr`.
//!
//! Time is simulated, so it always prints the same. A real program leaves the clock and the ids out:
//! `Limitr::from_yaml(text)`.

use std::error::Error;
use std::io::Write;
use std::sync::mpsc;

use limitr::{Amount, Decision, Format, Limitr, ManualClock, NewCustomer, SequentialIds};

const POLICY: &str = include_str!("policy.yaml");
/// 2026-01-15T00:00:00Z
const START: i64 = 1_768_435_200_000;
const HOUR: i64 = 3_600_000;

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// One afternoon of a free customer, and a month's end of a paying one.
pub(crate) fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new(START);
    let limitr = Limitr::builder().clock(clock.clone()).ids(SequentialIds::default()).policy(POLICY, Format::Yaml)?;

    // Listeners run on the calling thread, after the call is complete. Hand the work to another place.
    let (sender, events) = mpsc::channel();
    limitr.on(move |event| drop(sender.send((event.name().to_owned(), event.to_json()))));

    limitr.create_customer(NewCustomer::new("ann"))?;
    limitr.create_customer(NewCustomer::new("acme").plan("pro").kind("org"))?;

    writeln!(out, "# A hard limit: 10000 tokens a day")?;
    for prompt in [4_000, 5_000, 3_000] {
        reply(&limitr, out, "ann", prompt)?;
    }
    clock.advance(24 * HOUR);
    reply(&limitr, out, "ann", 3_000)?;

    writeln!(out, "# A soft limit: 2000000 tokens a month, then 0.00002 a token")?;
    reply(&limitr, out, "acme", 1_999_000)?;
    reply(&limitr, out, "acme", 6_000)?;

    writeln!(out, "# A feature of the plan")?;
    for customer in ["ann", "acme"] {
        writeln!(out, "{customer} may export: {}", limitr.check(customer, "pdf_export", 0).allowed)?;
    }

    writeln!(out, "# What to bill")?;
    for (name, event) in events.try_iter().filter(|(name, _)| name == "meter-overage") {
        let at = |pointer: &str| event.pointer(pointer).map(ToString::to_string).unwrap_or_default();
        writeln!(out, "{name}: {} units, {} runes, {}", at("/overage"), at("/overage_price"), at("/customer/id"))?;
    }
    Ok(())
}

/// Answers a prompt when its tokens are within what the customer has.
fn reply(limitr: &Limitr, out: &mut dyn Write, customer: &str, tokens: u32) -> Result<(), Box<dyn Error>> {
    let decision = limitr.allow(customer, "chat", tokens);
    writeln!(out, "{customer} asks for {tokens}: {}", told(&decision))?;
    if decision.allowed {
        // Call the model here.
    }
    Ok(())
}

fn told(decision: &Decision) -> String {
    let left = decision.remaining.unwrap_or(Amount::ZERO);
    match decision.reason {
        None if decision.overage > Amount::ZERO => format!("allowed, {} to bill", decision.overage),
        None => format!("allowed, {left} left"),
        Some(reason) => {
            let hours = decision.retry_after.map_or_else(|| "never".to_owned(), |ms| format!("in {} h", ms / HOUR));
            format!("denied ({reason}), {left} left, try again {hours}")
        }
    }
}
