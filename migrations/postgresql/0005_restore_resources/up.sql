-- A resource of a restore: the greatest (sequence, status, reason) ever heard.
CREATE TABLE restore_resources (
    restore_id VARCHAR(36) NOT NULL,
    resource_type VARCHAR(255) COLLATE "C" NOT NULL,
    resource_id VARCHAR(255) COLLATE "C" NOT NULL,
    source_id VARCHAR(255) COLLATE "C",
    name VARCHAR(255),
    sequence BIGINT,
    status VARCHAR(16) NOT NULL,
    reason TEXT,
    transition BIGINT NOT NULL,
    changed_at TIMESTAMP(6) NOT NULL,
    PRIMARY KEY (restore_id, resource_type, resource_id)
) WITH (fillfactor = 80);
CREATE INDEX restore_resources_by_source ON restore_resources (restore_id, resource_type, source_id);
