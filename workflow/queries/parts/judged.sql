-- Match rows that count, each with the decision about its records, if there is one, and whether the row
-- is new evidence: more than the person saw who decided, in similarity to a hundredth of a per cent,
-- or a photograph (`Decision.new_evidence` has the same rule). New evidence opens DIFFERENT_PEOPLE again only where it is strong enough: from
-- which similarity on, whoever uses this says, since a weak look-alike is no reason to ask again.
-- uses: evidence, decided
SELECT
    e.record_a, e.record_b, e.name_a, e.name_b, e.key_a, e.key_b, e.relation, e.similarity, e.notify_threshold, e.searched_at, e.same_file,
    d.decision, d.decided_by, d.decided_at,
    CASE
        WHEN floor(e.similarity * 1e2 + 1e-9) > floor(d.similarity * 1e2 + 1e-9) THEN 1
        WHEN contains(d.versions, e.version_a) AND contains(d.versions, e.version_b) THEN 0
        WHEN cardinality(d.versions) = 0 AND contains(d.keys, e.key_a) AND contains(d.keys, e.key_b)
            THEN 0
        WHEN contains(d.face_ids, e.face_a) AND contains(d.face_ids, e.face_b) THEN 0
        ELSE 1
    END AS new_evidence
FROM evidence AS e
LEFT JOIN decided AS d ON d.record_a = e.record_a AND d.record_b = e.record_b
