-- Operators elsewhere: who may ask, by tokens of which only a hash of the secret is here; and who applied a policy.
PRAGMA user_version = 2;

-- A row stays for a while when its token is good no more, so that what its operator did can be told.
CREATE TABLE operators (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    -- SHA-256 in hexadecimal digits.
    secret TEXT NOT NULL,
    read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),
    made_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER,
    used INTEGER
) STRICT;
CREATE INDEX operators_by_name ON operators (name);

ALTER TABLE policies ADD COLUMN applied_by TEXT NOT NULL DEFAULT '';
