CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- The policy version in force.
    active_version TEXT
);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    -- Lower case.
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- argon2id.
    password TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE members (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, user_id)
);
CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    -- The first characters, to tell tokens apart.
    hint TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX tokens_by_workspace ON tokens (workspace, created_at, id);

CREATE TABLE tickets (
    hash TEXT NOT NULL PRIMARY KEY,
    token TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

-- Setup links that nobody has redeemed.
CREATE TABLE setups (
    hash TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE TABLE audit (
    id {identity},
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    -- user, token or system.
    actor_kind TEXT NOT NULL,
    -- The id, which outlives the user or token, and what people call it.
    actor TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- JSON.
    before TEXT,
    after TEXT
);
CREATE INDEX audit_by_workspace ON audit (workspace, id);

CREATE TABLE idempotency (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    -- Method and path.
    request TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    status BIGINT NOT NULL,
    response TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);
