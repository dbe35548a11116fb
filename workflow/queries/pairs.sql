-- Which records may be one person? Each pair of records once, whichever side reported it, best first.
--
-- Counted are matches between the newest versions of two keys. DIFFERENT_PEOPLE becomes REOPENED when
-- there is a higher similarity than the person saw, to a hundredth of a per cent, or a photograph that
-- the person did not see. Such a match must reach the notify threshold of its own search, as for a
-- notification. Weaker matches do not reopen a pair.
--
-- column: record_a varchar   key of the first of the two records, in order: id:<id> or name:<name>
-- column: record_b varchar   key of the second record
-- column: name_a varchar   name of the first record; a second spelling follows ' / '
-- column: name_b varchar   name of the second record
-- column: relation varchar   how the names relate: UNRELATED, SAME_NAME, SHARED_PART, VARIANT, UNKNOWN; null: not classified
-- column: similarity double   similarity of the best pair of faces, %
-- column: key_a varchar   photograph of the first record in the best pair of photographs
-- column: key_b varchar   photograph of the second record in it
-- column: same_file boolean   whether the photographs of the best pair are the same file, byte for byte
-- column: people_a bigint   people that the photograph key_a shows; null: not counted
-- column: people_b bigint   people that the photograph key_b shows; null: not counted
-- column: image_pairs bigint   pairs of photographs that support it
-- column: same_files bigint   pairs of photographs that are the same file twice, byte for byte
-- column: photographs_a bigint   photographs of the first record that support it
-- column: photographs_b bigint   photographs of the second record that support it
-- column: first_seen varchar   when the first of these matches was found; UTC, ISO 8601
-- column: last_seen varchar   when the last of them was found
-- column: standing varchar   UNDECIDED, SAME_PERSON, DIFFERENT_PEOPLE, UNSURE or REOPENED
-- column: why varchar   why it was reopened: HIGHER_SIMILARITY, NEW_PHOTOGRAPH or both, with a blank between
-- column: decided_by varchar   who decided, or null
-- column: decided_at varchar   when, or null
-- column: note varchar   what that person wrote, or null
-- uses: judged
WITH by_photographs AS (
    SELECT
        record_a, record_b, key_a, key_b, decision, note, decided_by, decided_at,
        min(name_a) AS name_a, max(name_a) AS last_name_a,
        min(name_b) AS name_b, max(name_b) AS last_name_b,
        max(relation) AS relation,
        max(similarity) AS similarity,
        max(same_file) AS same_file,
        max(people_a) AS people_a,
        max(people_b) AS people_b,
        max(CASE WHEN similarity >= notify_threshold THEN more_similar ELSE 0 END) AS more_similar,
        max(CASE WHEN similarity >= notify_threshold THEN new_photograph ELSE 0 END) AS new_photograph,
        min(searched_at) AS first_seen,
        max(searched_at) AS last_seen
    FROM judged
    GROUP BY record_a, record_b, key_a, key_b, decision, note, decided_by, decided_at
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY record_a, record_b ORDER BY similarity DESC, key_a, key_b)
            AS place
    FROM by_photographs
),
by_records AS (
    SELECT
        record_a, record_b, decision, note, decided_by, decided_at,
        min(name_a) AS name_a, max(last_name_a) AS last_name_a,
        min(name_b) AS name_b, max(last_name_b) AS last_name_b,
        max_by(relation, CASE WHEN relation IS NULL THEN NULL ELSE similarity END) AS relation,
        max(similarity) AS similarity,
        max(CASE WHEN place = 1 THEN key_a END) AS key_a,
        max(CASE WHEN place = 1 THEN key_b END) AS key_b,
        max(CASE WHEN place = 1 THEN same_file END) AS same_file,
        max(CASE WHEN place = 1 THEN people_a END) AS people_a,
        max(CASE WHEN place = 1 THEN people_b END) AS people_b,
        count(*) AS image_pairs,
        CAST(sum(same_file) AS bigint) AS same_files,
        count(DISTINCT key_a) AS photographs_a,
        count(DISTINCT key_b) AS photographs_b,
        max(more_similar) AS more_similar,
        max(new_photograph) AS new_photograph,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen
    FROM ranked
    GROUP BY record_a, record_b, decision, note, decided_by, decided_at
),
standing AS (
    SELECT
        *,
        CASE
            WHEN decision IS NULL THEN 'UNDECIDED'
            WHEN decision = 'DIFFERENT_PEOPLE' AND more_similar + new_photograph > 0 THEN 'REOPENED'
            ELSE decision
        END AS stands
    FROM by_records
)
SELECT
    record_a, record_b,
    CASE WHEN name_a = last_name_a THEN name_a ELSE name_a || ' / ' || last_name_a END AS name_a,
    CASE WHEN name_b = last_name_b THEN name_b ELSE name_b || ' / ' || last_name_b END AS name_b,
    relation, similarity, key_a, key_b, same_file = 1 AS same_file, people_a, people_b, image_pairs,
    same_files, photographs_a, photographs_b, first_seen, last_seen,
    stands AS standing,
    CASE
        WHEN stands <> 'REOPENED' THEN NULL
        WHEN more_similar + new_photograph = 2 THEN 'HIGHER_SIMILARITY NEW_PHOTOGRAPH'
        WHEN more_similar = 1 THEN 'HIGHER_SIMILARITY'
        ELSE 'NEW_PHOTOGRAPH'
    END AS why,
    CASE WHEN decision <> 'UNDECIDED' THEN decided_by END AS decided_by,
    CASE WHEN decision <> 'UNDECIDED' THEN decided_at END AS decided_at,
    CASE WHEN decision <> 'UNDECIDED' THEN note END AS note
FROM standing
ORDER BY similarity DESC, record_a, record_b
