-- Moments are RFC 3339 text in UTC with milliseconds, so that they sort; JSON is text.

-- Facts about the store itself and its farm: feed, farm-settings (JSON).
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_at TEXT NOT NULL
) WITHOUT ROWID;

-- Every secret that opens something, by the SHA-256 of it. kind: token, session, sign-in-link.
CREATE TABLE credentials (
    sha256 TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    expires_at TEXT
) WITHOUT ROWID;

-- last_report and last_report_sha256 are of the last report that was applied; order_acknowledged of the last order
-- that the Manager stored. server_feed, once the two began anew: that of this store for this Manager; epoch: of its rev;
-- order_base: the last order before they did, which may have a later number now, with the digest that it had;
-- begun_from: how far the Manager had come, had_gone_back: whether its store was the older one.
CREATE TABLE managers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    token_sha256 TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    software TEXT NOT NULL DEFAULT '',
    platform TEXT NOT NULL DEFAULT '',
    feed TEXT,
    server_feed TEXT,
    epoch INTEGER NOT NULL DEFAULT 1,
    order_base INTEGER NOT NULL DEFAULT 0,
    order_base_digest TEXT NOT NULL DEFAULT '0000000000000000000000000000000000000000000000000000000000000000',
    last_seen TEXT,
    order_acknowledged INTEGER NOT NULL DEFAULT 0,
    last_report INTEGER NOT NULL DEFAULT 0,
    last_report_sha256 TEXT NOT NULL DEFAULT '0000000000000000000000000000000000000000000000000000000000000000',
    begun_from TEXT,
    had_gone_back INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Managers that ask to be linked. origin: the network that shares an allowance of requests. status: waiting, confirmed,
-- refused, ended. sealed_token: only the holder of public_key can open it; the row goes when the Manager has used it.
CREATE TABLE link_requests (
    id TEXT PRIMARY KEY,
    code_sha256 TEXT NOT NULL,
    name TEXT NOT NULL,
    public_key TEXT NOT NULL,
    address TEXT NOT NULL,
    origin TEXT NOT NULL,
    software TEXT NOT NULL,
    platform TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    status TEXT NOT NULL,
    wrong_guesses INTEGER NOT NULL DEFAULT 0,
    manager TEXT REFERENCES managers (id),
    sealed_token TEXT
) WITHOUT ROWID;

-- Numbered per Manager without gaps; digest is that of this order and all before it.
CREATE TABLE orders (
    manager TEXT NOT NULL REFERENCES managers (id),
    number INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    details TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    expires TEXT,
    digest TEXT NOT NULL,
    result TEXT,
    why TEXT NOT NULL DEFAULT '',
    answer TEXT,
    PRIMARY KEY (manager, number)
) WITHOUT ROWID;

-- compiled: its tasks are stored, all of them. status is what people see, reported_status what the Manager said last, or
-- what the Server itself did before. A job is issued when it has a manager. asks: what people asked and the Manager has
-- not answered, by what it is about: {value, by, order}. deleted_at: since when it is in the bin; erased: its Manager has
-- no more of it.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    type_etag TEXT NOT NULL,
    priority INTEGER NOT NULL,
    owner TEXT NOT NULL,
    created_at TEXT NOT NULL,
    settings TEXT NOT NULL,
    metadata TEXT NOT NULL,
    files TEXT NOT NULL,
    project TEXT NOT NULL,
    tag TEXT,
    start_paused INTEGER NOT NULL,
    terms TEXT NOT NULL,
    status TEXT NOT NULL,
    reported_status TEXT NOT NULL,
    activity TEXT NOT NULL,
    asks TEXT NOT NULL DEFAULT '{}',
    refused TEXT NOT NULL DEFAULT '',
    deleted_at TEXT,
    erased INTEGER NOT NULL DEFAULT 0,
    compiled INTEGER NOT NULL DEFAULT 0,
    manager TEXT REFERENCES managers (id),
    task_count INTEGER NOT NULL DEFAULT 0,
    counts TEXT NOT NULL DEFAULT '{}',
    steps_completed INTEGER NOT NULL DEFAULT 0,
    steps_total INTEGER NOT NULL DEFAULT 0,
    frames TEXT,
    frame_count INTEGER NOT NULL DEFAULT 0,
    frames_done INTEGER NOT NULL DEFAULT 0,
    output TEXT,
    newest_frame INTEGER,
    started_at TEXT,
    finished_at TEXT,
    rev_epoch INTEGER NOT NULL DEFAULT 0,
    rev_commit INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_status ON jobs (status, number);
CREATE INDEX jobs_without_manager ON jobs (number) WHERE manager IS NULL AND finished_at IS NULL;
CREATE INDEX jobs_in_bin ON jobs (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX jobs_by_tag ON jobs (tag) WHERE tag IS NOT NULL;

-- A submission that was sent again is recognised by its key and the SHA-256 of its body.
CREATE TABLE submissions (
    owner TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    job TEXT NOT NULL,
    PRIMARY KEY (owner, idempotency_key)
) WITHOUT ROWID;

-- The sources of the job types that jobs were submitted with, so that a compile can be repeated.
CREATE TABLE job_type_sources (
    etag TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    source TEXT NOT NULL
) WITHOUT ROWID;

-- What changes of a task; its definition is in task_slices.
CREATE TABLE tasks (
    job TEXT NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    depends_on TEXT NOT NULL,
    frames TEXT,
    first_frame INTEGER,
    last_frame INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    activity TEXT NOT NULL DEFAULT '',
    steps_completed INTEGER NOT NULL DEFAULT 0,
    steps_total INTEGER NOT NULL,
    worker TEXT,
    worker_name TEXT NOT NULL DEFAULT '',
    failed_by TEXT NOT NULL DEFAULT '[]',
    result TEXT,
    started_at TEXT,
    finished_at TEXT,
    asks TEXT NOT NULL DEFAULT '{}',
    refused TEXT NOT NULL DEFAULT '',
    rev_epoch INTEGER NOT NULL DEFAULT 0,
    rev_commit INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE INDEX tasks_by_status ON tasks (job, status, position);
CREATE INDEX tasks_by_frame ON tasks (job, first_frame) WHERE frames IS NOT NULL;

-- Definitions of consecutive tasks as JSON lines, compressed: written once, read as a stream.
CREATE TABLE task_slices (
    job TEXT NOT NULL,
    first INTEGER NOT NULL,
    lines BLOB NOT NULL,
    PRIMARY KEY (job, first)
) WITHOUT ROWID;

CREATE TABLE frames (
    job TEXT NOT NULL,
    frame INTEGER NOT NULL,
    layer TEXT NOT NULL,
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    seconds REAL NOT NULL,
    rev_epoch INTEGER NOT NULL,
    rev_commit INTEGER NOT NULL,
    PRIMARY KEY (job, frame, layer)
) WITHOUT ROWID;

-- Frames of which a thumbnail is on disk.
CREATE TABLE thumbnails (
    job TEXT NOT NULL,
    frame INTEGER NOT NULL,
    received_at TEXT NOT NULL,
    PRIMARY KEY (job, frame)
) WITHOUT ROWID;

-- How much of an attempt's log is on disk; total_bytes is known once the attempt has ended.
CREATE TABLE task_logs (
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    total_bytes INTEGER,
    PRIMARY KEY (task, attempt)
) WITHOUT ROWID;

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    manager TEXT NOT NULL REFERENCES managers (id),
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    platform TEXT NOT NULL,
    software TEXT NOT NULL,
    task_types TEXT NOT NULL,
    status TEXT NOT NULL,
    status_requested TEXT,
    approved INTEGER NOT NULL,
    current_task TEXT,
    last_seen TEXT,
    node TEXT,
    slot INTEGER,
    hardware TEXT,
    programs TEXT NOT NULL,
    tags TEXT NOT NULL,
    lazy INTEGER NOT NULL,
    schedule TEXT,
    can_restart INTEGER NOT NULL,
    blocked TEXT NOT NULL,
    secret_sha256 TEXT,
    features TEXT NOT NULL,
    asks TEXT NOT NULL DEFAULT '{}',
    refused TEXT NOT NULL DEFAULT '',
    rev_epoch INTEGER NOT NULL,
    rev_commit INTEGER NOT NULL
) WITHOUT ROWID;

-- What Workers became, and when.
CREATE TABLE worker_states (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    worker TEXT NOT NULL,
    status TEXT NOT NULL,
    at TEXT NOT NULL,
    why TEXT NOT NULL
);
CREATE INDEX worker_states_by_worker ON worker_states (worker, number);
CREATE INDEX worker_states_by_time ON worker_states (at);

-- Groups of Workers that jobs may ask for.
CREATE TABLE tags (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL
) WITHOUT ROWID;

-- Jobs as lists show them: without their files, which may be many.
CREATE VIEW job_rows AS
SELECT jobs.number, jobs.id, jobs.name, type, type_etag, status, activity, priority, owner, jobs.created_at, settings,
    metadata, project, tag, start_paused, terms, reported_status, asks, refused, deleted_at, erased, started_at,
    finished_at, manager AS manager_id, managers.name AS manager_name, task_count, counts, steps_completed, steps_total,
    frames, frame_count, frames_done, output, newest_frame, rev_epoch, rev_commit
FROM jobs LEFT JOIN managers ON managers.id = jobs.manager;

CREATE VIEW worker_rows AS
SELECT workers.*, managers.name AS manager_name, tasks.name AS task_name, tasks.job AS task_job, jobs.name AS job_name
FROM workers
JOIN managers ON managers.id = workers.manager
LEFT JOIN tasks ON tasks.id = workers.current_task
LEFT JOIN jobs ON jobs.id = tasks.job;
