-- Nights and backfills, each as the document that was made of it.

-- name: night_write
INSERT INTO nights (night, started_at, completed_at, document) VALUES (%(night)s, %(started_at)s, now(), %(document)s)
ON CONFLICT (night) DO UPDATE SET completed_at = excluded.completed_at, document = excluded.document

-- name: nights_newest
SELECT night, started_at, completed_at, document FROM nights
WHERE %(before)s::timestamptz IS NULL OR completed_at < %(before)s
ORDER BY completed_at DESC LIMIT %(limit)s

-- name: night_get
SELECT night, started_at, completed_at, document FROM nights WHERE night = %(night)s

-- Nights beyond the newest ones go.
-- name: nights_prune
DELETE FROM nights WHERE night NOT IN (SELECT night FROM nights ORDER BY completed_at DESC LIMIT %(newest)s)
