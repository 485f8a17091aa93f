//! `Idempotency-Key`: a POST that is sent again does not happen again.
//!
//! The key is claimed in the transaction of the change itself, so both happen or neither: a failed attempt leaves no claim,
//! and of two at once the second waits for the first and gets its answer.
//!
//! ```ignore
//! async fn create(State(app): State<Arc<App>>, caller: Caller, post: Post<NewPlan>) -> Result<Response, Problem> {
//!     caller.require(Permission::EditDrafts)?;
//!     let mut work = match post.once.begin(&app, &caller).await? {
//!         Begun::Work(work) => work,
//!         Begun::Done(response) => return Ok(response),
//!     };
//!     let plan = insert(&mut work.tx, &post.body).await?;
//!     work.finish(StatusCode::CREATED, &plan).await
//! }
//! ```

mod apart;

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::Caller;
use super::body;
use super::problem::Problem;
use crate::secret;
use crate::state::App;
use crate::store::Tx;
use crate::time::now;

const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotency-replayed";
const LONGEST: usize = 200;
/// The status of a key that is claimed and has no answer yet.
const UNANSWERED: i64 = 0;

/// A POST: its body, and what makes it happen once.
#[derive(Debug)]
pub(crate) struct Post<T> {
    pub(crate) body: T,
    pub(crate) once: Once,
}

/// The key of a POST, if it came with one.
#[derive(Debug)]
pub(crate) struct Once(Option<Key>);

#[derive(Debug)]
struct Key {
    key: String,
    /// Method and path.
    request: String,
    hash: String,
}

/// What a POST begins with.
pub(crate) enum Begun {
    /// It is new.
    Work(Work),
    /// It has happened; this was the answer.
    Done(Response),
}

/// A POST under way. Dropped without an end, nothing has happened.
pub(crate) struct Work {
    pub(crate) tx: Tx,
    claim: Option<(String, String)>,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Post<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let target = format!("{} {}", request.method(), request.uri().path());
        let key = key(&headers)?;
        let bytes = body::read(request, app).await?;
        let body = body::json(&headers, &bytes)?;
        let hash = || secret::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
        let once = Once(key.map(|key| Key { key, request: target, hash: hash() }));
        Ok(Self { body, once })
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(header) = headers.get(HEADER) else { return Ok(None) };
    let key = header.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST {
        let detail = format!("the key has 1 to {LONGEST} ASCII characters");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_key", detail).at("Idempotency-Key"));
    }
    Ok(Some(key.to_owned()))
}

impl Once {
    /// Begins the transaction of a POST. What the caller may do has been asked before: an answer is given to the same
    /// workspace only, but to whoever in it knows the key.
    pub(crate) async fn begin(self, app: &App, caller: &Caller) -> Result<Begun, Problem> {
        let mut tx = app.store.begin_write().await?;
        let Some(key) = self.0 else { return Ok(Begun::Work(Work { tx, claim: None })) };
        let claim = sqlx::query(
            "INSERT INTO idempotency (workspace, key, request, request_hash, status, response, created_at) \
             VALUES ($1, $2, $3, $4, $5, '', $6) ON CONFLICT (workspace, key) DO NOTHING",
        );
        let claimed = claim
            .bind(&caller.workspace)
            .bind(&key.key)
            .bind(&key.request)
            .bind(&key.hash)
            .bind(UNANSWERED)
            .bind(now())
            .execute(&mut *tx);
        if claimed.await?.rows_affected() == 1 {
            return Ok(Begun::Work(Work { tx, claim: Some((caller.workspace.clone(), key.key)) }));
        }
        let (request, hash, status, response): (String, String, i64, String) = sqlx::query_as(
            "SELECT request, request_hash, status, response FROM idempotency WHERE workspace = $1 AND key = $2",
        )
        .bind(&caller.workspace)
        .bind(&key.key)
        .fetch_one(&mut *tx)
        .await?;
        tx.rollback().await?;
        if request != key.request || hash != key.hash {
            let detail = "the key has been used for another request";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", detail)
                .at("Idempotency-Key")
                .hint("take a new key for every request, and the same one only to send it again"));
        }
        if status == UNANSWERED {
            let detail = "a request with this key is under way, or was interrupted";
            return Err(Problem::conflict("in_progress", detail)
                .at("Idempotency-Key")
                .retry_after(1)
                .hint("send it again in a moment; if it stays so, see whether it happened, and go on with a new key"));
        }
        Ok(Begun::Done(replay(status, response)?))
    }
}

fn replay(status: i64, response: String) -> Result<Response, Problem> {
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or_else(|| Problem::internal(&"a stored response has no status"))?;
    let mut replayed = if response.is_empty() { status.into_response() } else { (status, response).into_response() };
    if status != StatusCode::NO_CONTENT {
        replayed.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    replayed.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(replayed)
}

impl Work {
    /// Commits, and answers.
    pub(crate) async fn finish(self, status: StatusCode, answer: &impl Serialize) -> Result<Response, Problem> {
        self.finish_secret(status, answer, answer).await
    }

    /// Commits, and answers once with a secret that is not stored: a repetition gets `stored`.
    pub(crate) async fn finish_secret(
        self,
        status: StatusCode,
        answer: &impl Serialize,
        stored: &impl Serialize,
    ) -> Result<Response, Problem> {
        let stored = serde_json::to_string(stored).map_err(|error| Problem::internal(&error))?;
        self.commit(status, &stored).await?;
        Ok((status, Json(answer)).into_response())
    }

    /// Commits, and answers with nothing.
    pub(crate) async fn finish_empty(self) -> Result<Response, Problem> {
        self.commit(StatusCode::NO_CONTENT, "").await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    async fn commit(mut self, status: StatusCode, response: &str) -> Result<(), Problem> {
        if let Some((workspace, key)) = &self.claim {
            answer(&mut self.tx, (workspace, key), status, response).await?;
        }
        Ok(self.tx.commit().await?)
    }
}

/// Keeps the answer for repetitions.
async fn answer(tx: &mut Tx, (workspace, key): (&str, &str), status: StatusCode, response: &str) -> sqlx::Result<()> {
    let update = sqlx::query("UPDATE idempotency SET status = $1, response = $2 WHERE workspace = $3 AND key = $4");
    let status = i64::from(status.as_u16());
    update.bind(status).bind(response).bind(workspace).bind(key).execute(&mut **tx).await?;
    Ok(())
}
