-- A cast that came before its restore.
CREATE TABLE restore_early_updates (
    id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    restore_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    received_at DATETIME(6) NOT NULL,
    unique_id VARCHAR(255) NOT NULL,
    queue VARCHAR(255) NOT NULL,
    properties LONGTEXT NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (id),
    KEY restore_early_updates_by_restore (restore_id),
    KEY restore_early_updates_by_age (received_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
