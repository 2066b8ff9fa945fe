-- A resource of a restore: the greatest (sequence, status, reason) ever heard.
CREATE TABLE restore_resources (
    restore_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    source_id TEXT,
    name TEXT,
    sequence INTEGER,
    status TEXT NOT NULL,
    reason TEXT,
    transition INTEGER NOT NULL,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (restore_id, resource_type, resource_id)
) WITHOUT ROWID;
CREATE INDEX restore_resources_by_source ON restore_resources (restore_id, resource_type, source_id);
