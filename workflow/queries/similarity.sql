-- How are the similarities distributed? Pairs of photographs under different names, by their best.
--
-- Most thresholds lie above 99 %, so the bins become finer there: 1 % wide below 99, a tenth below
-- 99.9, a hundredth above. A similarity is cut, never rounded up, as people see it. Bins without a
-- pair are left out.
--
-- column: from_similarity double   lower bound of the bin, %
-- column: image_pairs bigint   pairs of photographs in it
-- uses: evidence
WITH best AS (
    SELECT floor(max(similarity) * 1e2 + 1e-9) AS hundredths
    FROM evidence
    GROUP BY key_a, key_b
),
binned AS (
    SELECT
        CASE
            WHEN hundredths >= 9990 THEN hundredths / 1e2
            WHEN hundredths >= 9900 THEN floor(hundredths / 1e1) / 1e1
            ELSE floor(hundredths / 1e2)
        END AS from_similarity
    FROM best
)
SELECT from_similarity, count(*) AS image_pairs
FROM binned
GROUP BY from_similarity
ORDER BY from_similarity
