-- What people decided about two records, the newest decision about each pair. A decision of an earlier
-- version has names only: their records are the names with blanks for underscores.
SELECT record_a, record_b, decision, note, decided_by, decided_at, similarity, versions, keys, face_ids
FROM (
    SELECT
        CASE WHEN one < other THEN one ELSE other END AS record_a,
        CASE WHEN one < other THEN other ELSE one END AS record_b,
        decision, note, decided_by, decided_at, similarity, versions, keys, face_ids,
        row_number() OVER (
            PARTITION BY
                CASE WHEN one < other THEN one ELSE other END,
                CASE WHEN one < other THEN other ELSE one END
            ORDER BY decided_at DESC, imported_at DESC
        ) AS age
    FROM (
        SELECT
            *,
            coalesce(record_a, 'name:' || trim(replace(name_a, '_', ' '))) AS one,
            coalesce(record_b, 'name:' || trim(replace(name_b, '_', ' '))) AS other
        FROM decisions
    ) AS with_records
) AS aged
WHERE age = 1
