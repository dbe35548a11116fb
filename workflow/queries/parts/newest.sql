-- The newest version of each key that has an outcome. S3 knows the time of an upload to the second:
-- of two versions in one second, the one that was rejected as SUPERSEDED is the older, and otherwise
-- the one with a report, then the one that was worked on last, stands for the key.
-- versions: how many of the key have an outcome.
-- uses: outcomes
SELECT
    key, digest, version_id, etag, size, uploaded_at, dt, name, record, status, reason, outcome_at, faces,
    matches, best_similarity, names_left_out, more_names_possible, best_left_out_similarity,
    look_alikes_left_out, indexed_faces, prominent_faces, face_ids, has_report, versions
FROM (
    SELECT
        *,
        count(*) OVER (PARTITION BY key) AS versions,
        row_number() OVER (
            PARTITION BY key
            ORDER BY uploaded_at DESC, superseded, has_report DESC, outcome_at DESC, digest
        ) AS age
    FROM outcomes
) AS versions
WHERE age = 1
