-- Users and databases of the storage host, once: psql -v chronos_password=... -v dagster_password=... -f databases.sql
-- Each user owns its own database and sees no other.
CREATE ROLE chronos LOGIN PASSWORD :'chronos_password' CONNECTION LIMIT 120;
CREATE ROLE dagster LOGIN PASSWORD :'dagster_password' CONNECTION LIMIT 60;
CREATE DATABASE chronos OWNER chronos;
CREATE DATABASE dagster OWNER dagster;
REVOKE CONNECT ON DATABASE chronos FROM PUBLIC;
REVOKE CONNECT ON DATABASE dagster FROM PUBLIC;
