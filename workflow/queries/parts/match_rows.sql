-- Match rows with the keys of both records. A row of schema version 1 or 2 has names only: its record is
-- the name with blanks for underscores, as a photograph without a record id has it
-- (`functions.matching.identity`; rare blanks and invisible characters in old rows are not looked at).
-- Two names that are one record are no match any more.
SELECT
    *
FROM (
    SELECT
        pair_id, digest, key, version_id, name, face_id, matched_name, matched_key, matched_face_id,
        similarity, notify_threshold, searched_at, relation,
        ARRAY[face_left, face_top, face_width, face_height] AS box,
        ARRAY[matched_left, matched_top, matched_width, matched_height] AS matched_box,
        coalesce(record, 'name:' || trim(replace(name, '_', ' '))) AS record,
        coalesce(matched_record, 'name:' || trim(replace(matched_name, '_', ' '))) AS matched_record
    FROM matches
) AS rows_of_all_versions
WHERE record <> matched_record
