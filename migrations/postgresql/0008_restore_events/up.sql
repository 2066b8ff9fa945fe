-- History and outbox in one: committed with the change, never changed.
-- counts: JSON, of an event of the restore as a whole.
CREATE TABLE restore_events (
    publisher_id VARCHAR(36) NOT NULL,
    number BIGINT NOT NULL,
    host VARCHAR(255) NOT NULL,
    event_type VARCHAR(64) NOT NULL,
    restore_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    provider_id VARCHAR(255) NOT NULL,
    checkpoint_id VARCHAR(255) NOT NULL,
    restore_target VARCHAR(255),
    transition BIGINT NOT NULL,
    occurred_at TIMESTAMP(6) NOT NULL,
    old_status VARCHAR(64),
    status VARCHAR(64) NOT NULL,
    reason TEXT,
    sequence BIGINT,
    context_project_id VARCHAR(255),
    user_id VARCHAR(255),
    request_id VARCHAR(255),
    global_request_id VARCHAR(255),
    resource_type VARCHAR(255) COLLATE "C",
    resource_id VARCHAR(255) COLLATE "C",
    source_id VARCHAR(255) COLLATE "C",
    name VARCHAR(255),
    counts VARCHAR(255),
    PRIMARY KEY (publisher_id, number)
);
CREATE INDEX restore_events_by_restore ON restore_events (restore_id, occurred_at);
