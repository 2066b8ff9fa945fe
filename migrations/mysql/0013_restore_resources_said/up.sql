-- What was said of a resource, where it counts as something else: while its restore is a success without a
-- sequence, what was under way counts as available.
ALTER TABLE restore_resources ADD COLUMN said_status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin, ADD COLUMN said_reason MEDIUMTEXT;
