-- Every version that has an outcome: a report, or a failure record where there is no report (a
-- report wins over a failure, and for a moment both may be there: has_report says which is which).
-- A report of schema version 1 or 2 has no record key: it is made of the name. One of version 1 counted no names that it left out: there may be some.
-- look_alikes_left_out: null where nobody kept look-alikes of the same record, as before version 3.
-- face_ids: ids of the indexed faces; null in reports that were written before there was this column.
SELECT
    key, digest, version_id, etag, size, uploaded_at, dt, name,
    coalesce(record, 'name:' || trim(replace(name, '_', ' '))) AS record, status,
    CAST(NULL AS varchar) AS reason,
    searched_at AS outcome_at,
    CAST(faces_in_image AS bigint) AS faces,
    CAST(other_name_matches AS bigint) AS matches,
    best_similarity,
    coalesce(above_threshold, notified) AS above_threshold,
    CAST(coalesce(names_left_out, 0) AS bigint) AS names_left_out,
    coalesce(more_names_possible, matches_left_out > 0) AS more_names_possible,
    best_left_out_similarity,
    CAST(look_alikes_left_out AS bigint) AS look_alikes_left_out,
    CAST(cardinality(faces) AS bigint) AS indexed_faces,
    CAST(prominent_faces AS bigint) AS prominent_faces,
    face_ids,
    execution_arn,
    1 AS has_report,
    0 AS superseded
FROM reports
UNION ALL
SELECT
    key, digest, version_id, etag, size, uploaded_at, dt, name,
    coalesce(record, 'name:' || trim(replace(name, '_', ' '))) AS record, status,
    reason,
    failed_at AS outcome_at,
    CAST(NULL AS bigint) AS faces,
    CAST(NULL AS bigint) AS matches,
    CAST(NULL AS double) AS best_similarity,
    CAST(NULL AS boolean) AS above_threshold,
    CAST(NULL AS bigint) AS names_left_out,
    CAST(NULL AS boolean) AS more_names_possible,
    CAST(NULL AS double) AS best_left_out_similarity,
    CAST(NULL AS bigint) AS look_alikes_left_out,
    CAST(NULL AS bigint) AS indexed_faces,
    CAST(NULL AS bigint) AS prominent_faces,
    NULL AS face_ids,
    execution_arn,
    0 AS has_report,
    CASE WHEN reason = 'SUPERSEDED' THEN 1 ELSE 0 END AS superseded
FROM failures
