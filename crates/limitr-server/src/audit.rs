//! Every change leaves an entry: who, what, before, after, when.

use serde::Serialize;
use serde_json::Value;

use crate::store::Tx;
use crate::time::now;

/// Who changes something.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) kind: ActorKind,
    pub(crate) id: String,
    /// An email address, or the name of a token.
    pub(crate) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActorKind {
    User,
    Token,
    System,
}

impl ActorKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::System => "system",
        }
    }
}

impl Actor {
    /// The server by itself.
    pub(crate) fn system() -> Self {
        Self { kind: ActorKind::System, id: "limitr".to_owned(), name: "limitr".to_owned() }
    }
}

/// One change. `action` is noun and verb, `token.create`; `subject` the id of what was changed.
pub(crate) struct Entry<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) actor: &'a Actor,
    pub(crate) action: &'static str,
    pub(crate) subject: &'a str,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(workspace: &'a str, actor: &'a Actor, action: &'static str, subject: &'a str) -> Self {
        Self { workspace, actor, action, subject, before: None, after: None }
    }

    /// How it was. The record as the API shows it, so that no secret can be in it.
    #[must_use]
    pub(crate) fn before(mut self, record: &impl Serialize) -> Self {
        self.before = serde_json::to_value(record).ok();
        self
    }

    /// How it is now.
    #[must_use]
    pub(crate) fn after(mut self, record: &impl Serialize) -> Self {
        self.after = serde_json::to_value(record).ok();
        self
    }
}

/// Writes the entry with the change, or not at all.
pub(crate) async fn write(tx: &mut Tx, entry: &Entry<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO audit (workspace, at, actor_kind, actor, actor_name, action, subject, before, after) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(entry.workspace)
    .bind(now())
    .bind(entry.actor.kind.as_str())
    .bind(&entry.actor.id)
    .bind(&entry.actor.name)
    .bind(entry.action)
    .bind(entry.subject)
    .bind(entry.before.as_ref().map(Value::to_string))
    .bind(entry.after.as_ref().map(Value::to_string))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
