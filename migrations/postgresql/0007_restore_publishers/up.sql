-- A worker as the writer of events. Events up to published_through are published; a closed one writes no more.
CREATE TABLE restore_publishers (
    id VARCHAR(36) NOT NULL,
    host VARCHAR(255) NOT NULL,
    lease_until TIMESTAMP(6) NOT NULL,
    published_through BIGINT NOT NULL,
    closed SMALLINT NOT NULL,
    PRIMARY KEY (id)
) WITH (fillfactor = 50);
