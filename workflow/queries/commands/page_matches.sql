-- Which matches does the evidence page show? Each pair of faces once, the best of each two records first.
--
-- parameter: minimum similarity   lowest similarity of a match, %
-- parameter: limit bigint   matches that are kept: the best of each pair of records, then the best of the rest
-- column: record_a varchar   key of the first of the two records, in order
-- column: record_b varchar   key of the second record
-- column: name_a varchar   name of the first record
-- column: name_b varchar   name of the second record
-- column: key_a varchar   photograph of the first record
-- column: key_b varchar   photograph of the second record
-- column: face_a varchar   id of the face in the first photograph
-- column: face_b varchar   id of the face in the second photograph
-- column: box_a varchar   left, top, width and height of that face in the first photograph
-- column: box_b varchar   the same in the second photograph
-- column: version_id_a varchar   newest version of the first photograph; null without versioning
-- column: version_id_b varchar   newest version of the second photograph
-- column: uploaded_a varchar   when the first photograph was uploaded; UTC, ISO 8601
-- column: uploaded_b varchar   when the second photograph was uploaded
-- column: etag_a varchar   eTag of the first photograph
-- column: etag_b varchar   eTag of the second photograph
-- column: size_a bigint   bytes of the first photograph
-- column: size_b bigint   bytes of the second photograph
-- column: people_a bigint   people that the first photograph shows; null: not counted
-- column: people_b bigint   people that the second photograph shows
-- column: similarity double   of the two faces, %
-- column: matches bigint   matches from the minimum up, also those that are left out
-- column: record_pairs bigint   pairs of records with such a match
-- column: next_similarity double   best similarity after this match in the order in which they are kept, %
-- uses: evidence
WITH once AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY pair_id ORDER BY similarity DESC, searched_at DESC, key_a)
            AS side
    FROM evidence
    WHERE similarity >= ?
),
of_records AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY record_a, record_b ORDER BY similarity DESC, key_a, key_b, pair_id
        ) AS place_of_records
    FROM once
    WHERE side = 1
),
placed AS (
    SELECT
        *,
        count(*) OVER () AS matches,
        sum(CASE WHEN place_of_records = 1 THEN 1 ELSE 0 END) OVER () AS record_pairs,
        row_number() OVER (
            ORDER BY CASE WHEN place_of_records = 1 THEN 0 ELSE 1 END, similarity DESC, key_a, key_b,
                pair_id
        ) AS place
    FROM of_records
),
compared AS (
    SELECT
        *,
        max(similarity) OVER (ORDER BY place ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
            AS next_similarity
    FROM placed
)
SELECT
    record_a, record_b, name_a, name_b, key_a, key_b, face_a, face_b, box_a, box_b, version_id_a,
    version_id_b, uploaded_a, uploaded_b, etag_a, etag_b, size_a, size_b, people_a, people_b,
    similarity, matches, CAST(record_pairs AS bigint) AS record_pairs, next_similarity
FROM compared
WHERE place <= ?
ORDER BY place
