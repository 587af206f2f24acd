-- What `chronos doctor` asks Postgres.

-- name: server_state
SELECT current_setting('server_version') AS version,
       clock_timestamp() AS now,
       current_setting('max_connections')::int AS most_connections,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
       has_schema_privilege(current_schema(), 'CREATE') AS may_create
