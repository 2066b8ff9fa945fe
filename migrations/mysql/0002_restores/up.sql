-- Karbor's table as Karbor 1.6.0 creates it (migrate_repo/versions/001_karbor_init.py); the dictionaries
-- are LONGTEXT, since TEXT ends at some 900 resources.
CREATE TABLE restores (
    created_at DATETIME,
    updated_at DATETIME,
    deleted_at DATETIME,
    deleted BOOLEAN,
    id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255),
    provider_id VARCHAR(36),
    checkpoint_id VARCHAR(36),
    restore_target VARCHAR(255),
    parameters TEXT,
    status VARCHAR(64),
    resources_status LONGTEXT,
    resources_reason LONGTEXT,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8;
