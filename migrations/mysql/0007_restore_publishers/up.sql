-- A worker as the writer of events. Events up to published_through are published; a closed one writes no more.
CREATE TABLE restore_publishers (
    id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    host VARCHAR(255) NOT NULL,
    lease_until DATETIME(6) NOT NULL,
    published_through BIGINT NOT NULL,
    closed SMALLINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
