-- Match rows that count. The row's own version is the newest of its key, and the face that it found is
-- one of the newest version of the other key. Each row has its records in order, whichever side reported
-- it. Photographs without a report do not count: deleted ones, whose reports are deleted with them,
-- rejected ones, and those whose execution has not ended, which will report the same match themselves.
-- A report of an earlier version has no face_ids. There the times decide: the other key was not
-- overwritten after the search, and if it has several versions, its newest was indexed before the search.
-- version_id, uploaded, etag and size of each side are those of the photograph's newest version.
-- box_a, box_b: left, top, width and height of the faces, as ratios of the image's width and height.
-- people_a, people_b: prominent faces of the two photographs; null if nobody counted them.
-- same_file: 1 if both photographs are the same file, byte for byte, as far as S3 tells contents apart;
-- `UploadedImage.content_id` has the same rule, and why.
-- uses: newest, match_rows
SELECT
    m.pair_id,
    CASE WHEN m.record < m.matched_record THEN m.record ELSE m.matched_record END AS record_a,
    CASE WHEN m.record < m.matched_record THEN m.matched_record ELSE m.record END AS record_b,
    CASE WHEN m.record < m.matched_record THEN m.name ELSE m.matched_name END AS name_a,
    CASE WHEN m.record < m.matched_record THEN m.matched_name ELSE m.name END AS name_b,
    CASE WHEN m.record < m.matched_record THEN m.key ELSE m.matched_key END AS key_a,
    CASE WHEN m.record < m.matched_record THEN m.matched_key ELSE m.key END AS key_b,
    CASE WHEN m.record < m.matched_record THEN m.digest ELSE other.digest END AS version_a,
    CASE WHEN m.record < m.matched_record THEN other.digest ELSE m.digest END AS version_b,
    CASE WHEN m.record < m.matched_record THEN m.face_id ELSE m.matched_face_id END AS face_a,
    CASE WHEN m.record < m.matched_record THEN m.matched_face_id ELSE m.face_id END AS face_b,
    CASE WHEN m.record < m.matched_record THEN own.version_id ELSE other.version_id END AS version_id_a,
    CASE WHEN m.record < m.matched_record THEN other.version_id ELSE own.version_id END AS version_id_b,
    CASE WHEN m.record < m.matched_record THEN own.uploaded_at ELSE other.uploaded_at END AS uploaded_a,
    CASE WHEN m.record < m.matched_record THEN other.uploaded_at ELSE own.uploaded_at END AS uploaded_b,
    CASE WHEN m.record < m.matched_record THEN own.etag ELSE other.etag END AS etag_a,
    CASE WHEN m.record < m.matched_record THEN other.etag ELSE own.etag END AS etag_b,
    CASE WHEN m.record < m.matched_record THEN own.size ELSE other.size END AS size_a,
    CASE WHEN m.record < m.matched_record THEN other.size ELSE own.size END AS size_b,
    CASE WHEN m.record < m.matched_record THEN m.box ELSE m.matched_box END AS box_a,
    CASE WHEN m.record < m.matched_record THEN m.matched_box ELSE m.box END AS box_b,
    m.relation,
    m.similarity,
    m.notify_threshold,
    m.searched_at,
    CASE WHEN m.record < m.matched_record THEN own.prominent_faces ELSE other.prominent_faces END
        AS people_a,
    CASE WHEN m.record < m.matched_record THEN other.prominent_faces ELSE own.prominent_faces END
        AS people_b,
    CASE
        WHEN length(own.etag) = 32 AND own.etag = other.etag AND own.size = other.size THEN 1
        ELSE 0
    END AS same_file
FROM match_rows AS m
INNER JOIN newest AS own ON own.key = m.key AND own.digest = m.digest
INNER JOIN newest AS other ON other.key = m.matched_key AND other.has_report = 1
WHERE CASE
    WHEN other.face_ids IS NOT NULL THEN contains(other.face_ids, m.matched_face_id)
    ELSE other.uploaded_at <= m.searched_at
        AND (other.versions = 1 OR other.outcome_at <= m.searched_at)
    END
