-- Which photographs support a pair of names? Each pair of photographs once, best first.
--
-- parameter: name varchar   one of the two names
-- parameter: other_name varchar   the other
-- column: similarity double   of the best pair of faces in the two photographs, %
-- column: key varchar   photograph under the one name
-- column: other_key varchar   photograph under the other
-- column: same_file boolean   whether the two photographs are the same file, byte for byte
-- column: first_seen varchar   when one of them was first found by the other; UTC, ISO 8601
-- column: last_seen varchar   when last
-- uses: evidence
WITH from_both_sides AS (
    SELECT name_a AS name, name_b AS other_name, key_a AS key, key_b AS other_key,
        similarity, searched_at, same_file
    FROM evidence
    UNION ALL
    SELECT name_b AS name, name_a AS other_name, key_b AS key, key_a AS other_key,
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
WHERE name = ? AND other_name = ?
GROUP BY key, other_key
ORDER BY similarity DESC, key, other_key
