-- A worker as the writer of events. Events up to published_through are published; a closed one writes no more.
CREATE TABLE restore_publishers (
    id TEXT NOT NULL,
    host TEXT NOT NULL,
    lease_until TEXT NOT NULL,
    published_through INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    PRIMARY KEY (id)
) WITHOUT ROWID;
