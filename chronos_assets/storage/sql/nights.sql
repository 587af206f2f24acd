-- Nights and backfills, each as the document that was made of it.

-- name: nights_newest
SELECT night, started_at, completed_at, document FROM nights
WHERE %(before)s::timestamptz IS NULL OR completed_at < %(before)s
ORDER BY completed_at DESC LIMIT %(limit)s
