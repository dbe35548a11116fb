-- Which records may be one person? Each pair of records once, whichever side reported it, best first.
--
-- Counted are matches between versions that nothing has overwritten since. DIFFERENT_PEOPLE becomes
-- REOPENED when there is a higher similarity than the person saw, to a hundredth of a per cent, or a
-- face that the person did not see: in a match that reached the notify threshold of its own search, as
-- for a notification. What is weaker opens nothing again.
--
-- column: record_a varchar   key of the first of the two records, in order: id:<id> or name:<name>
-- column: record_b varchar   of the second
-- column: name_a varchar   of the first record; a second spelling stands behind ' / '
-- column: name_b varchar   of the second
-- column: relation varchar   how the names relate: UNRELATED, SAME_NAME, SHARED_PART, VARIANT, UNKNOWN; null: not classified
-- column: similarity double   of the best pair of faces, %
-- column: image_pairs bigint   pairs of photographs that support it
-- column: same_files bigint   how many of these pairs are the same file twice, byte for byte
-- column: photographs_a bigint   photographs of the first record that do
-- column: photographs_b bigint   photographs of the second record
-- column: first_seen varchar   when the first of these matches was found; UTC, ISO 8601
-- column: last_seen varchar   when the last was
-- column: standing varchar   UNDECIDED, SAME_PERSON, DIFFERENT_PEOPLE, UNSURE or REOPENED
-- column: decided_by varchar   who decided, or null
-- column: decided_at varchar   when, or null
-- uses: judged
WITH by_photographs AS (
    SELECT
        record_a, record_b, key_a, key_b, decision, decided_by, decided_at,
        min(name_a) AS name_a, max(name_a) AS last_name_a,
        min(name_b) AS name_b, max(name_b) AS last_name_b,
        max(relation) AS relation,
        max(similarity) AS similarity,
        max(same_file) AS same_file,
        max(CASE WHEN similarity >= notify_threshold THEN new_evidence ELSE 0 END) AS reopened,
        min(searched_at) AS first_seen,
        max(searched_at) AS last_seen
    FROM judged
    GROUP BY record_a, record_b, key_a, key_b, decision, decided_by, decided_at
),
by_records AS (
    SELECT
        record_a, record_b, decision, decided_by, decided_at,
        min(name_a) AS name_a, max(last_name_a) AS last_name_a,
        min(name_b) AS name_b, max(last_name_b) AS last_name_b,
        max_by(relation, CASE WHEN relation IS NULL THEN NULL ELSE similarity END) AS relation,
        max(similarity) AS similarity,
        count(*) AS image_pairs,
        CAST(sum(same_file) AS bigint) AS same_files,
        count(DISTINCT key_a) AS photographs_a,
        count(DISTINCT key_b) AS photographs_b,
        max(reopened) AS reopened,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen
    FROM by_photographs
    GROUP BY record_a, record_b, decision, decided_by, decided_at
)
SELECT
    record_a, record_b,
    CASE WHEN name_a = last_name_a THEN name_a ELSE name_a || ' / ' || last_name_a END AS name_a,
    CASE WHEN name_b = last_name_b THEN name_b ELSE name_b || ' / ' || last_name_b END AS name_b,
    relation, similarity, image_pairs, same_files, photographs_a, photographs_b, first_seen,
    last_seen,
    CASE
        WHEN decision IS NULL THEN 'UNDECIDED'
        WHEN decision = 'DIFFERENT_PEOPLE' AND reopened = 1 THEN 'REOPENED'
        ELSE decision
    END AS standing,
    CASE WHEN decision <> 'UNDECIDED' THEN decided_by END AS decided_by,
    CASE WHEN decision <> 'UNDECIDED' THEN decided_at END AS decided_at
FROM by_records
ORDER BY similarity DESC, record_a, record_b
