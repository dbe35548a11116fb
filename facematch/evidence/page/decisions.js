// Decisions: kept in this browser, exported for `facematch decisions import`.

const DECISIONS = {
  SAME_PERSON: "Same person",
  DIFFERENT_PEOPLE: "Different people",
  UNSURE: "Unsure",
};
const STANDINGS = { ...DECISIONS, UNDECIDED: "To decide", REOPENED: "Opened again" };
const REASONS = {
  HIGHER_SIMILARITY: "a higher similarity",
  NEW_PHOTOGRAPH: "a new photograph",
};
const COLUMNS = [
  "record_a",
  "record_b",
  "name_a",
  "name_b",
  "decision",
  "note",
  "decided_by",
  "decided_at",
  "similarity",
  "versions",
  "keys",
  "face_ids",
];
const LISTS = new Set(["versions", "keys", "face_ids"]);

/**
 * Why a pair that was decided "different people" opens again; empty when it does not.
 *
 * Only matches that reach the threshold count: a weaker look-alike is no reason to ask again.
 */
function reasonsToReopen(decision, pair, data, threshold) {
  if (decision.decision !== "DIFFERENT_PEOPLE" || pair.best < threshold) return [];
  const seen = seenBy(decision, data);
  const count = countAtLeast(pair.matches, threshold, (match) => match[2]);
  const isNew = ([one, other]) => !seen(one) || !seen(other);
  return [
    ...(hundredths(pair.best) > hundredths(decision.similarity) ? ["HIGHER_SIMILARITY"] : []),
    ...(pair.matches.slice(0, count).some(isNew) ? ["NEW_PHOTOGRAPH"] : []),
  ];
}

/** Whether the person saw the photograph of a face: the rule of `Decision.new_evidence`. */
function seenBy({ versions, keys, face_ids }, data) {
  const [column, has] = versions?.length
    ? [new Set(versions), ({ version }) => version]
    : keys?.length
      ? [new Set(keys), ({ key }) => key]
      : [new Set(face_ids), (_, face) => face.id];
  return (index) => {
    const face = data.faces[index];
    return column.has(has(data.photographs[face.photograph], face));
  };
}

/**
 * What was decided: `recorded` is what the stack knows, `own` what is in this browser since.
 * Of the two, the newer counts. When the browser keeps nothing, `isKept` is false, and the
 * decisions last as long as the page is open. `threshold` is the one that the page shows: pairs
 * stand as they do on the matches from there on.
 */
class Decisions {
  #storageKey;
  #data;

  constructor(data) {
    this.stack = data.stack;
    this.threshold = data.threshold;
    this.#data = data;
    this.#storageKey = `facematch:${data.stack}:${data.local ? "local" : "aws"}`;
    this.recorded = new Map(data.decisions.map((item) => [keyOf(item), item]));
    this.isKept = true;
    this.#load();
  }

  #load() {
    let stored = {};
    try {
      stored = JSON.parse(localStorage.getItem(this.#storageKey)) ?? {};
      // Reading alone may be allowed. Under a key of its own: what was read may be older than what
      // another tab has just written, and would replace it.
      const probe = `${this.#storageKey}:probe`;
      localStorage.setItem(probe, "");
      localStorage.removeItem(probe);
    } catch {
      this.isKept = false;
    }
    this.reviewer = stored.reviewer ?? "";
    this.own = new Map((stored.decisions ?? []).map((item) => [keyOf(item), item]));
    for (const [key, item] of this.own) {
      const recorded = this.recorded.get(key);
      if (recorded && Date.parse(recorded.decided_at) >= Date.parse(item.decided_at)) {
        this.own.delete(key); // it has been imported, or decided anew since
      }
    }
  }

  #save() {
    try {
      localStorage.setItem(
        this.#storageKey,
        JSON.stringify({ reviewer: this.reviewer, decisions: [...this.own.values()] }),
      );
    } catch {
      this.isKept = false;
    }
  }

  /** Another tab has written: take over what it keeps. */
  follow(event) {
    if (event.key === this.#storageKey) this.#load();
    return event.key === this.#storageKey;
  }

  introduce(reviewer) {
    this.reviewer = reviewer;
    this.#save();
  }

  of(pair) {
    return this.own.get(pair.key) ?? this.recorded.get(pair.key);
  }

  /** `UNDECIDED`, a decision, or `REOPENED` with the reasons why. */
  standing(pair) {
    const decision = this.of(pair);
    if (!decision) return { standing: "UNDECIDED", why: [] };
    const why = reasonsToReopen(decision, pair, this.#data, this.threshold);
    return { standing: why.length ? "REOPENED" : decision.decision, why };
  }

  decide(pair, decision, note) {
    const before = this.own.get(pair.key);
    this.own.set(pair.key, {
      record_a: pair.records[0],
      record_b: pair.records[1],
      name_a: pair.written[0],
      name_b: pair.written[1],
      decision,
      note,
      decided_by: this.reviewer,
      decided_at: new Date().toISOString(),
      similarity: pair.best,
      ...pair.seen,
      face_ids: [],
      exported: false,
      toldBefore: Boolean(before?.exported || before?.toldBefore), // an export has an earlier one
    });
    this.#save();
  }

  /** A decision that nobody else has heard of is dropped; else it is said that none holds. */
  takeBack(pair) {
    const own = this.own.get(pair.key);
    if (!own || own.exported || own.toldBefore) return this.decide(pair, "UNDECIDED", "");
    this.own.delete(pair.key);
    return this.#save();
  }

  forget() {
    this.own.clear();
    this.reviewer = "";
    try {
      localStorage.removeItem(this.#storageKey);
    } catch {
      this.isKept = false;
    }
  }

  get notExported() {
    return [...this.own.values()].filter((item) => !item.exported).length;
  }

  #rows() {
    return [...this.own.values()].map((item) =>
      Object.fromEntries(COLUMNS.map((column) => [column, item[column] ?? (LISTS.has(column) ? [] : "")])),
    );
  }

  /** The file's text; from then on the decisions count as exported. */
  exported(format) {
    const rows = this.#rows();
    const text =
      format === "json"
        ? `${JSON.stringify({ schema: 1, stack: this.stack, exported_at: new Date().toISOString(), decisions: rows }, null, 1)}\n`
        : csv(rows);
    for (const item of this.own.values()) item.exported = true;
    this.#save();
    return text;
  }
}

/** A decision from a page of an earlier version has names only. */
const keyOf = (item) =>
  keyOfRecords([item.record_a ?? recordOf(item.name_a), item.record_b ?? recordOf(item.name_b)]);
const recordOf = (name) => `name:${name.replace(/[\s_]+/gu, " ").trim()}`;

/** Ids have no blanks, keys may have any character. */
function inOneCell(column, value) {
  if (!Array.isArray(value)) return value;
  return column === "keys" ? JSON.stringify(value) : value.join(" ");
}

/** RFC 4180, with a byte order mark, for the spreadsheet programs that need it. */
function csv(rows) {
  const lines = rows.map((row) =>
    COLUMNS.map((column) => cell(inOneCell(column, row[column]))),
  );
  return `\uFEFF${[COLUMNS, ...lines].map((cells) => cells.join(",")).join("\r\n")}\r\n`;
}

/**
 * The rule of facematch/files/spreadsheets.py: a text gets an apostrophe wherever a spreadsheet could take
 * it for a formula, also one that splits the file at another character; import takes it off.
 */
function guarded(text) {
  const inner = text.replace(/([;\t\r\n])(?=[=+\-@'"\t\r\n\0＝＋－＠])/g, "$1'");
  return /^[=+\-@'\t\r\n\0＝＋－＠]/.test(text) ? `'${inner}` : inner;
}

function cell(value) {
  const text = guarded(String(value));
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
