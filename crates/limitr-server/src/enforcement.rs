//! Enforcement for languages without an SDK: operations of the engine on one customer, run on the server's.
//!
//! All of them are one table. None changes the policy, and none is about all customers.

mod arguments;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, RefOr, Required, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use self::arguments::{Argument, CALL, ENTITLEMENT, ESTIMATE, OBSERVE, READ, RELEASE, RESERVE, SETTLE, STEP};
use crate::accounts::roles::Permission;
use crate::http::auth::Caller;
use crate::http::idempotency::Post;
use crate::http::problem::Problem;
use crate::state::App;
use crate::usage::amounts::Amount;

/// An operation of the engine.
#[derive(Debug)]
struct Operation {
    name: &'static str,
    about: &'static str,
    arguments: &'static [Argument],
    answer: Answer,
    /// Whether something can be different afterwards.
    changes: bool,
}

/// What it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Decision,
    Explanation,
    /// An id, or null.
    Hold,
    /// True or false.
    Flag,
    /// A number, or null.
    Number,
    /// An object, or null.
    Record,
}

/// What was decided. A denial is an everyday outcome, not an error.
#[derive(ToSchema)]
#[schema(as = Decision, example = json!({
    "allowed": false, "reason": "limit", "remaining": 800, "resets_at": 1_768_521_600_000_i64, "retry_after": 3_600_000,
    "metered": 0, "overage": 0, "covered": 0
}))]
#[allow(dead_code, reason = "says how the engine writes decisions")]
struct Decision {
    /// Whether the call may go ahead, and has been metered.
    allowed: bool,
    /// Why not: `unknown_customer`, `unknown_entitlement`, `no_scope_customer`, `invalid_value`, `cap`, `governor` or
    /// `limit`.
    reason: Option<String>,
    /// What is left of the limit, without grants; negative past a soft limit.
    remaining: Option<Amount>,
    /// When the limit's period ends, in ms since 1970.
    resets_at: Option<i64>,
    /// In how many ms the same call may pass, as far as time alone decides that.
    retry_after: Option<i64>,
    /// Units metered; 0 when denied.
    metered: Amount,
    /// Units past the limit to bill, after grants.
    overage: Amount,
    /// Units that grants covered.
    covered: Amount,
}

const OPERATIONS: &[Operation] = &[
    used("allow", "Decides whether a customer may use so much of an entitlement, and meters it.", CALL),
    asked("check", "What `allow` would say. Nothing is metered.", CALL, Answer::Decision),
    used("increment", "`allow` of the limit's increment.", STEP),
    used("decrement", "`allow` of minus the limit's increment.", STEP),
    asked("check_increment", "What `increment` would say. Nothing is metered.", STEP, Answer::Decision),
    asked("check_decrement", "What `decrement` would say. Nothing is metered.", STEP, Answer::Decision),
    used("set", "`allow` of whatever brings the meter to a value.", CALL),
    asked("explain", "What `check` says, with every step and number that led to it.", CALL, Answer::Explanation),
    Operation {
        name: "reserve",
        about: "Holds room for a call to come. The result is the id of the hold, null when there is no room.",
        arguments: RESERVE,
        answer: Answer::Hold,
        changes: true,
    },
    used("settle", "Records what a reserved call has used, and drops its hold.", SETTLE),
    Operation {
        name: "release",
        about: "Drops a hold. The result is whether there was one.",
        arguments: RELEASE,
        answer: Answer::Flag,
        changes: true,
    },
    asked("estimate", "What a call is expected to use.", ESTIMATE, Answer::Record),
    Operation {
        name: "observe",
        about: "Learns from a call that was not reserved. The result is whether anything was learned.",
        arguments: OBSERVE,
        answer: Answer::Flag,
        changes: true,
    },
    asked("remaining", "What is left of an entitlement.", READ, Answer::Number),
    asked("value", "What has been used of an entitlement in the running period.", READ, Answer::Number),
    asked("limit", "The limit of an entitlement.", READ, Answer::Number),
    asked("allowance", "How much of an entitlement a governor would let through at once.", ENTITLEMENT, Answer::Number),
    asked("held", "How much of an entitlement is held for calls to come.", ENTITLEMENT, Answer::Number),
    asked("resets", "When the running period ends, in ms since 1970.", ENTITLEMENT, Answer::Number),
    asked("rate", "How fast an entitlement is used, in units a second.", ENTITLEMENT, Answer::Number),
    asked("limit_obj", "The definition of the limit in force.", ENTITLEMENT, Answer::Record),
];

/// A call that meters.
const fn used(name: &'static str, about: &'static str, arguments: &'static [Argument]) -> Operation {
    Operation { name, about, arguments, answer: Answer::Decision, changes: true }
}

/// A question.
const fn asked(name: &'static str, about: &'static str, arguments: &'static [Argument], answer: Answer) -> Operation {
    Operation { name, about, arguments, answer, changes: false }
}

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OPERATIONS.iter().fold(OpenApiRouter::new(), |router, operation| router.routes(operation.route()))
}

#[derive(Serialize)]
struct Answered {
    result: Value,
}

impl Operation {
    fn route(&'static self) -> UtoipaMethodRouter<Arc<App>> {
        let handler = move |State(app): State<Arc<App>>, caller: Caller, post: Post<Map<String, Value>>| async move {
            self.answer(app, caller, post).await
        };
        let mut paths = Paths::new();
        paths.add_path_operation(format!("/{}", self.name), vec![HttpMethod::Post], self.described());
        let schemas = vec![(Amount::name().into_owned(), Amount::schema())];
        (schemas, paths, post(handler))
    }

    async fn answer(
        &'static self,
        app: Arc<App>,
        caller: Caller,
        Post { body, once }: Post<Map<String, Value>>,
    ) -> Result<Response, Problem> {
        caller.require(Permission::Enforce)?;
        if !self.changes {
            let result = self.run(&app, &caller, body).await?;
            return Ok(Json(Answered { result }).into_response());
        }
        once.apart(app, caller, move |app, caller| async move {
            let result = self.run(&app, &caller, body).await?;
            Ok((StatusCode::OK, Answered { result }))
        })
        .await
    }

    async fn run(&self, app: &App, caller: &Caller, mut arguments: Map<String, Value>) -> Result<Value, Problem> {
        if self.answer == Answer::Decision {
            // Not only whether, but why.
            arguments.insert("decision".to_owned(), true.into());
        }
        let mut operation = Map::new();
        operation.insert(self.name.to_owned(), arguments.into());
        app.engines.call(&caller.workspace, operation.into()).await.map_err(|problem| problem.inside(self.name))
    }

    fn described(&self) -> OperationBuilder {
        let required = self.arguments.iter().filter(|argument| argument.required).map(|argument| argument.name);
        let body = self
            .arguments
            .iter()
            .fold(ObjectBuilder::new(), |body, argument| body.property(argument.name, argument.schema()));
        let body = required.fold(body, ObjectBuilder::required);
        let example: Map<String, Value> = self
            .arguments
            .iter()
            .filter_map(|argument| Some((argument.name.to_owned(), argument.example()?)))
            .collect();
        let content = ContentBuilder::new().schema(Some(body.build())).example(Some(example.into())).build();
        let request = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        let result = ObjectBuilder::new().property("result", self.answer.schema()).required("result").build();
        let content = ContentBuilder::new().schema(Some(result)).example(self.answer.example()).build();
        let response = ResponseBuilder::new().description("The answer.").content("application/json", content).build();
        let described = OperationBuilder::new()
            .tag("enforcement")
            .summary(Some(self.about))
            .request_body(Some(request.build()))
            .response("200", response);
        if !self.changes {
            return described;
        }
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .description(Some("Makes repetitions harmless."))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()));
        described.parameter(key)
    }
}

impl Answer {
    fn schema(self) -> RefOr<Schema> {
        let of = |kind: Type| RefOr::T(ObjectBuilder::new().schema_type(kind).build().into());
        match self {
            Self::Decision => Decision::schema(),
            Self::Hold => arguments::or_null(Type::String),
            Self::Flag => of(Type::Boolean),
            Self::Number => arguments::or_null(Type::Number),
            Self::Explanation => of(Type::Object),
            Self::Record => arguments::or_null(Type::Object),
        }
    }

    fn example(self) -> Option<Value> {
        let result = match self {
            Self::Decision => json!({
                "allowed": true, "remaining": 498_800, "resets_at": 1_768_521_600_000_i64, "metered": 1200,
                "overage": 0, "covered": 0
            }),
            Self::Hold => json!("0GJ7cK3mQ2aXz5R8u"),
            Self::Flag => json!(true),
            Self::Number => json!(498_800),
            Self::Explanation | Self::Record => return None,
        };
        Some(json!({"result": result}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_one_of_the_engine_and_takes_what_it_is_said_to_take() {
        let limitr = limitr::Limitr::builder().policy_value(&json!({})).unwrap();
        for operation in OPERATIONS {
            let example = operation.arguments.iter().map(|argument| {
                let example = argument.example().unwrap_or_else(|| argument.any());
                (argument.name.to_owned(), example)
            });
            // All at once; `context` and `event` are two names of one thing.
            let mut arguments: Map<String, Value> = example.collect();
            if arguments.contains_key("event") {
                arguments.remove("context");
            }
            if operation.answer == Answer::Decision {
                arguments.insert("decision".to_owned(), true.into());
            }
            let mut whole = Map::new();
            whole.insert(operation.name.to_owned(), arguments.into());
            let said = limitr::call(&limitr, &whole.into());
            assert!(said.is_ok(), "{}: {said:?}", operation.name);
        }
    }
}
