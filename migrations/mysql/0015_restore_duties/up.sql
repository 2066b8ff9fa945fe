-- Duties that one worker at a time does for all: it holds one by a lease. They save work; nothing relies on them.
CREATE TABLE restore_duties (
    duty VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    holder VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    held_until DATETIME(6) NOT NULL,
    done_at DATETIME(6),
    PRIMARY KEY (duty)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
