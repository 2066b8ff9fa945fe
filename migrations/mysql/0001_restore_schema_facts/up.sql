-- First of all tables, so that a database in the middle of its first migration is known as ours.
-- Facts: schema_version, and the oldest version of the worker that this schema serves.
CREATE TABLE restore_schema_facts (
    fact VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (fact)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
