-- First of all tables, so that a database in the middle of its first migration is known as ours.
-- Facts: schema_version, and the oldest version of the worker that this schema serves.
CREATE TABLE restore_schema_facts (
    fact TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (fact)
) WITHOUT ROWID;
