UPDATE restore_schema_facts SET value = 2 WHERE fact = 'schema_version';
