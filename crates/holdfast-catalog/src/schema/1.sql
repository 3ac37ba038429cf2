-- The first schema of a catalog. It is fixed: what changes later is another step. Times are milliseconds since 1970 UTC.
PRAGMA application_id = 1212564321; -- "HFCa"
PRAGMA user_version = 1;

-- Facts of the catalog as a whole: one row.
CREATE TABLE catalog (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    incarnation INTEGER NOT NULL,
    -- Whether the last program that had it open closed it.
    closed INTEGER NOT NULL
) STRICT;
INSERT INTO catalog (one, incarnation, closed) VALUES (1, 1, 1);

CREATE TABLE hosts (
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    program TEXT NOT NULL,
    address TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (role, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE labels (
    role TEXT NOT NULL,
    host TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (role, host, key),
    FOREIGN KEY (role, host) REFERENCES hosts (role, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
    name TEXT PRIMARY KEY NOT NULL,
    text TEXT NOT NULL,
    applied INTEGER NOT NULL
) STRICT;

CREATE TABLE marks (
    policy TEXT NOT NULL REFERENCES policies (name) ON DELETE CASCADE,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (policy, key)
) STRICT, WITHOUT ROWID;

-- A job refers to its policy and its image by name only: it outlives the one, and the other may be known before it.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    client TEXT NOT NULL,
    policy TEXT,
    media TEXT NOT NULL,
    label TEXT NOT NULL,
    state TEXT NOT NULL,
    status INTEGER,
    attempts INTEGER NOT NULL,
    image TEXT,
    version INTEGER NOT NULL,
    created INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    work TEXT NOT NULL,
    machine TEXT NOT NULL,
    progress TEXT NOT NULL,
    cause TEXT NOT NULL,
    priority INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_newest ON jobs (created, id);
CREATE INDEX jobs_of_client ON jobs (client, created, id);
CREATE INDEX jobs_of_policy ON jobs (policy, created, id);
CREATE INDEX jobs_unfinished ON jobs (created, id) WHERE state <> 'done';
CREATE INDEX jobs_ended ON jobs (ended) WHERE state = 'done';

CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

-- An image outlives the job that made it.
CREATE TABLE images (
    id TEXT PRIMARY KEY NOT NULL,
    job TEXT NOT NULL,
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    media TEXT NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    roots TEXT NOT NULL,
    files INTEGER NOT NULL,
    bytes_source INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX images_newest ON images (started, id);
CREATE INDEX images_of_client ON images (client, started, id);
CREATE INDEX images_of_job ON images (job, started, id);

CREATE TABLE answers (
    key TEXT PRIMARY KEY NOT NULL,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_by_age ON answers (at);
