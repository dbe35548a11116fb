-- Why do images fail? Images whose newest version has no report, by what went wrong; most first.
--
-- column: status varchar   REJECTED: the image is at fault; FAILED, TIMED_OUT or ABORTED
-- column: reason varchar   as NOT_JPEG_OR_PNG, or the name of the error
-- column: images bigint   how many
-- column: first_failed varchar   when the first of them failed; UTC, ISO 8601
-- column: last_failed varchar   when the last did
-- uses: newest
SELECT
    status,
    reason,
    count(*) AS images,
    min(outcome_at) AS first_failed,
    max(outcome_at) AS last_failed
FROM newest
WHERE has_report = 0
GROUP BY status, reason
ORDER BY images DESC, status, reason
