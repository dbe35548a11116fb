-- How many images have which outcome, by the day of their upload?
--
-- Every key counts once, with its newest version.
--
-- column: day varchar   day of the upload, UTC
-- column: status varchar   MATCHED, UNIQUE, NO_FACE, REJECTED, FAILED, TIMED_OUT or ABORTED
-- column: reason varchar   reason of a failure; null: the image has a report
-- column: images bigint   number of images
-- column: faces bigint   faces indexed in them
-- uses: newest
SELECT
    dt AS day,
    status,
    reason,
    count(*) AS images,
    CAST(coalesce(sum(indexed_faces), 0) AS bigint) AS faces
FROM newest
GROUP BY dt, status, reason
ORDER BY day, status, reason
