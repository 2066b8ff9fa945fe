-- A cast that came before its restore.
CREATE TABLE restore_early_updates (
    id VARCHAR(36) NOT NULL,
    restore_id VARCHAR(36) NOT NULL,
    received_at TIMESTAMP(6) NOT NULL,
    unique_id VARCHAR(255) NOT NULL,
    queue VARCHAR(255) NOT NULL,
    properties TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX restore_early_updates_by_restore ON restore_early_updates (restore_id);
CREATE INDEX restore_early_updates_by_age ON restore_early_updates (received_at);
