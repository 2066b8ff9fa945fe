INSERT INTO restore_schema_facts (fact, value) VALUES ('schema_version', 1), ('oldest_version_served', 1);
