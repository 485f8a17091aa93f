//! Tickets: what an engine connects with, so that no token is ever in the address of a WebSocket.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::roles::Permission;
use super::tokens;
use crate::http::body::Body;
use crate::http::peer::Peer;
use crate::http::problem::Problem;
use crate::secret::{self, Secret};
use crate::state::App;
use crate::store::Store;
use crate::time::{Millis, SECOND, now};

const PREFIX: &str = "limitr_ticket_";
const LIFETIME: Millis = 30 * SECOND;

/// Relative to the root and to the API: engines know the one, the document has both.
pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(issue))
}

/// A token that may connect.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Connecting {
    token: String,
}

/// What to connect with.
#[derive(Serialize, ToSchema)]
struct Ticket {
    ticket: String,
    /// It connects once, until then.
    expires_at: Millis,
}

/// Changes a token into a ticket for one connection: `GET /wss?ticket=...`.
#[utoipa::path(post, path = "/wss/ticket", tag = "engines", security(()), request_body = Connecting,
    responses((status = 200, description = "The ticket.", body = Ticket)))]
async fn issue(State(app): State<Arc<App>>, peer: Peer, body: Body<Connecting>) -> Result<Json<Ticket>, Problem> {
    app.limits.tickets.take(&peer.0)?;
    let Body(Connecting { token }) = body;
    let token = tokens::find_valid(&app.store, &token).await?;
    let token = token.ok_or_else(|| {
        Problem::unauthenticated("invalid_token", "the token is unknown, revoked or expired").at("token")
    })?;
    if !token.scope.allows(Permission::Connect) {
        let detail = format!("a token of scope `{}` may not connect", token.scope);
        return Err(Problem::forbidden(detail).at("token").hint("make one of scope `engine`"));
    }
    make(&app.store, &token).await.map(Json)
}

async fn make(store: &Store, token: &tokens::Valid) -> Result<Ticket, Problem> {
    let ticket = Secret::random(PREFIX)?;
    let expires_at = now() + LIFETIME;
    let mut tx = store.begin_write().await?;
    sqlx::query("INSERT INTO tickets (hash, token, workspace, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(ticket.hash())
        .bind(&token.id)
        .bind(&token.workspace)
        .bind(expires_at)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Ticket { ticket: ticket.reveal().to_owned(), expires_at })
}

#[derive(FromRow)]
struct Row {
    token: String,
    workspace: String,
    expires_at: Millis,
}

/// Redeems a ticket, on whichever node: the token it was issued for, once.
pub(crate) async fn redeem(store: &Store, ticket: &str) -> Result<tokens::Valid, Problem> {
    let mut tx = store.begin_write().await?;
    let ticket: Option<Row> =
        sqlx::query_as("DELETE FROM tickets WHERE hash = $1 RETURNING token, workspace, expires_at")
            .bind(secret::hash(ticket))
            .fetch_optional(&mut *tx)
            .await?;
    let mut token = None;
    if let Some(ticket) = ticket.filter(|ticket| ticket.expires_at > now()) {
        token = tokens::of_ticket(&mut tx, &ticket.workspace, &ticket.token).await?;
    }
    tx.commit().await?;
    token.ok_or_else(|| {
        Problem::new(StatusCode::UNAUTHORIZED, "invalid_ticket", "the ticket is unknown, used or expired")
            .at("ticket")
            .hint("get another one: POST /wss/ticket")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Actor;
    use crate::config::Config;
    use crate::database::{BOTH, Database};

    async fn store(database: &Database) -> Store {
        let config = Config {
            database: crate::Database::parse(&database.url).unwrap(),
            data_dir: database.directory().to_owned(),
            ..Config::default()
        };
        Store::open(&config).await.unwrap()
    }

    async fn token(store: &Store) -> tokens::Valid {
        let mut tx = store.begin_write().await.unwrap();
        sqlx::query("INSERT INTO workspaces (id, name, created_at) VALUES ('w', 'w', 1) ON CONFLICT DO NOTHING")
            .execute(&mut *tx)
            .await
            .unwrap();
        let new = ("engine".to_owned(), crate::accounts::roles::Scope::Engine, None);
        let (_, secret) = tokens::add(&mut tx, "w", &Actor::system(), new).await.unwrap();
        tx.commit().await.unwrap();
        tokens::find_valid(store, secret.reveal()).await.unwrap().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_ticket_is_redeemed_once_on_whichever_node() {
        for kind in BOTH {
            let database = Database::new(kind).await;
            let nodes = [store(&database).await, store(&database).await];
            let token = token(&nodes[0]).await;
            let ticket = make(&nodes[0], &token).await.unwrap();
            let redeemed = redeem(&nodes[1], &ticket.ticket).await.unwrap();
            assert_eq!((redeemed.id, redeemed.workspace), (token.id.clone(), "w".to_owned()));
            assert_eq!(redeem(&nodes[0], &ticket.ticket).await.unwrap_err().status(), 401);
            assert_eq!(redeem(&nodes[0], "limitr_ticket_x").await.unwrap_err().status(), 401);

            // Of many who come with the same one, on both nodes at once, one gets in.
            let ticket = make(&nodes[0], &token).await.unwrap().ticket;
            let attempts = (0..6).map(|n| redeem(&nodes[n % 2], &ticket));
            let attempts = futures_util::future::join_all(attempts).await;
            assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);

            let ticket = make(&nodes[0], &token).await.unwrap().ticket;
            let mut tx = nodes[0].begin_write().await.unwrap();
            sqlx::query("UPDATE tickets SET expires_at = $1").bind(now()).execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(redeem(&nodes[0], &ticket).await.unwrap_err().status(), 401);
            for node in nodes {
                node.close().await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn which_tokens_do_not_hold_any_more() {
        for kind in BOTH {
            let database = Database::new(kind).await;
            let store = store(&database).await;
            let mut ids = Vec::new();
            for _ in 0..4 {
                ids.push(token(&store).await.id);
            }
            assert_eq!(tokens::revoked(&store, &ids).await.unwrap(), [""; 0]);
            assert_eq!(tokens::revoked(&store, &[]).await.unwrap(), [""; 0]);
            let mut tx = store.begin_write().await.unwrap();
            for (column, id) in [("revoked_at", &ids[0]), ("expires_at", &ids[1])] {
                let sql = sqlx::AssertSqlSafe(format!("UPDATE tokens SET {column} = $1 WHERE id = $2"));
                sqlx::query(sql).bind(now()).bind(id).execute(&mut *tx).await.unwrap();
            }
            sqlx::query("DELETE FROM tokens WHERE id = $1").bind(&ids[2]).execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(tokens::revoked(&store, &ids).await.unwrap(), ids[..3]);
            store.close().await;
        }
    }
}
