-- Attempts on a dataset (`export_audits`) and the transaction that publishes one.

-- name: attempts
SELECT * FROM export_audits WHERE dataset_id = %(slug)s ORDER BY audit_id

-- name: open_attempt
INSERT INTO export_audits (
    dataset_id, questdb_tag, checksum, mode, row_count, first_bar_ts, last_bar_ts, content_hash, verdict, report, base_revision
) VALUES (
    %(dataset_id)s, %(questdb_tag)s, %(checksum)s, %(mode)s, %(row_count)s, %(first_bar_ts)s, %(last_bar_ts)s, %(content_hash)s,
    'running', %(report)s, %(base_revision)s
) RETURNING *

-- An audit that failed stays failed; one that passed can still fail when it is repeated.
-- name: close_attempt
UPDATE export_audits
SET verdict = %(verdict)s, report = report || %(report)s, completed_at = now()
WHERE audit_id = %(audit_id)s AND (verdict <> 'failed' OR %(verdict)s = 'failed')
RETURNING *

-- name: attempt_for_publishing
SELECT a.dataset_id, a.questdb_tag, a.checksum, a.content_hash, a.row_count, a.mode, a.verdict,
       (SELECT max(b.audit_id) FROM export_audits b WHERE b.questdb_tag = a.questdb_tag AND b.audit_id > a.audit_id) AS later_attempt
FROM export_audits a
WHERE a.audit_id = %(audit_id)s
FOR SHARE OF a

-- name: dataset_for_update
SELECT * FROM indicator_datasets WHERE dataset_id = %(slug)s FOR UPDATE

-- name: publish_first
INSERT INTO indicator_datasets (
    dataset_id, symbol, granularity, source, questdb_tag, row_count, first_bar_ts, last_bar_ts, revision, checksum, content_hash, columns
) VALUES (
    %(dataset_id)s, %(symbol)s, %(granularity)s, %(source)s, %(questdb_tag)s, %(row_count)s, %(first_bar_ts)s, %(last_bar_ts)s, 1,
    %(checksum)s, %(content_hash)s, %(columns)s
) ON CONFLICT (dataset_id) DO NOTHING
RETURNING *

-- Compare-and-set: only where the revision is still the one that the attempt started from.
-- name: publish_growth
UPDATE indicator_datasets
SET symbol = %(symbol)s, granularity = %(granularity)s, source = %(source)s, questdb_tag = %(questdb_tag)s, row_count = %(row_count)s,
    first_bar_ts = %(first_bar_ts)s, last_bar_ts = %(last_bar_ts)s, revision = revision + 1, checksum = %(checksum)s,
    content_hash = %(content_hash)s, columns = %(columns)s, updated_at = now()
WHERE dataset_id = %(dataset_id)s AND revision = %(base_revision)s
RETURNING *
