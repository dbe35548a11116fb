-- Which photographs that stand alone in their record does the evidence page show, and in which versions?
--
-- column: record varchar   key of the record
-- column: name varchar   name of the record; a second spelling follows ' / '
-- column: key varchar   photograph that resembles no other one of its record
-- column: other_key varchar   the record's best other photograph
-- column: photographs bigint   photographs of the record with an indexed face
-- column: uploaded_at varchar   when the photograph was uploaded; UTC, ISO 8601
-- column: standing varchar   UNDECIDED, SAME_PERSON, DIFFERENT_PEOPLE or UNSURE
-- column: decided_by varchar   who decided, or null
-- column: decided_at varchar   when, or null
-- column: version_id_a varchar   newest version of the photograph; null without versioning
-- column: version_id_b varchar   newest version of the other photograph
-- column: uploaded_a varchar   when that version of the photograph was uploaded
-- column: uploaded_b varchar   when that version of the other photograph was uploaded
-- column: etag_a varchar   eTag of the photograph
-- column: etag_b varchar   eTag of the other photograph
-- column: size_a bigint   bytes of the photograph
-- column: size_b bigint   bytes of the other photograph
-- uses: conflicts, newest
SELECT
    c.record, c.name, c.key, c.other_key, c.photographs, c.uploaded_at, c.standing, c.decided_by,
    c.decided_at,
    a.version_id AS version_id_a, b.version_id AS version_id_b,
    a.uploaded_at AS uploaded_a, b.uploaded_at AS uploaded_b,
    a.etag AS etag_a, b.etag AS etag_b,
    a.size AS size_a, b.size AS size_b
FROM conflicts AS c
INNER JOIN newest AS a ON a.key = c.key
INNER JOIN newest AS b ON b.key = c.other_key
ORDER BY c.record, c.key
