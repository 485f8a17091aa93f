//! Documents as they come in, and what is wrong with them.

use std::sync::Arc;

use axum::Json;
use limitr::policy::{Policy, parse_document};
use limitr::{Format, Position};
use limitr_sync::{FromServer, MAX_FRAME, PolicyVersion};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(validate))
}

/// The format of a policy document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PolicyFormat)]
pub(super) enum DocumentFormat {
    Yaml,
    Json,
    Toml,
    Stof,
}

impl From<DocumentFormat> for Format {
    fn from(format: DocumentFormat) -> Self {
        match format {
            DocumentFormat::Yaml => Self::Yaml,
            DocumentFormat::Json => Self::Json,
            DocumentFormat::Toml => Self::Toml,
            DocumentFormat::Stof => Self::Stof,
        }
    }
}

/// A policy document in one of the formats.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PolicyDocument, example = json!({
    "format": "yaml",
    "document": "policy:\n  credits: {token: {}}\n  plans: {free: {default: true}}\n"
}))]
pub(super) struct Document {
    pub(super) format: DocumentFormat,
    /// Its text.
    pub(super) document: String,
}

/// A document that can be published: what it says is valid, and engines take it.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) format: Format,
    pub(super) text: String,
    pub(super) policy: Policy,
}

/// Why a document cannot be published.
#[derive(Debug)]
pub(super) enum Refusal {
    Invalid(limitr::Error),
    /// It is valid, and not for a server.
    Unusable {
        code: &'static str,
        path: &'static str,
        message: String,
        hint: &'static str,
    },
}

/// One finding in a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyFinding)]
pub(super) struct Finding {
    /// Stable, to match on.
    #[schema(value_type = String, example = "unknown_field")]
    code: &'static str,
    /// Where in the document.
    #[schema(example = "policy.plans.pro.entitlements.chat.limit.valeu")]
    path: String,
    /// What is wrong.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Line in the text, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
}

/// Reads and checks a document, away from the threads that answer requests.
pub(super) async fn check(format: Format, text: String) -> Result<Result<Checked, Refusal>, Problem> {
    spawn_blocking(move || check_now(format, text)).await.map_err(|error| Problem::internal(&error))
}

pub(super) fn check_now(format: Format, text: String) -> Result<Checked, Refusal> {
    let document = parse_document(&text, format, true).map_err(Refusal::Invalid)?;
    if !document.customers.is_empty() {
        return Err(Refusal::Unusable {
            code: "customers_in_policy",
            path: "policy.customers",
            message: "the document has customers in it, which are no part of a policy here".to_owned(),
            hint: "take them out, and create them with `POST /api/v1/customers`",
        });
    }
    // Ids are of one length: any of it will do to measure the frame in which engines get the document.
    let version = PolicyVersion { id: " ".repeat(32), number: u64::MAX, format: format.to_string(), document: text };
    let frame = FromServer::Policy(version.clone()).text().len();
    if frame > MAX_FRAME {
        return Err(Refusal::Unusable {
            code: "document_too_large",
            path: "document",
            message: format!("engines cannot be sent the document: it makes {frame} bytes of {MAX_FRAME}"),
            hint: "make it smaller; free data in it may belong elsewhere",
        });
    }
    Ok(Checked { format, text: version.document, policy: document.policy })
}

impl Refusal {
    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(error) => error.problems().iter().map(Finding::from).collect(),
            Self::Unusable { code, path, message, hint } => {
                let (path, hint) = ((*path).to_owned(), Some((*hint).to_owned()));
                vec![Finding { code, path, message: message.clone(), hint, line: None, column: None }]
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(error) => error.into(),
            Refusal::Unusable { code, path, message, hint } => {
                Self::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, code, message).at(path).hint(hint)
            }
        }
    }
}

impl From<&limitr::Problem> for Finding {
    fn from(problem: &limitr::Problem) -> Self {
        let limitr::Problem { code, path, message, hint, at, .. } = problem.clone();
        let (line, column) = at.map(|Position { line, column }| (line, column)).unzip();
        Self { code, path, message, hint, line, column }
    }
}

/// What is wrong with a document.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyValidation)]
struct Validation {
    /// Whether it could be published.
    valid: bool,
    /// Every problem; none when it is valid.
    problems: Vec<Finding>,
}

/// Says what is wrong with a document.
///
/// Nothing is stored. What this calls valid can be published.
#[utoipa::path(post, path = "/policies/validate", tag = "policies", request_body = Document,
    responses((status = 200, description = "Every problem of it.", body = Validation, example = json!({
        "valid": false,
        "problems": [{
            "code": "unknown_field",
            "path": "policy.plans.pro.entitlements.chat.limit.valeu",
            "message": "unknown field `valeu`",
            "hint": "did you mean `value`?",
            "line": 7,
            "column": 13
        }]
    }))))]
async fn validate(
    caller: Caller,
    Body(Document { format, document }): Body<Document>,
) -> Result<Json<Validation>, Problem> {
    caller.require(Permission::Read)?;
    let problems = check(format.into(), document).await?.err().map(|refusal| refusal.findings()).unwrap_or_default();
    Ok(Json(Validation { valid: problems.is_empty(), problems }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(format: Format, text: &str) -> Vec<Finding> {
        check_now(format, text.to_owned()).unwrap_err().findings()
    }

    #[test]
    fn customers_do_not_come_with_a_policy() {
        let text = "policy: {plans: {free: {default: true}}, customers: {ann: {id: ann, plan: free}}}";
        assert_eq!(refusal(Format::Yaml, text)[0].code, "customers_in_policy");
    }

    #[test]
    fn a_document_fits_the_frame_that_it_is_sent_in() {
        // A quote takes two bytes in JSON.
        let of = |quotes: usize| format!("policy: {{x-note: '{}'}}", "\"".repeat(quotes));
        check_now(Format::Yaml, of(500_000)).unwrap();
        assert_eq!(refusal(Format::Yaml, &of(530_000))[0].code, "document_too_large");
    }

    #[test]
    fn problems_say_where_they_are() {
        let findings = refusal(Format::Yaml, "policy:\n  plans:\n    pro: {defualt: true}\n");
        let found = findings.iter().map(|finding| (finding.code, &*finding.path, finding.line)).collect::<Vec<_>>();
        assert_eq!(found, [("unknown_field", "policy.plans.pro.defualt", Some(3))]);
    }

    #[test]
    fn every_format_is_read() {
        for (format, text) in [
            (Format::Yaml, "policy: {credits: {c: {}}}"),
            (Format::Json, r#"{"policy": {"credits": {"c": {}}}}"#),
            (Format::Toml, "[policy.credits.c]\n"),
            (Format::Stof, "policy: { credits: { c: {} } }"),
        ] {
            let checked = check_now(format, text.to_owned()).unwrap();
            assert!(checked.policy.credits.contains_key("c"), "{format}");
        }
    }
}
