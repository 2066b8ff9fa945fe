INSERT INTO restore_duties (duty, holder, held_until) VALUES ('old_events', '', '2000-01-01 00:00:00');
