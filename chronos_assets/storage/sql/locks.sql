-- Session advisory locks: held by a connection, gone with it.

-- name: try_lock
SELECT pg_try_advisory_lock(%(key)s::bigint) AS taken

-- name: lock_shared_until_commit
SELECT pg_advisory_xact_lock_shared(%(key)s::bigint)

-- name: lock_is_held
-- A bigint key is shown in two halves; objsubid 1 marks the one-key form.
SELECT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND ((classid::bigint << 32) | objid::bigint) = %(key)s::bigint
) AS held

-- name: schema_version
SELECT version_num FROM chronos_schema_version

-- name: lock_until_commit
SELECT pg_advisory_xact_lock(%(key)s::bigint)


-- name: lock_shared
SELECT pg_advisory_lock_shared(%(key)s::bigint)

-- name: unlock_all
SELECT pg_advisory_unlock_all()

-- name: unlock_shared
SELECT pg_advisory_unlock_shared(%(key)s::bigint)

-- name: backend
SELECT pg_backend_pid() AS pid

-- A session begins: its settings are made, and the process that serves it is named.
-- name: session
SELECT pg_backend_pid() AS pid, count(set_config(name, value, false)) AS settings FROM json_each_text(%(settings)s) AS wanted(name, value)
