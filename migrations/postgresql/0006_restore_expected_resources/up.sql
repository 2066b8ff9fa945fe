-- A resource that a restore is to bring, known by its source; begun once a resource names it.
CREATE TABLE restore_expected_resources (
    restore_id VARCHAR(36) NOT NULL,
    resource_type VARCHAR(255) COLLATE "C" NOT NULL,
    source_id VARCHAR(255) COLLATE "C" NOT NULL,
    name VARCHAR(255),
    PRIMARY KEY (restore_id, resource_type, source_id)
);
