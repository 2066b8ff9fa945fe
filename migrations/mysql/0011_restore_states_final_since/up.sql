-- Since when a restore is final, or its row in Karbor's table gone or deleted; NULL while it is under way. What Karbor
-- writes is looked for in the restores under way and of the last day.
ALTER TABLE restore_states ADD COLUMN final_since DATETIME(6);
