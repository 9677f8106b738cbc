-- Times are seconds since 1970 in UTC. Ids are the 16 bytes of a UUID. `unreported` is 1 until a report holds the row.

-- One row: how far the Manager and its Server have come with each other (manager-api.md).
CREATE TABLE link (
    feed BLOB NOT NULL,
    server_feed BLOB,
    epoch INTEGER NOT NULL DEFAULT 1,
    changes INTEGER NOT NULL DEFAULT 0,          -- number of the last change; the second half of every rev
    last_order INTEGER NOT NULL DEFAULT 0,
    last_order_digest TEXT NOT NULL,
    next_report INTEGER NOT NULL DEFAULT 1,
    erased_job_key INTEGER NOT NULL DEFAULT 0,   -- the highest key of an erased job: keys are not used twice
    last_report_digest TEXT NOT NULL,
    is_restored INTEGER NOT NULL DEFAULT 0,      -- from a backup: nothing is handed out until the Server was heard
    attempts_above INTEGER NOT NULL DEFAULT 0,   -- what is handed out gets a higher attempt, also where a task has none
    begun_order BLOB,                            -- a requeue that was begun, and the number of its first change
    begun_change INTEGER NOT NULL DEFAULT 0,
    farm_settings TEXT NOT NULL DEFAULT '{}'     -- JSON: what the Server said last
);

CREATE TABLE workers (
    id BLOB PRIMARY KEY,
    secret_sha256 BLOB NOT NULL,
    profile BLOB NOT NULL,                       -- JSON: what it says of itself
    status TEXT,
    status_before_error TEXT,
    status_requested TEXT,
    is_approved INTEGER NOT NULL,
    has_signed_on_since INTEGER NOT NULL,
    lost_task INTEGER,
    current_task INTEGER,
    last_seen REAL,
    rev INTEGER NOT NULL,
    is_lazy INTEGER NOT NULL,
    tags BLOB NOT NULL,                          -- JSON: names
    schedule BLOB,                               -- JSON: when it sleeps
    schedule_at REAL,                            -- when that next wants something else
    is_forgotten INTEGER NOT NULL,               -- goes once that is in a report
    unreported INTEGER NOT NULL
) WITHOUT ROWID;

-- What Workers became, or were asked to be: their history of 30 days.
CREATE TABLE worker_states (
    number INTEGER PRIMARY KEY,
    worker BLOB NOT NULL,
    status TEXT NOT NULL,
    at REAL NOT NULL,
    why TEXT NOT NULL,
    unreported INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE jobs (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    definition BLOB,                             -- JSON, once it was fetched
    status TEXT NOT NULL,
    activity TEXT NOT NULL,
    is_cancelled INTEGER NOT NULL DEFAULT 0,
    is_deleted INTEGER NOT NULL DEFAULT 0,
    facts BLOB NOT NULL DEFAULT '{}',            -- JSON: what people changed, who is blocked, how long tasks take
    counts BLOB NOT NULL,                        -- JSON: task status -> number
    steps_completed INTEGER NOT NULL DEFAULT 0,
    steps_total INTEGER NOT NULL DEFAULT 0,
    started_at REAL,
    finished_at REAL,
    rev INTEGER NOT NULL,
    unreported INTEGER NOT NULL
);

CREATE TABLE tasks (
    key INTEGER PRIMARY KEY,                     -- job key * 2^20 + index
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    priority INTEGER NOT NULL,
    steps_total INTEGER NOT NULL,
    frames TEXT,
    depends_on BLOB NOT NULL,                    -- indexes, 32 bits each
    needs BLOB,                                  -- JSON: what it needs otherwise than its job
    status TEXT NOT NULL DEFAULT 'queued',
    attempt INTEGER NOT NULL DEFAULT 0,
    worker BLOB,
    is_held INTEGER NOT NULL DEFAULT 0,
    is_reserved INTEGER NOT NULL DEFAULT 0,
    has_begun INTEGER NOT NULL DEFAULT 0,
    seq INTEGER NOT NULL DEFAULT 0,
    activity TEXT NOT NULL DEFAULT '',
    steps_completed INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    failed_by BLOB,                              -- JSON: [[worker, reason]]
    retry_at REAL,
    marks BLOB,                                  -- JSON: worker -> until
    failed_with_job INTEGER NOT NULL DEFAULT 0,
    is_pause_wanted INTEGER NOT NULL DEFAULT 0,
    requeued_by INTEGER NOT NULL DEFAULT 0,      -- number of the change by which a person last queued it
    fresh_after INTEGER NOT NULL DEFAULT 0,      -- what attempts up to this one saved counts no more
    result BLOB,                                 -- JSON
    started_at REAL,
    finished_at REAL,
    rev INTEGER NOT NULL DEFAULT 0,
    unreported INTEGER NOT NULL DEFAULT 0
);

-- Commands are written once and read at hand-out: many tasks in one compressed slice, by the index of its first task.
CREATE TABLE command_slices (
    job INTEGER NOT NULL,
    first_index INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, first_index)
) WITHOUT ROWID;

-- Who made which attempt, and the highest `seq` that was applied: late words are judged by it.
CREATE TABLE attempts (
    task INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    worker BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (task, attempt)
) WITHOUT ROWID;

CREATE TABLE frames (
    task INTEGER NOT NULL,
    frame INTEGER NOT NULL,
    layer TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    seconds REAL NOT NULL,
    rev INTEGER NOT NULL,
    unreported INTEGER NOT NULL,
    PRIMARY KEY (task, frame, layer)
) WITHOUT ROWID;

CREATE TABLE orders (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL,                            -- the same under two numbers, where an order was issued again
    kind TEXT NOT NULL,
    job BLOB,                                    -- of a job.submit, whose result comes when the job was fetched
    applied_at REAL NOT NULL,
    result TEXT,
    why TEXT NOT NULL DEFAULT '',
    unreported INTEGER NOT NULL,
    answer BLOB,                                 -- JSON, of orders that ask something
    change INTEGER NOT NULL                      -- number of the change that it made, or of the last one before it
);

CREATE INDEX orders_by_id ON orders (id);

-- What the Server knew of tasks that this store has lost, until they have been fetched again.
CREATE TABLE known_tasks (
    id BLOB PRIMARY KEY,
    said BLOB NOT NULL,                          -- JSON, as in a report
    failed_with_job INTEGER NOT NULL
) WITHOUT ROWID;

-- Erased jobs of which rows are left; they go in slices, so that nobody waits for that.
CREATE TABLE erasing (
    job INTEGER PRIMARY KEY,                     -- its key
    id BLOB NOT NULL
);

CREATE TABLE reports (
    number INTEGER PRIMARY KEY,
    body BLOB NOT NULL,                          -- frozen before it is first sent
    digest TEXT NOT NULL
);

-- Small pieces of logs, until they are in their files.
CREATE TABLE log_pieces (
    number INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,                         -- byte of the log at which it begins
    data BLOB NOT NULL
);

CREATE TABLE log_uploads (
    task INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (task, attempt)
) WITHOUT ROWID;

CREATE TABLE preview_uploads (
    job BLOB NOT NULL,
    frame INTEGER NOT NULL,
    PRIMARY KEY (job, frame)
) WITHOUT ROWID;

CREATE INDEX workers_unreported ON workers (rev) WHERE unreported = 1;
CREATE INDEX workers_forgotten ON workers (is_forgotten) WHERE is_forgotten = 1;
CREATE INDEX worker_states_unreported ON worker_states (unreported) WHERE unreported = 1;
CREATE INDEX worker_states_by_time ON worker_states (at);
CREATE INDEX jobs_unreported ON jobs (rev) WHERE unreported = 1;
CREATE INDEX tasks_unreported ON tasks (rev) WHERE unreported = 1;
CREATE INDEX tasks_at_work ON tasks (key) WHERE is_held OR is_reserved;
CREATE INDEX frames_unreported ON frames (unreported) WHERE unreported = 1;
CREATE INDEX orders_unreported ON orders (unreported) WHERE unreported = 1;
CREATE INDEX orders_of_jobs ON orders (job) WHERE job IS NOT NULL;
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_with_blocks ON jobs (key) WHERE instr(facts, '"blocked"') > 0;
