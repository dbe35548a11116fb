-- Which records in the output bucket are about a photograph, or mention it?
--
-- The commands ask by digests: Athena keeps the text of a query and its parameters for 45 days, and a
-- digest does not spell out a name. Records of an earlier version have no record keys, so each of them is
-- listed, and the command reads it.
--
-- parameter: record_digest varchar   SHA-256 of the record key, in capital hexadecimal digits
-- parameter: key_digest varchar   SHA-256 of the object key, likewise
-- column: place varchar   kind of the record: a folder of the output bucket
-- column: dt varchar   day of the upload
-- column: digest varchar   digest of the object version that the record is about
WITH about AS (
    SELECT CAST('reports' AS varchar) AS place, dt, digest, record, key FROM reports
    UNION ALL
    SELECT 'reports' AS place, dt, digest, one AS record, NULL AS key
    FROM reports CROSS JOIN UNNEST(silenced || known || reopened) AS t (one)
    UNION ALL
    SELECT 'reports' AS place, dt, digest, matched_record AS record, matched_key AS key FROM matches
    UNION ALL
    SELECT 'matches' AS place, dt, digest, record, key FROM matches
    UNION ALL
    SELECT 'matches' AS place, dt, digest, matched_record AS record, matched_key AS key FROM matches
    UNION ALL
    SELECT 'look_alikes' AS place, dt, digest, record, key FROM look_alikes
    UNION ALL
    SELECT 'look_alikes' AS place, dt, digest, record, other_key AS key FROM look_alikes
    UNION ALL
    SELECT 'failures' AS place, dt, digest, record, key FROM failures
    UNION ALL
    SELECT 'delivery_failures' AS place, dt, digest, record, key FROM delivery_failures
)
SELECT DISTINCT place, dt, digest
FROM about
WHERE record IS NULL
    OR to_hex(sha256(to_utf8(record))) = ?
    OR to_hex(sha256(to_utf8(key))) = ?
ORDER BY place, dt, digest
