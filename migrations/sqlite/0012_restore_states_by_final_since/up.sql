CREATE INDEX restore_states_by_final_since ON restore_states (final_since);
