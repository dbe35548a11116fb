// The model: pairs of records out of matches of faces, and what of them is shown.

/**
 * The pairs of records. Matches come best first, and so do those of each pair.
 *
 * A pair: `records` (their keys), `names` (what they are called here), `written` (the names in the
 * best match), `key` (for look-ups), `matches` ([faceA, faceB, similarity]), `best` (%), `faces` (of the
 * best match), `sides` (for each record its photographs, best first, as {photograph, similarity}), `showsSeveral` (whether a
 * photograph of the best match shows several people), `seen` (what a decision notes of them), `relation` (of
 * the two names), `search` (its names, folded).
 */
function pairsOf(data) {
  const photographOf = (face) => data.photographs[data.faces[face].photograph];
  const relations = new Map(
    data.relations.map(([one, other, relation]) => [keyOfRecords([one, other]), relation]),
  );
  const pairs = new Map();
  for (const match of data.matches) {
    const shown = [photographOf(match[0]), photographOf(match[1])];
    const records = shown.map(({ record }) => record);
    const key = keyOfRecords(records);
    let pair = pairs.get(key);
    if (!pair) {
      const relation = relations.get(key) ?? "UNKNOWN";
      const names = records.map((record) => data.records[record]);
      const written = shown.map(({ name }) => name);
      const search = names.map(folded);
      const faces = match.slice(0, 2);
      pair = { key, records, names, written, relation, matches: [], best: match[2], faces, search };
      pair.showsSeveral = shown.some(({ people }) => people);
      pairs.set(key, pair);
    }
    pair.matches.push(match);
  }
  for (const pair of pairs.values()) {
    pair.sides = [0, 1].map((side) => photographsOf(data, pair, side));
    pair.seen = seenIn(pair.sides.flat().map(({ photograph }) => data.photographs[photograph]));
  }
  return [...pairs.values()];
}

/** What a decision notes of the photographs that were seen. */
const seenIn = (photographs) => ({
  versions: photographs.map(({ version }) => version).sort(),
  keys: photographs.map(({ key }) => key).sort(),
});

/**
 * The conflicts: photographs that resemble no other one of their record.
 *
 * A decision about a conflict is about the record and the photograph. So a conflict has what a pair
 * has, but no match: `faces` are that of the photograph and that of the record's best other one,
 * whose photographs are `shown`, and `photographs` is how many the record has with a face.
 */
function conflictsOf(data) {
  return data.conflicts.map(({ record, photograph, faces, photographs }) => {
    const shown = faces.map((face) => data.photographs[data.faces[face].photograph]);
    const [{ name, key }] = shown;
    const label = data.records[record];
    return {
      key: keyOfRecords([record, photograph]),
      records: [record, photograph],
      names: [label, key],
      written: [name, key],
      matches: [],
      best: 0,
      faces,
      shown,
      photographs,
      showsSeveral: shown.some(({ people }) => people),
      seen: seenIn(shown),
      search: [folded(label)],
    };
  });
}

const isConflict = (pair) => !pair.matches.length;

/** A pair is looked up by the keys of its records, in any order. */
const keyOfRecords = (records) => JSON.stringify([...records].sort());

/** Whether a match is of two photographs that are the same file, byte for byte. */
function isSameFile(data, [one, other]) {
  const [content, otherContent] = [one, other].map(
    (face) => data.photographs[data.faces[face].photograph].content,
  );
  return content !== null && content === otherContent;
}

function photographsOf(data, pair, side) {
  const best = new Map();
  for (const match of pair.matches) {
    const photograph = data.faces[match[side]].photograph;
    if (!best.has(photograph)) best.set(photograph, match[2]);
  }
  return [...best].map(([photograph, similarity]) => ({ photograph, similarity }));
}

/** How many photographs of each record support the pair at a threshold. */
function support(pair, threshold) {
  return pair.sides.map((side) => countAtLeast(side, threshold, (item) => item.similarity));
}

/** How many at the front of a list, best first, reach the threshold. */
function countAtLeast(list, threshold, similarity) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (similarity(list[middle]) >= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** When the newest photograph that supports the pair at a threshold was uploaded. */
function newest(data, pair, threshold) {
  let time = "";
  for (const side of pair.sides) {
    for (const { photograph, similarity } of side) {
      if (similarity < threshold) break;
      if (data.photographs[photograph].uploaded > time)
        time = data.photographs[photograph].uploaded;
    }
  }
  return time;
}

/** Whether every word of the search is in one name or the other. */
function isFound(pair, words) {
  return words.every((word) => pair.search.some((name) => name.includes(word)));
}

/** The place of each record in the order of their names: comparing texts takes long. */
function ranksOf(data) {
  const collator = new Intl.Collator("en", { numeric: true });
  const named = Object.entries(data.records);
  named.sort(([, one], [, other]) => collator.compare(one, other));
  return new Map(named.map(([record], rank) => [record, rank]));
}

/** These pairs in an order; of equals, the more similar comes first. */
function sorted(data, ranks, pairs, order, threshold) {
  const bySimilarity = (one, other) => other.best - one.best;
  if (order === "similarity") return pairs; // as they come
  const worth = new Map();
  const relations = Object.keys(data.relation_words);
  const rank = {
    // Several people on a photograph make a pair less certain than the others of its relation.
    relation: (pair) => 2 * relations.indexOf(pair.relation) + Number(pair.showsSeveral),
    photographs: (pair) => support(pair, threshold).reduce((sum, count) => sum + count),
    newest: (pair) => newest(data, pair, threshold),
    name: (pair) => ranks.get(pair.records[0]) * ranks.size + ranks.get(pair.records[1]),
  }[order];
  for (const pair of pairs) worth.set(pair, rank(pair));
  const compare = {
    photographs: (one, other) => worth.get(other) - worth.get(one),
    newest: (one, other) =>
      (worth.get(other) > worth.get(one)) - (worth.get(other) < worth.get(one)),
    name: (one, other) => worth.get(one) - worth.get(other),
    relation: (one, other) => worth.get(one) - worth.get(other),
  }[order];
  return [...pairs].sort((one, other) => compare(one, other) || bySimilarity(one, other));
}

/**
 * Groups of records that are connected through pairs (best first), the largest first.
 *
 * A group: `records`, `pairs` (how many connect it), `weakest`: the similarity of the weakest pair
 * that it cannot do without. At a threshold above that it falls apart.
 */
function groupsOf(pairs, ranks) {
  const parent = new Map();
  const weakest = new Map();
  const root = (record) => {
    let top = record;
    while (parent.get(top) !== top) top = parent.get(top);
    while (record !== top) [record] = [parent.get(record), parent.set(record, top)];
    return top;
  };
  for (const pair of pairs) {
    for (const record of pair.records) if (!parent.has(record)) parent.set(record, record);
    const [one, other] = pair.records.map(root);
    if (one !== other) parent.set(one, other);
    if (one !== other) weakest.set(other, pair.best);
  }
  const groups = new Map();
  for (const record of parent.keys()) {
    const top = root(record);
    if (!groups.has(top)) groups.set(top, { records: [], pairs: 0, weakest: weakest.get(top) });
    groups.get(top).records.push(record);
  }
  for (const pair of pairs) groups.get(root(pair.records[0])).pairs += 1;
  for (const group of groups.values())
    group.records.sort((one, other) => ranks.get(one) - ranks.get(other));
  return [...groups.values()].sort(
    (one, other) => other.records.length - one.records.length || other.weakest - one.weakest,
  );
}

/** Where the scale of similarities begins: at a round number, with the threshold on it. */
function beginOfScale(data) {
  return Math.max(0, Math.min(95, Math.floor(data.lowest), Math.floor(data.threshold)));
}

/** How many matches lie in each bin from there to 100 %. */
function histogram(matches, begin, bins = 40) {
  const width = (100 - begin) / bins;
  const counts = Array.from({ length: bins }, (_, index) => ({
    from: begin + index * width,
    to: begin + (index + 1) * width,
    matches: 0,
  }));
  for (const [, , similarity] of matches) {
    const index = Math.floor((similarity - begin) / width);
    counts[Math.max(0, Math.min(bins - 1, index))].matches += 1;
  }
  return counts;
}
