-- What we know of a restore beside Karbor's row, and the lock of all that belongs to it.
-- transition 0: inserted to be locked; who finds it so writes the start event.
-- behind_since: since when Karbor's dictionaries lag behind `version`; digest: of what they held when we last wrote or read them.
CREATE TABLE restore_states (
    restore_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sequence BIGINT,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason MEDIUMTEXT,
    transition BIGINT NOT NULL,
    version BIGINT NOT NULL,
    written_version BIGINT NOT NULL,
    behind_since DATETIME(6),
    digest VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
    last_heard_at DATETIME(6) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    stalled SMALLINT NOT NULL,
    resources BIGINT NOT NULL,
    expected BIGINT NOT NULL,
    PRIMARY KEY (restore_id),
    KEY restore_states_behind (behind_since)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
