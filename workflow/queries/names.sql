-- Which records have the most photographs, and what came of them?
--
-- Every key counts once, with its newest version.
--
-- column: record varchar   key of the record: id:<id> or name:<name>; null for keys that carry no name
-- column: name varchar   that the keys carry; a second spelling stands behind ' / '
-- column: photographs bigint   with an outcome
-- column: matched bigint   with a match of another record, when they were searched
-- column: no_face bigint   in which no face was indexed
-- column: rejected bigint   at fault themselves
-- column: failed bigint   whose execution failed, timed out or was stopped
-- column: best_similarity double   of another record that their reports list, %; null when none
-- uses: newest
SELECT
    record,
    CASE WHEN min(name) = max(name) THEN min(name) ELSE min(name) || ' / ' || max(name) END AS name,
    count(*) AS photographs,
    count(*) FILTER (WHERE status = 'MATCHED') AS matched,
    count(*) FILTER (WHERE status = 'NO_FACE') AS no_face,
    count(*) FILTER (WHERE status = 'REJECTED') AS rejected,
    count(*) FILTER (WHERE status IN ('FAILED', 'TIMED_OUT', 'ABORTED')) AS failed,
    max(best_similarity) FILTER (WHERE status = 'MATCHED') AS best_similarity
FROM newest
GROUP BY record
ORDER BY photographs DESC, record
