-- Which groups of names are one person? Names connected through pairs, one row for each name.
--
-- Two names are connected when a match at or above the minimum joins them, unless somebody has judged
-- them to be different people and no match at or above the minimum is new evidence: a weaker one
-- neither connects nor opens again. A group is what can be reached so. A long chain of pairs is weaker
-- than a group in which everybody resembles everybody: links tells. Each of the rounds below hands the first
-- name that is known on to the neighbours, and 12 rounds reach names that are 12 pairs apart;
-- complete says whether that was enough. (Athena's WITH RECURSIVE ends with an error beyond its
-- depth, and every use of a common table is computed anew: so each round reads the one before it
-- once, and carries the neighbours along.)
--
-- parameter: minimum similarity = 99   lowest similarity of a match that connects, %
-- column: person varchar   first of the group's names, in order: it stands for the group
-- column: names bigint   how many names the group has
-- column: name varchar   one of them
-- column: links bigint   to how many others of the group it is connected directly
-- column: complete boolean   false when the group may be larger: it is connected to another row's
-- uses: judged
WITH linked AS (
    SELECT name_a, ARRAY[name_a, name_b] AS names
    FROM judged
    WHERE similarity >= ?
    GROUP BY name_a, name_b
    HAVING max(CASE WHEN decision = 'DIFFERENT_PEOPLE' THEN new_evidence ELSE 1 END) = 1
),
round_1 AS (
    SELECT t.name, min(l.name_a) AS person, array_distinct(flatten(array_agg(l.names))) AS near
    FROM linked AS l CROSS JOIN UNNEST(l.names) AS t (name)
    GROUP BY t.name
),
round_2 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_1 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_3 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_2 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_4 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_3 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_5 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_4 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_6 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_5 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_7 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_6 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_8 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_7 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_9 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_8 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_10 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_9 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_11 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_10 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
round_12 AS (
    SELECT t.name, min(r.person) AS person, array_agg(r.name) AS near
    FROM round_11 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
),
settled AS (
    SELECT
        t.name,
        min(CASE WHEN r.name = t.name THEN r.person END) AS person,
        count(*) - 1 AS links,
        CASE WHEN min(r.person) = max(r.person) THEN 1 ELSE 0 END AS agreed
    FROM round_12 AS r CROSS JOIN UNNEST(r.near) AS t (name)
    GROUP BY t.name
)
SELECT
    person,
    count(*) OVER (PARTITION BY person) AS names,
    name,
    links,
    min(agreed) OVER (PARTITION BY person) = 1 AS complete
FROM settled
ORDER BY names DESC, person, name
