-- What became of an image? Each version of a key that has an outcome, newest first.
--
-- parameter: key varchar   of the object, as in the bucket
-- column: uploaded_at varchar   UTC, ISO 8601
-- column: version_id varchar   or null, without versioning
-- column: status varchar   MATCHED, UNIQUE, NO_FACE, REJECTED, FAILED, TIMED_OUT or ABORTED
-- column: reason varchar   of a failure
-- column: name varchar   that the key carries
-- column: record varchar   key of the record that it shows
-- column: outcome_at varchar   when it was searched, or failed
-- column: matches bigint   that its report lists, under other names
-- column: best_similarity double   of them, %; 0 when there is none
-- column: above_threshold boolean   whether it reached the notify threshold
-- column: delivery_failed varchar   why nobody was notified all the same; null when nothing failed
-- column: names_left_out bigint   that the search found and its report does not list
-- column: more_names_possible boolean   whether there may be more of them than were counted
-- column: newest boolean   whether nothing newer has an outcome
-- column: digest varchar   names its report or failure record
-- column: execution_arn varchar   of the execution that wrote it
-- uses: outcomes
WITH of_the_key AS (
    SELECT *, row_number() OVER (PARTITION BY digest ORDER BY has_report DESC) AS choice
    FROM outcomes
    WHERE key = ?
),
versions AS (
    SELECT
        *,
        row_number() OVER (
            ORDER BY uploaded_at DESC, superseded, has_report DESC, outcome_at DESC, digest
        ) AS age
    FROM of_the_key
    WHERE choice = 1
)
SELECT
    v.uploaded_at, v.version_id, v.status, v.reason, v.name, v.record, v.outcome_at, v.matches,
    v.best_similarity, v.above_threshold,
    d.reason AS delivery_failed,
    v.names_left_out, v.more_names_possible,
    v.age = 1 AS newest,
    v.digest, v.execution_arn
FROM versions AS v
LEFT JOIN delivery_failures AS d ON d.digest = v.digest AND v.has_report = 1
ORDER BY v.age
