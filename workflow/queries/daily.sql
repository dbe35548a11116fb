-- What happened day by day? Images by the day of their upload: outcomes, faces, matches.
--
-- Every key counts once, with its newest version.
--
-- column: day date   of the upload, UTC
-- column: images bigint   with an outcome
-- column: faces bigint   seen in them, indexed or not
-- column: matched bigint   with a match under another name, when they were searched
-- column: unique_images bigint   with a face and no such match
-- column: no_face bigint   in which no face was indexed
-- column: rejected bigint   at fault themselves
-- column: failed bigint   whose execution failed, timed out or was stopped
-- column: matches bigint   that their reports list, under other names
-- column: no_face_share double   of the images with a report, 0 to 1; null when there are none
-- uses: newest
WITH counted AS (
    SELECT
        CAST(dt AS date) AS day,
        count(*) AS images,
        CAST(coalesce(sum(faces), 0) AS bigint) AS faces,
        count(*) FILTER (WHERE status = 'MATCHED') AS matched,
        count(*) FILTER (WHERE status = 'UNIQUE') AS unique_images,
        count(*) FILTER (WHERE status = 'NO_FACE') AS no_face,
        count(*) FILTER (WHERE status = 'REJECTED') AS rejected,
        count(*) FILTER (WHERE status IN ('FAILED', 'TIMED_OUT', 'ABORTED')) AS failed,
        CAST(coalesce(sum(matches), 0) AS bigint) AS matches
    FROM newest
    GROUP BY dt
)
SELECT
    day, images, faces, matched, unique_images, no_face, rejected, failed, matches,
    CAST(no_face AS double)
        / CAST(nullif(matched + unique_images + no_face, 0) AS double) AS no_face_share
FROM counted
ORDER BY day
