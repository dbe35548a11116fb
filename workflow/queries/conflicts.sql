-- Which records may show two people? Photographs that resemble no other one of their record.
--
-- Such a photograph may be filed under the wrong name, or the record may be stolen. It may also show the
-- same person years later, or badly: it is a candidate for a person's judgement.
--
-- Counted are the newest versions with an indexed face. Two photographs resemble each other when the
-- search of either one found the other, at its search threshold. In a record of two photographs that do
-- not resemble each other both are listed.
--
-- No photograph is listed whose search may have found more than was kept: its report left look-alikes
-- out, or Rekognition gave all it gives at once, or it is of a schema version before 3. To search the
-- photographs of such a report again: facematch backfill --again. In a record of more than 100 photographs,
-- search one again that was searched before the others: each of them keeps its best 100 only.
--
-- column: record varchar   key of the record: id:<id> or name:<name>
-- column: name varchar   of the record; a second spelling stands behind ' / '
-- column: key varchar   of the photograph that resembles no other one
-- column: other_key varchar   of the record's best other one: that resembles the most, then the most similar
-- column: photographs bigint   of the record, with an indexed face
-- column: uploaded_at varchar   when the photograph was; UTC, ISO 8601
-- column: report varchar   key of the photograph's report in the output bucket
-- column: other_report varchar   key of the other photograph's report
-- column: standing varchar   UNDECIDED, SAME_PERSON, DIFFERENT_PEOPLE or UNSURE
-- column: decided_by varchar   who decided, or null
-- column: decided_at varchar   when, or null
-- uses: resemblances, decided
WITH from_both_sides AS (
    SELECT
        t.key,
        CASE WHEN t.key = r.key THEN r.other_key ELSE r.key END AS other_key,
        r.similarity
    FROM resemblances AS r CROSS JOIN UNNEST(ARRAY[r.key, r.other_key]) AS t (key)
),
counted AS (
    SELECT key, count(DISTINCT other_key) AS resembled, max(similarity) AS best
    FROM from_both_sides
    GROUP BY key
),
placed AS (
    SELECT
        n.record, n.key, n.name, n.uploaded_at,
        'reports/dt=' || n.dt || '/' || n.digest || '.json' AS report,
        coalesce(c.resembled, 0) AS resembled,
        CASE WHEN n.look_alikes_left_out = 0 AND NOT n.more_names_possible THEN 1 ELSE 0 END AS complete,
        row_number() OVER (
            PARTITION BY n.record
            ORDER BY coalesce(c.resembled, 0) DESC, coalesce(c.best, 0) DESC, n.key
        ) AS place
    FROM newest AS n
    LEFT JOIN counted AS c ON c.key = n.key
    WHERE n.status IN ('MATCHED', 'UNIQUE')
),
compared AS (
    SELECT
        record, key, uploaded_at, report, resembled, complete, place,
        min(name) OVER (PARTITION BY record) AS name,
        max(name) OVER (PARTITION BY record) AS last_name,
        count(*) OVER (PARTITION BY record) AS photographs,
        max(CASE WHEN place = 1 THEN key END) OVER (PARTITION BY record) AS first_key,
        max(CASE WHEN place = 2 THEN key END) OVER (PARTITION BY record) AS second_key,
        max(CASE WHEN place = 1 THEN report END) OVER (PARTITION BY record) AS first_report,
        max(CASE WHEN place = 2 THEN report END) OVER (PARTITION BY record) AS second_report
    FROM placed
)
SELECT
    c.record,
    CASE WHEN c.name = c.last_name THEN c.name ELSE c.name || ' / ' || c.last_name END AS name,
    c.key,
    CASE WHEN c.place = 1 THEN c.second_key ELSE c.first_key END AS other_key,
    c.photographs,
    c.uploaded_at,
    c.report,
    CASE WHEN c.place = 1 THEN c.second_report ELSE c.first_report END AS other_report,
    coalesce(d.decision, 'UNDECIDED') AS standing,
    CASE WHEN d.decision <> 'UNDECIDED' THEN d.decided_by END AS decided_by,
    CASE WHEN d.decision <> 'UNDECIDED' THEN d.decided_at END AS decided_at
FROM compared AS c
LEFT JOIN decided AS d ON d.record_a = c.record AND d.record_b = 'photograph:' || c.key
WHERE c.resembled = 0 AND c.complete = 1 AND c.photographs > 1
ORDER BY c.record, c.key
