-- A cast that came before its restore.
CREATE TABLE restore_early_updates (
    id TEXT NOT NULL,
    restore_id TEXT NOT NULL,
    received_at TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    queue TEXT NOT NULL,
    properties TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX restore_early_updates_by_restore ON restore_early_updates (restore_id);
CREATE INDEX restore_early_updates_by_age ON restore_early_updates (received_at);
