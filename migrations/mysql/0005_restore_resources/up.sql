-- A resource of a restore: the greatest (sequence, status, reason) ever heard.
CREATE TABLE restore_resources (
    restore_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    resource_type VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    resource_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    source_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin,
    name VARCHAR(255),
    sequence BIGINT,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason MEDIUMTEXT,
    transition BIGINT NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (restore_id, resource_type, resource_id),
    KEY restore_resources_by_source (restore_id, resource_type, source_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
