-- Duties that one worker at a time does for all: it holds one by a lease. They save work; nothing relies on them.
CREATE TABLE restore_duties (
    duty VARCHAR(64) NOT NULL,
    holder VARCHAR(36) NOT NULL,
    held_until TIMESTAMP(6) NOT NULL,
    done_at TIMESTAMP(6),
    PRIMARY KEY (duty)
) WITH (fillfactor = 50);
