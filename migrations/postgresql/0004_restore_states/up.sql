-- What we know of a restore beside Karbor's row, and the lock of all that belongs to it.
-- transition 0: inserted to be locked; who finds it so writes the start event.
-- behind_since: since when Karbor's dictionaries lag behind `version`; digest: of what they held when we last wrote or read them.
CREATE TABLE restore_states (
    restore_id VARCHAR(36) NOT NULL,
    sequence BIGINT,
    status VARCHAR(16) NOT NULL,
    reason TEXT,
    transition BIGINT NOT NULL,
    version BIGINT NOT NULL,
    written_version BIGINT NOT NULL,
    behind_since TIMESTAMP(6),
    digest VARCHAR(64),
    last_heard_at TIMESTAMP(6) NOT NULL,
    changed_at TIMESTAMP(6) NOT NULL,
    stalled SMALLINT NOT NULL,
    resources BIGINT NOT NULL,
    expected BIGINT NOT NULL,
    PRIMARY KEY (restore_id)
) WITH (fillfactor = 70);
CREATE INDEX restore_states_behind ON restore_states (behind_since);
