-- What was said of a resource, where it counts as something else: while its restore is a success without a
-- sequence, what was under way counts as available.
ALTER TABLE restore_resources ADD COLUMN said_status TEXT;
ALTER TABLE restore_resources ADD COLUMN said_reason TEXT;
