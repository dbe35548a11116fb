-- Which images failed, and what can be done? Images whose newest version lacks its outcome or its delivery.
--
-- column: lacks varchar   outcome: the image has no report; delivery: nobody was notified of its match
-- column: key varchar   key of the image
-- column: status varchar   REJECTED: the image is at fault; FAILED, TIMED_OUT or ABORTED
-- column: reason varchar   as NOT_JPEG_OR_PNG, or the name of the error
-- column: step varchar   state in which the execution ended
-- column: message varchar   what happened, in a sentence
-- column: remedy varchar   what to do
-- column: replay varchar   REDRIVE: a redrive resumes at the step; NONE: it would fail again
-- column: failed_at varchar   when it failed; UTC, ISO 8601
-- column: execution_arn varchar   execution that failed
-- uses: newest
SELECT
    CAST('outcome' AS varchar) AS lacks,
    f.key, f.status, f.reason, f.step, f.message, f.remedy, f.replay, f.failed_at, f.execution_arn
FROM failures AS f
INNER JOIN newest AS n ON n.key = f.key AND n.digest = f.digest AND n.has_report = 0
UNION ALL
SELECT
    CAST('delivery' AS varchar) AS lacks,
    d.key, d.status, d.reason, d.step, d.message, d.remedy, d.replay, d.failed_at, d.execution_arn
FROM delivery_failures AS d
INNER JOIN newest AS n ON n.key = d.key AND n.digest = d.digest AND n.has_report = 1
ORDER BY failed_at DESC, lacks, key
