-- Policies being written.
CREATE TABLE drafts (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- yaml, json, toml or stof.
    format TEXT NOT NULL,
    document TEXT NOT NULL,
    -- Goes up with every change.
    revision BIGINT NOT NULL,
    -- The published version that it follows.
    base_version TEXT,
    -- Who began it: the id, and what people call it.
    author TEXT NOT NULL,
    author_name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX drafts_by_age ON drafts (workspace, created_at, id);

-- What was published. Rows are added and never changed; which one is in force is in workspaces.active_version.
CREATE TABLE versions (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    -- 1 and on, without gaps.
    number BIGINT NOT NULL,
    format TEXT NOT NULL,
    document TEXT NOT NULL,
    note TEXT NOT NULL,
    author TEXT NOT NULL,
    author_name TEXT NOT NULL,
    at BIGINT NOT NULL,
    -- SHA-256 of the document, hexadecimal.
    hash TEXT NOT NULL,
    -- The version whose document was published again.
    rollback_of TEXT,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, number)
);

-- What is asked about one customer, or page by page about a workspace.
CREATE INDEX audit_by_subject ON audit (workspace, subject, id);
CREATE INDEX ledger_by_workspace ON ledger (workspace, id);
