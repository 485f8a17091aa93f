//! `limitr validate`: everything that is wrong with a policy.

use std::io::Write;

use limitr::policy::{Policy, parse_document};
use limitr::{Error, Limitr};
use limitr_cli::Finding;
use serde_json::json;

use crate::cli::Validate;
use crate::input::{self, Source};
use crate::outcome::{Exit, Outcome, Trouble};
use crate::report::counted;

pub(super) fn run(arguments: &Validate, out: &mut dyn Write) -> Outcome {
    let source = input::read(&arguments.file, arguments.format.map(Into::into))?;
    let checked = check(&source);
    if arguments.json {
        let findings = checked.as_ref().err().map(Finding::of).unwrap_or_default();
        writeln!(out, "{}", json!({"valid": checked.is_ok(), "problems": findings}))?;
        return Ok(Exit::yes(checked.is_ok()));
    }
    match checked {
        Ok(policy) => {
            writeln!(out, "{} is valid: {}", source.name, contents(&policy))?;
            Ok(Exit::Fine)
        }
        Err(error) => {
            let findings = Finding::of(&error);
            Err(Trouble::Findings { source: Box::new(source), findings, exit: Exit::No })
        }
    }
}

fn check(source: &Source) -> Result<Policy, Error> {
    let document = parse_document(&source.text, source.format, true)?;
    // An engine also reads the customers that come with the policy.
    Limitr::builder().policy(&source.text, source.format)?;
    Ok(document.policy)
}

fn contents(policy: &Policy) -> String {
    let inner = |count: fn(&limitr::policy::Plan) -> usize| policy.plans.values().map(count).sum::<usize>();
    let counts = [
        (policy.plans.len(), "plan"),
        (policy.credits.len(), "credit"),
        (inner(|plan| plan.entitlements.len()), "entitlement"),
        (inner(|plan| plan.topups.len()), "topup"),
        (policy.exchange.pairs.len(), "exchange rate"),
        (policy.notifications.len(), "notification"),
    ];
    let shown = counts.iter().filter(|(count, what)| *count > 0 || matches!(*what, "plan" | "credit"));
    shown.map(|(count, what)| counted(*count, what)).collect::<Vec<_>>().join(", ")
}
