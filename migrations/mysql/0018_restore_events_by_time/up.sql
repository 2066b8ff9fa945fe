CREATE INDEX restore_events_by_time ON restore_events (occurred_at);
