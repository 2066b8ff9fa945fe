INSERT INTO restore_duties (duty, holder, held_until) VALUES
    ('recent_restores', '', '2000-01-01 00:00:00'), ('all_restores', '', '2000-01-01 00:00:00');
