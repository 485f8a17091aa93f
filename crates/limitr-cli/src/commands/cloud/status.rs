//! `limitr cloud status`: who is logged in where, and what is in force there.

use serde_json::{Value, json};

use super::Shown;
use super::api::Api;
use super::problem::Failure;
use super::shown::{text, time, version};
use super::table::lines;
use crate::outcome::Outcome;

pub(super) fn run(api: &Api, shown: &mut Shown<'_>) -> Outcome {
    let mut me = api.get(&["me"], &[])?;
    if let Some(me) = me.as_object_mut() {
        me.shift_remove("csrf");
    }
    let workspace = seen(api.get(&["workspace"], &[]))?;
    let policy = seen(api.get(&["policies", "versions", "active"], &[]))?.map(|mut version| {
        if let Some(version) = version.as_object_mut() {
            version.shift_remove("document");
        }
        version
    });
    let answer = json!({"server": api.server(), "me": me, "workspace": workspace, "policy": policy});
    shown.answer(&answer, lines_of)
}

/// What the caller may not see, and what is not there, is none.
fn seen(answer: Result<Value, Failure>) -> Result<Option<Value>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.is("forbidden") || failure.is("not_found") => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn lines_of(answer: &Value) -> String {
    let part = |field: &str| answer.get(field).filter(|part| !part.is_null());
    let me = part("me").cloned().unwrap_or_default();
    let who = match me.get("email") {
        Some(_) => format!("{} ({})", text(&me, "email"), text(&me, "role")),
        None => format!("token `{}` (scope {})", text(&me, "name"), text(&me, "scope")),
    };
    let workspace = match part("workspace") {
        Some(workspace) => format!("{} ({})", text(workspace, "name"), text(workspace, "id")),
        None => text(&me, "workspace"),
    };
    let policy = match part("policy") {
        Some(policy) => {
            let author = policy.get("author").map(|author| text(author, "name")).unwrap_or_default();
            let note = Some(text(policy, "note")).filter(|note| !note.is_empty()).map(|note| format!(": {note}"));
            format!("{}, {} by {author}{}", version(policy), time(policy, "at"), note.unwrap_or_default())
        }
        // Who may not see it is not told that there is none.
        None if part("workspace").is_some() => "none is published yet: `limitr cloud publish FILE`".to_owned(),
        None => String::new(),
    };
    lines(&[("server", text(answer, "server")), ("workspace", workspace), ("you", who), ("policy", policy)])
}
