-- Look-alike rows that count: two photographs of one record that resemble each other. The rules are
-- those of `evidence`: the row's own version is the newest of its key, and the other photograph has a
-- report and has not been overwritten since the search.
-- uses: newest
SELECT l.key, l.other_key, l.similarity
FROM look_alikes AS l
INNER JOIN newest AS own ON own.key = l.key AND own.digest = l.digest
INNER JOIN newest AS other
    ON other.key = l.other_key AND other.record = own.record AND other.has_report = 1
WHERE other.uploaded_at <= l.searched_at
    AND (other.versions = 1 OR other.outcome_at <= l.searched_at)
