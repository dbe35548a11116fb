-- Which names have the most photographs, and what came of them?
--
-- Every key counts once, with its newest version.
--
-- column: name varchar   that the keys carry; null for keys that carry none
-- column: photographs bigint   with an outcome
-- column: matched bigint   with a match under another name, when they were searched
-- column: no_face bigint   in which no face was indexed
-- column: rejected bigint   at fault themselves
-- column: failed bigint   whose execution failed, timed out or was stopped
-- column: best_similarity double   under another name that their reports list, %; null when none
-- uses: newest
SELECT
    name,
    count(*) AS photographs,
    count(*) FILTER (WHERE status = 'MATCHED') AS matched,
    count(*) FILTER (WHERE status = 'NO_FACE') AS no_face,
    count(*) FILTER (WHERE status = 'REJECTED') AS rejected,
    count(*) FILTER (WHERE status IN ('FAILED', 'TIMED_OUT', 'ABORTED')) AS failed,
    max(best_similarity) FILTER (WHERE status = 'MATCHED') AS best_similarity
FROM newest
GROUP BY name
ORDER BY photographs DESC, name
