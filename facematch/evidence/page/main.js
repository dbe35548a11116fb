// The page: reads the data, answers to controls and keys.

const PAIRS_AT_ONCE = 50;
const GROUPS_AT_ONCE = 12;
const NAMES_AT_ONCE = 9;
const TABS = [
  { value: "open", label: "To decide", standings: ["UNDECIDED", "REOPENED"] },
  { value: "same", label: DECISIONS.SAME_PERSON, standings: ["SAME_PERSON"] },
  { value: "different", label: DECISIONS.DIFFERENT_PEOPLE, standings: ["DIFFERENT_PEOPLE"] },
  { value: "unsure", label: DECISIONS.UNSURE, standings: ["UNSURE"] },
  { value: "all", label: "All", standings: Object.keys(STANDINGS) },
];
/** Has no pairs in it: photographs that stand alone in their record, whatever is decided. */
const CONFLICTS = { value: "conflicts", label: "Conflicts", standings: [] };

const get = (id) => document.getElementById(id);
const data = JSON.parse(get("data").textContent);
const pairs = pairsOf(data);
const conflicts = conflictsOf(data);
const decisions = new Decisions(data);
const ranks = ranksOf(data);
const foldedNames = new Map(
  Object.entries(data.records).map(([record, name]) => [record, folded(name)]),
);
const faceOfRecord = new Map();
for (const pair of pairs) {
  pair.records.forEach(
    (record, side) => faceOfRecord.has(record) || faceOfRecord.set(record, pair.matches[0][side]),
  );
}

const state = {
  threshold: data.threshold,
  words: [],
  order: "relation",
  tab: TABS[0],
  visible: [], // the pairs, or the conflicts, that the controls leave, in order
  shown: PAIRS_AT_ONCE, // how many of them are in the list
  groupsShown: GROUPS_AT_ONCE,
  current: null,
};
const cards = new Map();
const headings = new Map(); // by relation, or by whether a conflict is decided
const notes = new Map(); // written, not yet part of a decision
const decidedHere = []; // pairs and conflicts, the last one last

// --- What is shown ---------------------------------------------------------------------------

function recount() {
  const reaching = pairs.slice(
    0,
    countAtLeast(pairs, state.threshold, (pair) => pair.best),
  );
  const standings = new Map(reaching.map((pair) => [pair, decisions.standing(pair).standing]));
  const found = reaching.filter((pair) => isFound(pair, state.words));
  const belongs = (tab) => (pair) => tab.standings.includes(standings.get(pair));
  for (const tab of TABS) tab.count.textContent = number(found.filter(belongs(tab)).length);
  const alone = conflicts.filter((conflict) => isFound(conflict, state.words));
  const waiting = alone.filter(isToDecide);
  CONFLICTS.count.textContent = number(waiting.length);
  if (state.tab === CONFLICTS) {
    state.visible = [...waiting, ...alone.filter((conflict) => !isToDecide(conflict))];
    showCards("conflicts", aboutConflicts(waiting.length), groupOfConflict);
  } else {
    state.visible = sorted(
      data,
      ranks,
      found.filter(belongs(state.tab)),
      state.order,
      state.threshold,
    );
    showCards(
      "pairs",
      aboutPairs(found.length, reaching.length),
      state.order === "relation" ? groupOfPair : null,
    );
  }
  showGroups(
    groupsOf(
      reaching.filter((pair) => standings.get(pair) !== "DIFFERENT_PEOPLE"),
      ranks,
    ),
  );
}

const isToDecide = (conflict) => decisions.standing(conflict).standing === "UNDECIDED";

/** Show the visible ones as cards, under headings where there are groups. */
function showCards(what, sentence, groupOf) {
  const shown = state.visible.slice(0, state.shown).map(card);
  for (const item of shown) item.update(state.threshold);
  fill(get("list"), groupOf ? withHeadings(shown, groupOf) : shown.map((item) => item.element));
  const left = state.visible.length - shown.length;
  get("more").hidden = left === 0;
  get("more").textContent =
    `Show ${number(Math.min(left, PAIRS_AT_ONCE))} more of ${number(left)} ${what}`;
  get("pairs-title").textContent = state.tab === CONFLICTS ? "Conflicts" : "Pairs of records";
  get("conflicts-explain").hidden = state.tab !== CONFLICTS;
  get("sort").disabled = state.tab === CONFLICTS;
  say(get("count"), sentence);
}

function aboutPairs(found, reaching) {
  const at = `at ${percent(state.threshold)} or above`;
  const searched = state.words.length ? `, ${number(found)} of them with this name` : "";
  return `${counted(reaching, "pair", "pairs")} of records ${at}${searched}. ${inTheList(reaching)}`;
}

function aboutConflicts(waiting) {
  if (!conflicts.length) return "No photograph stands alone in its record.";
  const searched = state.words.length
    ? `, ${number(state.visible.length)} of them with this name`
    : "";
  const more = data.conflicts_left_out
    ? ` ${number(data.conflicts_left_out)} more are left out.`
    : "";
  return (
    counted(conflicts.length, "photograph stands alone in its record", "photographs stand alone in their records") +
    `${searched}. ${number(waiting)} to decide.${more}`
  );
}

/** A group of cards in a row: what tells it from others, and its heading for a count. */
const groupOfPair = ({ relation }) => ({
  id: relation,
  words: (count) => `${counted(count, "pair", "pairs")} with ${data.relation_words[relation]}`,
});
const groupOfConflict = (conflict) =>
  isToDecide(conflict)
    ? { id: "TO_DECIDE", words: (count) => `${number(count)} to decide` }
    : { id: "DECIDED", words: (count) => `${number(count)} decided` };

/** The cards, each group under a heading with its count. */
function withHeadings(shown, groupOf) {
  const groups = state.visible.map(groupOf);
  return shown.flatMap((item, index) => {
    const { id, words } = groups[index];
    if (groups[index - 1]?.id === id) return [item.element];
    if (!headings.has(id)) {
      headings.set(id, make("li", { className: "card-group" }, make("h3", {})));
    }
    const heading = headings.get(id);
    heading.firstChild.textContent = words(groups.filter((group) => group.id === id).length);
    return [heading, item.element];
  });
}

/** How many are in the list; when none is, why, and what to do about it. */
function inTheList(reaching) {
  const { length } = state.visible;
  if (length) {
    const part = length > state.shown ? `, the first ${number(state.shown)} shown` : "";
    return `${number(length)} under “${state.tab.label}”${part}.`;
  }
  if (!pairs.length) return "No two records share a face: there is nothing to judge.";
  if (!reaching) {
    return `${counted(pairs.length, "pair lies", "pairs lie")} below: move the threshold to see them.`;
  }
  return `None under “${state.tab.label}”.`;
}

/** Say it on the page at once, and to a screen reader when the numbers have come to rest. */
function say(place, sentence) {
  place.textContent = sentence;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (get("status").textContent = sentence), 500);
}

function card(pair) {
  if (!cards.has(pair)) {
    const made = cardOf(data, decisions, pair, { decide, open });
    made.article.addEventListener("focusin", () => (state.current = pair));
    cards.set(pair, made);
  }
  return cards.get(pair);
}

function showGroups(groups) {
  const found = groups.filter((group) =>
    state.words.every((word) => group.records.some((record) => foldedNames.get(record).includes(word))),
  );
  get("groups-explain").textContent =
    `${counted(found.length, "group", "groups")} at ${percent(state.threshold)} or above. ` +
    "Records stand together when pairs connect them, pairs that were decided “different people” left " +
    "out. A single wrong pair joins two people: raise the threshold to see where a group falls apart.";
  get("group-list").replaceChildren(...found.slice(0, state.groupsShown).map(groupItem));
  const left = found.length - Math.min(found.length, state.groupsShown);
  get("more-groups").hidden = left === 0;
  get("more-groups").textContent =
    `Show ${number(Math.min(left, GROUPS_AT_ONCE))} more of ${number(left)} groups`;
}

function groupItem(group) {
  const names = group.records.slice(0, NAMES_AT_ONCE).map((record) => {
    const name = data.records[record];
    const button = make(
      "button",
      { type: "button", className: "member", title: plain(name) },
      picture(data.faces[faceOfRecord.get(record)].file, "", 64, 64),
      make("span", {}, written(name)),
      make("span", { className: "unseen" }, ": show the pairs with this name"),
    );
    button.addEventListener("click", () => searchFor(name));
    return make("li", {}, button);
  });
  const more = group.records.length - names.length;
  if (more) names.push(make("li", { className: "hint" }, `and ${number(more)} more`));
  return make(
    "li",
    { className: "group" },
    make(
      "p",
      {},
      make("b", {}, counted(group.records.length, "record", "records")),
      `, ${counted(group.pairs, "pair", "pairs")}`,
      make("br"),
      `together up to a threshold of ${percent(group.weakest)}`,
    ),
    make("ul", { className: "members" }, ...names),
  );
}

function searchFor(name) {
  get("search").value = plain(name) === name ? name : "";
  search();
  get("pairs").scrollIntoView();
  get("search").focus({ preventScroll: true });
}

// --- Controls --------------------------------------------------------------------------------

const moveThreshold = drawHistogram(data);

function setThreshold(value, from) {
  if (Number.isNaN(value)) return;
  state.threshold = Math.min(100, Math.max(beginOfScale(data), value));
  decisions.threshold = state.threshold;
  state.shown = PAIRS_AT_ONCE;
  if (from !== "range") get("threshold").value = state.threshold;
  if (from !== "number") get("threshold-exact").value = hundredths(state.threshold) / 100;
  get("threshold").setAttribute("aria-valuetext", percent(state.threshold));
  get("threshold-reset").hidden = state.threshold === data.threshold;
  explainThreshold();
  recount();
  moveThreshold(state.threshold);
}

function explainThreshold() {
  const { faces } = data.counts;
  const compared = (faces * (faces - 1)) / 2;
  const strangers = Math.round(compared / 1e6);
  get("threshold-words").textContent =
    `Two records are shown when a face in a photograph of the one and a face in a photograph of the ` +
    `other are similar by ${percent(state.threshold)} or more. That figure is a machine’s measure of ` +
    `likeness, not the probability that the two are one person. With ${counted(faces, "face", "faces")} ` +
    `there are ${counted(compared, "pair", "pairs")} of faces: the larger the pile, the more strangers ` +
    "look alike at any threshold. " +
    (strangers
      ? `If no more than one pair of strangers in a million looked so alike, that alone would make about ${number(strangers)} of them here. `
      : "") +
    "Error rates differ between groups of people. AWS advises 99 % or more, and a person’s decision, " +
    "wherever people’s rights are touched." +
    (data.local
      ? " These similarities come from the local cloud, not from Rekognition: a figure found here says nothing about AWS."
      : "");
}

function search() {
  state.words = folded(get("search").value).split(" ").filter(Boolean);
  state.shown = PAIRS_AT_ONCE;
  state.groupsShown = GROUPS_AT_ONCE;
  recount();
}

function setUpControls() {
  for (const id of ["threshold", "threshold-exact"]) get(id).min = beginOfScale(data);
  get("threshold-hint").textContent =
    `A notification goes out from ${percent(data.threshold)} on.` +
    (data.left_out
      ? ` From ${percent(data.best_left_out)} down the list is not complete: ${leftOut()}.`
      : "");
  get("threshold-reset").textContent = `Back to ${percent(data.threshold)}`;
  get("threshold").addEventListener("input", (event) =>
    setThreshold(event.target.valueAsNumber, "range"),
  );
  get("threshold-exact").addEventListener("input", (event) =>
    setThreshold(event.target.valueAsNumber, "number"),
  );
  get("threshold-reset").addEventListener("click", () => setThreshold(data.threshold, "button"));
  get("search").addEventListener("input", search);
  get("sort").addEventListener("change", (event) => {
    state.order = event.target.value;
    recount();
  });
  for (const tab of [...TABS, CONFLICTS]) {
    const radio = make("input", {
      type: "radio",
      name: "standing",
      value: tab.value,
      checked: tab === state.tab,
    });
    tab.count = make("span", { className: "figure" });
    radio.addEventListener("change", () => {
      state.tab = tab;
      state.shown = PAIRS_AT_ONCE;
      recount();
    });
    get("standing").append(make("label", {}, radio, make("span", {}, tab.label, " ", tab.count)));
  }
  get("more").addEventListener("click", () => growTo(state.shown));
  get("more-groups").addEventListener("click", () => {
    state.groupsShown += GROUPS_AT_ONCE;
    recount();
  });
  addEventListener("storage", (event) => decisions.follow(event) && refresh());
}

/** Show another page of pairs and go to its first. */
function growTo(index) {
  state.shown += PAIRS_AT_ONCE;
  recount();
  focusPair(index);
}

// --- Decisions -------------------------------------------------------------------------------

const details = detailsDialog(data, decisions, {
  decide,
  step: (by) => move(by),
  noteOf,
  draft: (pair, text) => notes.set(pair, text),
  note: keepNote,
  closed: (pair) => focusPair(state.visible.indexOf(pair)),
});

/** What is being written, or what stands with the decision that holds. */
function noteOf(pair) {
  const holds = decisions.standing(pair).standing in DECISIONS;
  return notes.get(pair) ?? (holds ? decisions.of(pair).note : "");
}

function open(pair) {
  state.current = pair;
  const index = state.visible.indexOf(pair);
  details.show(pair, `${number(index + 1)} of ${number(state.visible.length)}`, state.threshold);
}

/** The name is asked for once, before the first decision. */
function asReviewer(then) {
  if (decisions.reviewer) return then();
  get("reviewer-name").value = "";
  get("reviewer-problem").textContent = "";
  asReviewer.then = then;
  return get("reviewer").showModal();
}

function decide(pair, decision) {
  asReviewer(() => {
    const index = state.visible.indexOf(pair);
    if (decision === "UNDECIDED") {
      decisions.takeBack(pair);
    } else {
      decisions.decide(pair, decision, noteOf(pair));
      decidedHere.push(pair);
    }
    notes.delete(pair);
    refresh();
    goOn(pair, index, decision);
    toast(pair, decision);
  });
}

/**
 * After a decision the pair may have left the list, or a conflict its place: then the next one takes
 * it. What was taken back may be decided anew.
 */
function goOn(pair, index, decision) {
  const { visible } = state;
  const next =
    decision === "UNDECIDED" && visible.includes(pair)
      ? pair
      : visible[Math.min(index, visible.length - 1)];
  if (details.isOpen()) {
    if (next === details.pair) details.refresh();
    else if (next) open(next);
    else details.close();
  } else {
    focusPair(state.visible.indexOf(next));
  }
}

function takeBackLast() {
  const pair = decidedHere.pop();
  if (pair) decide(pair, "UNDECIDED");
}

/** A note on a decision that holds is part of it; else it waits for the decision. */
function keepNote(pair, text) {
  notes.set(pair, text);
  const { standing } = decisions.standing(pair);
  if (!(standing in DECISIONS) || text === decisions.of(pair).note) return;
  asReviewer(() => {
    decisions.decide(pair, standing, text);
    refresh();
    if (details.isOpen()) details.refresh();
  });
}

function toast(pair, decision) {
  const place = get("toast");
  (details.isOpen() ? get("details") : document.body).append(place);
  const undo = make("button", { type: "button" }, "Undo");
  undo.addEventListener("click", takeBackLast);
  place.replaceChildren(
    make(
      "span",
      {},
      `${decision === "UNDECIDED" ? "Taken back" : DECISIONS[decision]}: `,
      ...titleOf(pair),
    ),
    ...(decision === "UNDECIDED" ? [] : [undo]),
  );
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (place.hidden = true), 8000);
}

function refresh() {
  recount();
  showDecisions();
}

function showDecisions() {
  const waiting = decisions.notExported;
  const file = `${data.stack.replace(/[^\w-]+/g, "-")}-decisions`;
  const button = (label, action, className = "") => {
    const element = make("button", { type: "button", className }, label);
    element.addEventListener("click", action);
    return element;
  };
  const save = (format, type) => () => {
    download(`${file}.${format}`, type, decisions.exported(format));
    showDecisions();
  };
  const lines = [];
  if (!decisions.isKept) {
    lines.push(
      make(
        "p",
        { className: "notice" },
        "This browser keeps nothing, as in a private window: your decisions last until this page is closed. Export them before.",
      ),
    );
  }
  if (!decisions.own.size) {
    lines.push(
      make(
        "p",
        { className: "hint" },
        "None yet. They stay in this browser until you export them.",
      ),
    );
  } else {
    lines.push(
      make(
        "p",
        { id: "waiting" },
        waiting
          ? `${counted(waiting, "decision is", "decisions are")} not exported yet.`
          : `All ${number(decisions.own.size)} exported.`,
      ),
      make(
        "div",
        { className: "row" },
        button("Export JSON", save("json", "application/json"), waiting ? "primary" : ""),
        button("Export CSV", save("csv", "text/csv;charset=utf-8")),
      ),
      make("p", { className: "hint" }, "Then take the file into the stack:"),
      make("p", {}, make("code", { className: "command" }, data.decisions_command)),
    );
  }
  if (decisions.reviewer) {
    lines.push(
      make(
        "p",
        { className: "hint" },
        "You decide as ",
        written(decisions.reviewer),
        ". ",
        button(
          "Change",
          () => {
            get("reviewer-problem").textContent = "";
            get("reviewer-name").value = decisions.reviewer;
            asReviewer.then = () => {};
            get("reviewer").showModal();
          },
          "quiet",
        ),
      ),
    );
  }
  if (decisions.own.size || decisions.reviewer) {
    lines.push(
      button(
        "Forget my decisions",
        () => {
          get("forget-text").textContent =
            `${counted(decisions.own.size, "decision", "decisions")} and your name will be deleted from this browser` +
            (waiting ? `; ${number(waiting)} of them nobody else has.` : ".");
          get("forget").showModal();
        },
        "quiet",
      ),
    );
  }
  get("decisions").replaceChildren(...lines);
}

function setUpDialogs() {
  get("reviewer-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = get("reviewer-name").value.trim();
    if (!name) {
      get("reviewer-problem").textContent = "Please write your name.";
      get("reviewer-name").focus();
      return;
    }
    decisions.introduce(name);
    get("reviewer").close();
    showDecisions();
    asReviewer.then();
  });
  get("reviewer-cancel").addEventListener("click", () => get("reviewer").close());
  get("forget-yes").addEventListener("click", () => {
    decisions.forget();
    decidedHere.length = 0;
    get("forget").close();
    refresh();
  });
  get("forget-no").addEventListener("click", () => get("forget").close());
  get("keys-open").addEventListener("click", () => get("keys").showModal());
  get("keys-close").addEventListener("click", () => get("keys").close());
}

// --- Keys ------------------------------------------------------------------------------------

/** Where there is no pair, the tabs take the focus. */
function focusPair(index) {
  const pair = state.visible[index];
  if (!pair) return get("standing").querySelector(":checked").focus();
  if (index >= state.shown) {
    state.shown = index + PAIRS_AT_ONCE;
    recount();
  }
  const { article } = card(pair);
  article.focus({ preventScroll: true });
  return article.scrollIntoView({ block: "nearest" });
}

/** To the next or previous pair, in the list or in its details. */
function move(by) {
  const index = state.visible.indexOf(state.current);
  const next = index < 0 ? 0 : Math.min(state.visible.length - 1, Math.max(0, index + by));
  if (!state.visible[next]) return;
  if (details.isOpen()) open(state.visible[next]);
  else focusPair(next);
}

/** The pair that a key is about: the one in the details, or the one that has the focus. */
function pairInHand() {
  if (details.isOpen()) return details.pair;
  return document.activeElement.closest(".card") ? state.current : null;
}

function decideCurrent(decision) {
  const pair = pairInHand();
  if (pair) decide(pair, decision);
}

function takeBack() {
  const pair = pairInHand();
  if (pair && decisions.standing(pair).standing !== "UNDECIDED") decide(pair, "UNDECIDED");
  else takeBackLast();
}

function writeNote() {
  const pair = pairInHand();
  if (!pair) return;
  if (!details.isOpen()) open(pair);
  details.note.focus();
}

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  s: () => decideCurrent("SAME_PERSON"),
  d: () => decideCurrent("DIFFERENT_PEOPLE"),
  u: () => decideCurrent("UNSURE"),
  x: takeBack,
  n: writeNote,
  "/": () => details.isOpen() || get("search").focus(),
  "?": () => get("keys").showModal(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input:not([type=radio], [type=range]), select, textarea")) return;
  if (document.querySelector("dialog.small[open]") || !get("keys-on").checked) return;
  const isCard = event.target.matches(".card");
  if (event.key === "Enter" && isCard) {
    event.preventDefault();
    open(state.current);
    return;
  }
  // Arrows scroll, unless a pair has the focus.
  if (event.key.startsWith("Arrow") && !isCard) return;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

// --- Once ------------------------------------------------------------------------------------

function showNumbers() {
  const { counts } = data;
  const failed = counts.FAILED + counts.TIMED_OUT + counts.ABORTED;
  const tiles = [
    ["Photographs", counts.images],
    ["Faces", counts.faces],
    ["Matched", counts.MATCHED],
    ["Unique", counts.UNIQUE],
    ["No face", counts.NO_FACE],
    ["Rejected", counts.REJECTED],
    ["Failed", failed],
  ];
  get("numbers").append(
    ...tiles.map(([label, count]) =>
      make("div", {}, make("dt", {}, label), make("dd", {}, number(count))),
    ),
  );
  get("origin").append(
    "Face Matching · stack ",
    written(data.stack),
    data.local ? " on the local cloud" : "",
    ` · written ${minute(data.written_at)}`,
  );
  document.title = `Evidence: ${plain(data.stack)}`;
  get("delete-command").textContent = data.delete_command;
  get("extent").append(
    `${counted(data.matches.length, "match", "matches")} of two faces of different records` +
      (pairs.length ? `, from ${percent(data.lowest)} on` : "") +
      `, between ${counted(pairs.length, "pair", "pairs")} of records` +
      (data.left_out
        ? `; ${leftOut()}. `
        : ". "),
    "Only the newest version of each photograph counts. The folder is ",
    make("code", {}, written(data.folder)),
    ". The charts are drawn by Vega-Lite, which this page carries; " +
      "it loads nothing but the pictures beside it.",
  );
}

/** What is beyond the limit of the page. */
function leftOut() {
  return (
    `${counted(data.left_out, "more match is", "more matches are")} left out` +
    (data.pairs_left_out
      ? `, and with them ${counted(data.pairs_left_out, "pair of records", "pairs of records")}`
      : "; the best match of each pair of records is here")
  );
}

/** Photographs whose reports leave names out: pairs of these may be missing here. */
function showLacking() {
  const { photographs, remedy, worst } = data.lacking;
  if (!photographs) return;
  get("lacking").append(
    make(
      "details",
      {},
      make(
        "summary",
        {},
        `Pairs may be missing: ${counted(photographs, "photograph looks", "photographs look")} like more records than a report lists`,
      ),
      table(
        remedy +
          (photographs > worst.length
            ? ` These are the first ${number(worst.length)}; facematch query left_out lists all.`
            : ""),
        ["Photograph", "What its report says"],
        worst.map((item) => [written(item.key), item.words]),
      ),
    ),
  );
}

/** Decisions about what is not on this page. */
function showElsewhere() {
  const here = new Set([...pairs, ...conflicts].map((pair) => pair.key));
  const rest = data.decisions.filter(
    (item) => !here.has(keyOf(item)) && item.decision !== "UNDECIDED",
  );
  if (!rest.length) return;
  const rows = rest.map((item) => [
    written(item.name_a),
    written(item.name_b),
    STANDINGS[item.decision],
    written(item.decided_by),
    day(item.decided_at),
  ]);
  get("elsewhere").append(
    make(
      "details",
      {},
      make(
        "summary",
        {},
        `${counted(rest.length, "decision", "decisions")} about what this page does not show`,
      ),
      table(
        "Their photographs are gone, their matches are weaker than what this page shows, or the " +
          "photograph now resembles another one of its record.",
        ["Name", "Other name or photograph", "Decision", "By", "On"],
        rows,
      ),
    ),
  );
}

showNumbers();
setUpControls();
setUpDialogs();
setThreshold(state.threshold, "start");
showDecisions();
showLacking();
showElsewhere();
drawDays(data);
drawFailures(data);
document.addEventListener("keydown", onKey);
