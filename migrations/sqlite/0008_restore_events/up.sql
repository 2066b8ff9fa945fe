-- History and outbox in one: committed with the change, never changed.
-- counts: JSON, of an event of the restore as a whole.
CREATE TABLE restore_events (
    publisher_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    host TEXT NOT NULL,
    event_type TEXT NOT NULL,
    restore_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    checkpoint_id TEXT NOT NULL,
    restore_target TEXT,
    transition INTEGER NOT NULL,
    occurred_at TEXT NOT NULL,
    old_status TEXT,
    status TEXT NOT NULL,
    reason TEXT,
    sequence INTEGER,
    context_project_id TEXT,
    user_id TEXT,
    request_id TEXT,
    global_request_id TEXT,
    resource_type TEXT,
    resource_id TEXT,
    source_id TEXT,
    name TEXT,
    counts TEXT,
    PRIMARY KEY (publisher_id, number)
);
CREATE INDEX restore_events_by_restore ON restore_events (restore_id, occurred_at);
