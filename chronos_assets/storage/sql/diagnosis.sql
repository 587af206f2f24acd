-- What `chronos doctor` asks Postgres.

-- name: server_state
SELECT current_setting('server_version') AS version,
       clock_timestamp() AS now,
       current_setting('max_connections')::int AS most_connections,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
       has_schema_privilege(current_schema(), 'CREATE') AS may_create

-- name: may_identify
-- A server elsewhere may keep this from ordinary users.
SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AS allowed

-- name: registry_identity
SELECT c.system_identifier::text || '/' || d.oid::text AS identity
FROM pg_control_system() AS c, pg_database AS d
WHERE d.datname = current_database()
