-- Customers as they stand, usage counted.
CREATE TABLE customers (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    -- Goes up with every change.
    version BIGINT NOT NULL,
    -- JSON, as the engine writes it.
    record TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);

-- Other ids that customers go by.
CREATE TABLE aliases (
    workspace TEXT NOT NULL,
    alt TEXT NOT NULL,
    customer TEXT NOT NULL,
    PRIMARY KEY (workspace, alt),
    FOREIGN KEY (workspace, customer) REFERENCES customers (workspace, id) ON DELETE CASCADE
);
CREATE INDEX aliases_by_customer ON aliases (workspace, customer);

-- Engines that have connected: what they sent is applied once.
CREATE TABLE engines (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    engine TEXT NOT NULL,
    -- The last of its entries that is stored.
    through BIGINT NOT NULL,
    -- How often it has connected: only its latest connection may add.
    epoch BIGINT NOT NULL,
    sdk TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, engine)
);

-- What was used. Lines are added and, when they are older than is kept, removed; never changed.
CREATE TABLE ledger (
    id {identity},
    workspace TEXT NOT NULL,
    -- When it happened.
    at BIGINT NOT NULL,
    -- When it was stored.
    stored_at BIGINT NOT NULL,
    -- Where: none for the server's own engine. And the entry's number there.
    engine TEXT,
    entry BIGINT NOT NULL,
    -- Whose meter counted it.
    customer TEXT NOT NULL,
    entitlement TEXT NOT NULL,
    -- All of it, JSON, exact.
    effect TEXT NOT NULL,
    -- Whether the customer was there to count it.
    counted BIGINT NOT NULL
);
CREATE INDEX ledger_by_customer ON ledger (workspace, customer, id);

-- The ledger added up by UTC day. Amounts are decimal text: sums are made where decimals are exact.
CREATE TABLE rollups (
    workspace TEXT NOT NULL,
    -- Days since 1970.
    day BIGINT NOT NULL,
    customer TEXT NOT NULL,
    plan TEXT NOT NULL,
    entitlement TEXT NOT NULL,
    credit TEXT NOT NULL,
    calls BIGINT NOT NULL,
    units TEXT NOT NULL,
    -- Runes: cost, list price of what is past the limit, and of that what grants did not cover.
    overhead TEXT NOT NULL,
    price TEXT NOT NULL,
    charge TEXT NOT NULL,
    -- Units past the limit, by whether grants covered them.
    covered TEXT NOT NULL,
    overage TEXT NOT NULL,
    PRIMARY KEY (workspace, customer, day, plan, entitlement, credit)
);
CREATE INDEX rollups_by_day ON rollups (workspace, day);
