//! Who calls: a person with a session's cookie, or a program with a token.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::problem::Problem;
use crate::accounts::roles::{Permission, Scope};
use crate::accounts::{self, Session, tokens};
use crate::audit::{Actor, ActorKind};
use crate::secret;
use crate::state::App;

pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// The caller of a request, known and with what it may do. As an extractor it refuses everybody else.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) workspace: String,
    pub(crate) actor: Actor,
    pub(crate) authority: Authority,
}

/// Where what a caller may do comes from.
#[derive(Debug, Clone)]
pub(crate) enum Authority {
    Person(Session),
    Token(Scope),
}

impl Caller {
    /// Refuses a caller that may not.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        let (allowed, whose) = match &self.authority {
            Authority::Person(session) => (session.role.allows(permission), format!("the role `{}`", session.role)),
            Authority::Token(scope) => (scope.allows(permission), format!("a token of scope `{scope}`")),
        };
        if allowed {
            return Ok(());
        }
        Err(Problem::forbidden(format!("{whose} may not do this")))
    }

    /// For what only people do: their own password, their own session.
    pub(crate) fn person(&self) -> Result<&Session, Problem> {
        match &self.authority {
            Authority::Person(session) => Ok(session),
            Authority::Token(_) => Err(Problem::forbidden("this is for people: log in")),
        }
    }

    fn of_session(session: Session) -> Self {
        let actor = Actor { kind: ActorKind::User, id: session.user.clone(), name: session.email.clone() };
        Self { workspace: session.workspace.clone(), actor, authority: Authority::Person(session) }
    }

    fn of_token(token: tokens::Valid) -> Self {
        let actor = Actor { kind: ActorKind::Token, id: token.id, name: token.name };
        Self { workspace: token.workspace, actor, authority: Authority::Token(token.scope) }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = identify(&parts.method, &parts.headers, app).await?;
        tracing::Span::current().record("workspace", &caller.workspace).record("actor", &caller.actor.id);
        Ok(caller)
    }
}

async fn identify(method: &Method, headers: &HeaderMap, app: &App) -> Result<Caller, Problem> {
    if let Some(header) = headers.get(AUTHORIZATION) {
        let token = header.to_str().ok().and_then(bearer);
        let token = token.ok_or_else(|| {
            Problem::unauthenticated("invalid_authorization", "the header `Authorization` cannot be read")
                .at("Authorization")
                .hint("send `Authorization: Bearer limitr_...`")
        })?;
        return tokens::find_valid(&app.store, token).await?.map(Caller::of_token).ok_or_else(|| {
            Problem::unauthenticated("invalid_token", "the token is unknown, revoked or expired").at("Authorization")
        });
    }
    let name = if app.config.is_https() { accounts::SECURE_COOKIE } else { accounts::COOKIE };
    let Some(cookie) = cookie(headers, name) else {
        return Err(Problem::unauthenticated("unauthenticated", "this needs a session or a token")
            .hint("log in, or send `Authorization: Bearer limitr_...`"));
    };
    let session = Session::find(&app.store, cookie).await?;
    let session = session.ok_or_else(|| Problem::unauthenticated("session_ended", "the session has ended: log in"))?;
    if !method.is_safe() {
        let sent = headers.get(CSRF_HEADER).and_then(|header| header.to_str().ok()).unwrap_or_default();
        if !secret::same(sent, &session.csrf) {
            return Err(Problem::new(axum::http::StatusCode::FORBIDDEN, "csrf", "the CSRF token is missing or wrong")
                .at("X-CSRF-Token")
                .hint("send the `csrf` of `GET /api/v1/me` in the header `X-CSRF-Token`"));
        }
    }
    Ok(Caller::of_session(session))
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut pairs = pairs.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
