//! `limitr explain`: how a call is decided, step by step.

use std::fmt::Write as _;
use std::io::Write;

use limitr::RandomIds;
use limitr_cli::session::Operation;
use serde_json::{Value, json};

use crate::cli::Explain;
use crate::outcome::{Exit, Outcome, Trouble};

pub(super) fn run(arguments: &Explain, out: &mut dyn Write) -> Outcome {
    let session = super::session(&arguments.world, RandomIds)?;
    let Explain { customer, entitlement, value, force, .. } = arguments;
    let ask = |verb: &str, arguments: Value| {
        let reply = session.run(&Operation { verb: verb.to_owned(), arguments });
        reply.result.map_err(|error| {
            let trouble = Trouble::new(error.message);
            error.hint.into_iter().fold(trouble, Trouble::hint)
        })
    };
    if let Some(plan) = &arguments.plan {
        if session.engine().customer(customer).is_some() {
            return Err(Trouble::new(format!("the customer `{customer}` is already there"))
                .hint("leave out `--plan`, or give another id"));
        }
        ask("create_customer", json!({"id": customer, "plan": plan}))?;
    }
    let mut call = json!({"customer": customer, "entitlement": entitlement, "value": value, "force": force});
    if let (Some(data), Some(fields)) = (&arguments.event, call.as_object_mut()) {
        fields.insert("event".to_owned(), data.clone());
    }
    let explanation = ask("explain", call)?;
    if arguments.json {
        writeln!(out, "{explanation}")?;
        return Ok(Exit::Fine);
    }
    write!(out, "{}", text(&explanation))?;
    if explanation.get("reason").and_then(Value::as_str) == Some("unknown_customer") {
        writeln!(out, "help: `--state` loads customers, `--plan` makes `{customer}` on a plan")?;
    }
    Ok(Exit::Fine)
}

/// An explanation for people: the outcome, the steps that led to it in columns, and what it means for the next call.
pub(super) fn text(explanation: &Value) -> String {
    let mut text = match explanation.get("reason").and_then(Value::as_str) {
        Some(reason) => format!("denied: {reason}\n"),
        None => "allowed\n".to_owned(),
    };
    let steps = explanation.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let word = |step: &Value, key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let rows: Vec<[String; 3]> =
        steps.iter().map(|step| [word(step, "rule"), word(step, "found"), numbers(step)]).collect();
    let width = |column: fn(&[String; 3]) -> &String| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or_default()
    };
    let (rule_width, found_width) = (width(|[rule, ..]| rule), width(|[_, found, _]| found));
    for [rule, found, numbers] in &rows {
        let row = format!("  {rule:rule_width$}  {found:found_width$}  {numbers}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", row.trim_end());
    }
    for (name, label) in [
        ("remaining", "remaining"),
        ("metered", "metered"),
        ("covered", "covered by grants"),
        ("overage", "overage"),
        ("resets_at", "resets at"),
        ("retry_after", "retry after"),
    ] {
        if let Some(value) = explanation.get(name).and_then(|value| outcome(name, value)) {
            let _ = writeln!(text, "{label}: {value}");
        }
    }
    text
}

fn numbers(step: &Value) -> String {
    let numbers = step.get("numbers").and_then(Value::as_object);
    let shown = numbers.into_iter().flatten().map(|(name, number)| format!("{name} {}", plain(number)));
    shown.collect::<Vec<_>>().join("  ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What there is to say about a number of the outcome.
fn outcome(name: &str, value: &Value) -> Option<String> {
    let nothing = value.is_null() || value.as_f64() == Some(0.0);
    match name {
        "metered" | "covered" | "overage" if nothing => None,
        _ if value.is_null() => None,
        "resets_at" => {
            let time = value.as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            Some(time.map_or_else(|| plain(value), |time| time.to_string()))
        }
        "retry_after" => Some(format!("{} ms", plain(value))),
        _ => Some(plain(value)),
    }
}
