UPDATE restore_schema_facts SET value = 3 WHERE fact = 'schema_version';
