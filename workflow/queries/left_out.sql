-- Which photographs look like more records than their reports list? Pairs may be missing of these.
--
-- Every key counts once, with its newest version. A report lists the best face of each record first, so
-- that it leaves a record out only when there are too many; what it lists is the rest of the best.
-- Search such a photograph again with a larger max_matches, or when the look-alikes are fewer.
--
-- column: key varchar   of the photograph
-- column: name varchar   that the key carries
-- column: record varchar   key of the record that it shows
-- column: names_left_out bigint   that the search found and the report does not list
-- column: more_names_possible boolean   whether there may be more: Rekognition gave all it gives at once
-- column: best_left_out_similarity double   none of them is more similar, %; null when nobody knows
-- column: matches bigint   that the report lists, under other names
-- column: searched_at varchar   UTC, ISO 8601
-- uses: newest
SELECT
    key, name, record, names_left_out, more_names_possible, best_left_out_similarity, matches,
    outcome_at AS searched_at
FROM newest
WHERE names_left_out > 0 OR more_names_possible
ORDER BY best_left_out_similarity DESC, key
