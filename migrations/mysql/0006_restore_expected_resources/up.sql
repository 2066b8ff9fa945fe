-- A resource that a restore is to bring, known by its source; begun once a resource names it.
CREATE TABLE restore_expected_resources (
    restore_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    resource_type VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    source_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name VARCHAR(255),
    PRIMARY KEY (restore_id, resource_type, source_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
