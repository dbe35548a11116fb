-- Why do images fail? Images whose newest version lacks its outcome or its delivery; most first.
--
-- column: lacks varchar   outcome: it has no report; delivery: nobody was notified of its match
-- column: status varchar   REJECTED: the image is at fault; FAILED, TIMED_OUT or ABORTED
-- column: reason varchar   as NOT_JPEG_OR_PNG, or the name of the error
-- column: images bigint   how many
-- column: first_failed varchar   when the first of them failed; UTC, ISO 8601
-- column: last_failed varchar   when the last did
-- uses: failed_images
SELECT
    lacks,
    status,
    reason,
    count(*) AS images,
    min(failed_at) AS first_failed,
    max(failed_at) AS last_failed
FROM failed_images
GROUP BY lacks, status, reason
ORDER BY images DESC, lacks, status, reason
