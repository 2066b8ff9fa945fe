-- Duties that one worker at a time does for all: it holds one by a lease. They save work; nothing relies on them.
CREATE TABLE restore_duties (
    duty TEXT NOT NULL,
    holder TEXT NOT NULL,
    held_until TEXT NOT NULL,
    done_at TEXT,
    PRIMARY KEY (duty)
) WITHOUT ROWID;
