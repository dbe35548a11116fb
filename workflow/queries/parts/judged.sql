-- Match rows that count, each with the decision about its records, if there is one, and what it has that
-- the person did not see who decided: a higher similarity, to a hundredth of a per cent, or a photograph
-- (`Decision.new_evidence` has the same rule). Such new evidence opens DIFFERENT_PEOPLE again only if it
-- is similar enough. The query that uses this decides how similar: a weak look-alike is no reason to ask
-- a person again.
-- uses: evidence, decided
SELECT
    record_a, record_b, name_a, name_b, key_a, key_b, relation, similarity, notify_threshold,
    searched_at, same_file, people_a, people_b, decision, note, decided_by, decided_at,
    more_similar, new_photograph,
    CASE WHEN more_similar + new_photograph > 0 THEN 1 ELSE 0 END AS new_evidence
FROM (
    SELECT
        e.record_a, e.record_b, e.name_a, e.name_b, e.key_a, e.key_b, e.relation, e.similarity,
        e.notify_threshold, e.searched_at, e.same_file, e.people_a, e.people_b,
        d.decision, d.note, d.decided_by, d.decided_at,
        CASE WHEN floor(e.similarity * 1e2 + 1e-9) > floor(d.similarity * 1e2 + 1e-9) THEN 1 ELSE 0 END
            AS more_similar,
        CASE
            WHEN contains(d.versions, e.version_a) AND contains(d.versions, e.version_b) THEN 0
            WHEN cardinality(d.versions) = 0 AND contains(d.keys, e.key_a) AND contains(d.keys, e.key_b)
                THEN 0
            WHEN contains(d.face_ids, e.face_a) AND contains(d.face_ids, e.face_b) THEN 0
            ELSE 1
        END AS new_photograph
    FROM evidence AS e
    LEFT JOIN decided AS d ON d.record_a = e.record_a AND d.record_b = e.record_b
) AS compared
