-- Which photographs support a pair of records? Each pair of photographs once, best first.
--
-- parameter: record varchar   key of one of the two records: id:<id> or name:<name>
-- parameter: other_record varchar   of the other
-- column: similarity double   of the best pair of faces in the two photographs, %
-- column: key varchar   photograph of the one record
-- column: other_key varchar   photograph of the other record
-- column: same_file boolean   whether the two photographs are the same file, byte for byte
-- column: first_seen varchar   when one of them was first found by the other; UTC, ISO 8601
-- column: last_seen varchar   when last
-- uses: evidence
WITH from_both_sides AS (
    SELECT record_a AS record, record_b AS other_record, key_a AS key, key_b AS other_key,
        similarity, searched_at, same_file
    FROM evidence
    UNION ALL
    SELECT record_b AS record, record_a AS other_record, key_b AS key, key_a AS other_key,
        similarity, searched_at, same_file
    FROM evidence
)
SELECT
    max(similarity) AS similarity,
    key,
    other_key,
    max(same_file) = 1 AS same_file,
    min(searched_at) AS first_seen,
    max(searched_at) AS last_seen
FROM from_both_sides
WHERE record = ? AND other_record = ?
GROUP BY key, other_key
ORDER BY similarity DESC, key, other_key
