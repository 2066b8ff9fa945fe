-- For lists: Karbor itself has no index here.
CREATE INDEX restores_by_project ON restores (project_id, created_at);
