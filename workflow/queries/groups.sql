-- Which groups of records are one person? Records connected through pairs, one row for each record.
--
-- Two records are connected when a match at or above the minimum joins them, unless somebody has judged
-- them to be different people and no match at or above the minimum is new evidence: a weaker one
-- neither connects nor opens again. A group is what can be reached so. A long chain of pairs is weaker
-- than a group in which everybody resembles everybody: links tells. Each of the rounds below hands the first
-- record that is known on to the neighbours, and 12 rounds reach records that are 12 pairs apart;
-- complete says whether that was enough. (Athena's WITH RECURSIVE ends with an error beyond its
-- depth, and every use of a common table is computed anew: so each round reads the one before it
-- once, and carries the neighbours along.)
--
-- parameter: minimum similarity = 99   lowest similarity of a match that connects, %
-- column: person varchar   first of the group's record keys, in order: it stands for the group
-- column: records bigint   how many records the group has
-- column: record varchar   key of one of them: id:<id> or name:<name>
-- column: name varchar   of the record; a second spelling stands behind ' / '
-- column: links bigint   to how many others of the group it is connected directly
-- column: complete boolean   false when the group may be larger: it is connected to another row's
-- uses: judged, newest
WITH linked AS (
    SELECT record_a, ARRAY[record_a, record_b] AS records
    FROM judged
    WHERE similarity >= ?
    GROUP BY record_a, record_b
    HAVING max(CASE WHEN decision = 'DIFFERENT_PEOPLE' THEN new_evidence ELSE 1 END) = 1
),
round_1 AS (
    SELECT t.record, min(l.record_a) AS person, array_distinct(flatten(array_agg(l.records))) AS near
    FROM linked AS l CROSS JOIN UNNEST(l.records) AS t (record)
    GROUP BY t.record
),
round_2 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_1 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_3 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_2 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_4 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_3 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_5 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_4 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_6 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_5 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_7 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_6 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_8 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_7 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_9 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_8 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_10 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_9 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_11 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_10 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
round_12 AS (
    SELECT t.record, min(r.person) AS person, array_agg(r.record) AS near
    FROM round_11 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
settled AS (
    SELECT
        t.record,
        min(CASE WHEN r.record = t.record THEN r.person END) AS person,
        count(*) - 1 AS links,
        CASE WHEN min(r.person) = max(r.person) THEN 1 ELSE 0 END AS agreed
    FROM round_12 AS r CROSS JOIN UNNEST(r.near) AS t (record)
    GROUP BY t.record
),
named AS (
    SELECT record, min(name) AS name, max(name) AS last_name
    FROM newest
    GROUP BY record
)
SELECT
    s.person,
    count(*) OVER (PARTITION BY s.person) AS records,
    s.record,
    CASE WHEN n.name = n.last_name THEN n.name ELSE n.name || ' / ' || n.last_name END AS name,
    s.links,
    min(s.agreed) OVER (PARTITION BY s.person) = 1 AS complete
FROM settled AS s
LEFT JOIN named AS n ON n.record = s.record
ORDER BY records DESC, s.person, s.record
