-- For restores that are new in Karbor's table.
CREATE INDEX restores_by_creation ON restores (created_at);
