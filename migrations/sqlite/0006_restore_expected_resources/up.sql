-- A resource that a restore is to bring, known by its source; begun once a resource names it.
CREATE TABLE restore_expected_resources (
    restore_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    source_id TEXT NOT NULL,
    name TEXT,
    PRIMARY KEY (restore_id, resource_type, source_id)
) WITHOUT ROWID;
