-- What we know of a restore beside Karbor's row, and the lock of all that belongs to it.
-- transition 0: inserted to be locked; who finds it so writes the start event.
-- behind_since: since when Karbor's dictionaries lag behind `version`; digest: of what they held when we last wrote or read them.
CREATE TABLE restore_states (
    restore_id TEXT NOT NULL,
    sequence INTEGER,
    status TEXT NOT NULL,
    reason TEXT,
    transition INTEGER NOT NULL,
    version INTEGER NOT NULL,
    written_version INTEGER NOT NULL,
    behind_since TEXT,
    digest TEXT,
    last_heard_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    stalled INTEGER NOT NULL,
    resources INTEGER NOT NULL,
    expected INTEGER NOT NULL,
    PRIMARY KEY (restore_id)
) WITHOUT ROWID;
CREATE INDEX restore_states_behind ON restore_states (behind_since);
