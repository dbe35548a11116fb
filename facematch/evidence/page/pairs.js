// The list of pairs: a card for each, made once and kept up to date.

const PICTURE = /^(photographs|faces)\/[0-9a-f]+\.(jpg|png)$/; // what may be shown: beside the page
const FACE_SIDE = 192;

/** A picture with its size, or the reason why there is none. */
function picture(file, alt, width, height) {
  const missing = (why) =>
    make("span", { className: "missing", role: "img", "aria-label": `${alt}: ${why}` }, why);
  if (file === null || !PICTURE.test(file)) {
    return missing("No picture: it was gone or could not be read when this page was written.");
  }
  const image = make("img", { loading: "lazy", decoding: "async", alt, width, height, src: file });
  image.addEventListener("error", () =>
    image.replaceWith(missing("The picture is no longer beside this page.")),
  );
  return image;
}

function faceOf(data, index) {
  const face = data.faces[index];
  const photograph = data.photographs[face.photograph];
  const name = data.records[photograph.record];
  const alt = `Face of ${plain(name)} in ${plain(photograph.key)}`;
  return make(
    "figure",
    { className: "face" },
    picture(face.file, alt, FACE_SIDE, FACE_SIDE),
    make(
      "figcaption",
      {},
      make("span", { className: "name", title: plain(name) }, written(name)),
      make("time", { dateTime: photograph.uploaded }, day(photograph.uploaded)),
    ),
  );
}

/** Buttons for the three decisions and for taking one back. */
function decisionButtons(pair, choose) {
  const button = (decision, label, letter) => {
    const element = make(
      "button",
      { type: "button", className: "decide", "aria-keyshortcuts": letter },
      label,
      make("kbd", { "aria-hidden": "true" }, letter),
    );
    element.dataset.decision = decision;
    element.addEventListener("click", () => choose(pair, decision));
    return element;
  };
  const group = make("div", {
    className: "row",
    role: "group",
    "aria-label": `Decide about ${pair.names.map(plain).join(" and ")}`,
  });
  group.append(
    button("SAME_PERSON", DECISIONS.SAME_PERSON, "s"),
    button("DIFFERENT_PEOPLE", DECISIONS.DIFFERENT_PEOPLE, "d"),
    button("UNSURE", DECISIONS.UNSURE, "u"),
    button("UNDECIDED", "Take back", "x"),
  );
  return group;
}

/** Show in the buttons what holds now. */
function mark(group, standing) {
  for (const button of group.children) {
    const { decision } = button.dataset;
    if (decision === "UNDECIDED") button.hidden = standing === "UNDECIDED";
    else button.setAttribute("aria-pressed", String(decision === standing));
  }
}

/** What was decided, by whom, when; and why it is open again. */
function verdict(decisions, pair) {
  const { standing, why } = decisions.standing(pair);
  if (standing === "UNDECIDED") return [];
  const decision = decisions.of(pair);
  const by = [" by ", written(decision.decided_by), " on ", day(decision.decided_at)];
  const lines =
    standing === "REOPENED"
      ? [
          make(
            "p",
            { className: "reopened" },
            make("b", {}, STANDINGS.REOPENED),
            ". Decided “different people”",
            ...by,
            "; since then there is ",
            why.map((reason) => REASONS[reason] ?? reason).join(" and "),
            ".",
          ),
        ]
      : [
          make(
            "p",
            { className: `verdict ${standing.toLowerCase()}` },
            make("b", {}, STANDINGS[standing]),
            ...by,
          ),
        ];
  if (decision.note) lines.push(make("p", { className: "note" }, "“", written(decision.note), "”"));
  return lines;
}

/** What to know if the best match of a pair is of two photographs that are the same file. */
function sameFile(data, pair) {
  if (!isSameFile(data, pair.matches[0])) return [];
  const next = pair.matches.find((match) => !isSameFile(data, match));
  const others = next
    ? `The best match of two different files is ${percent(next[2])} similar.`
    : "This page shows no match of two different files for them.";
  return [
    make(
      "p",
      { className: "same-file" },
      make("b", {}, data.same_file.says),
      ` ${data.same_file.means} ${others}`,
    ),
  ];
}

/** The card of a pair, with `update(threshold)`. */
function cardOf(data, decisions, pair, actions) {
  const [one, other] = pair.matches[0];
  const supported = make("p", { className: "support" });
  const decided = make("div", { className: "decided" });
  const buttons = decisionButtons(pair, actions.decide);
  const open = make(
    "button",
    { type: "button", className: "quiet", "aria-haspopup": "dialog" },
    "All photographs",
    make("span", { className: "unseen" }, ` of ${pair.names.map(plain).join(" and ")}`),
  );
  open.addEventListener("click", () => actions.open(pair));
  const faces = make("div", { className: "faces" }, faceOf(data, one), faceOf(data, other));
  faces.addEventListener("click", () => actions.open(pair));
  const article = make(
    "article",
    { tabIndex: -1, className: "card" },
    make("h3", { className: "unseen" }, written(pair.names[0]), " and ", written(pair.names[1])),
    faces,
    make(
      "div",
      { className: "evidence" },
      make("p", { className: "similarity" }, make("b", {}, percent(pair.best)), " similar"),
      ...sameFile(data, pair),
      make(
        "p",
        { className: "relation" },
        `They have ${data.relation_words[pair.relation]}.`,
      ),
      supported,
      decided,
      buttons,
      open,
    ),
  );
  let shown = "";
  const update = (threshold) => {
    const counts = support(pair, threshold);
    const matches = countAtLeast(pair.matches, threshold, (match) => match[2]);
    const { standing, why } = decisions.standing(pair);
    const state = JSON.stringify([counts, matches, standing, why, decisions.of(pair)]);
    if (state === shown) return; // touching the document is what takes long
    shown = state;
    supported.textContent =
      `${counted(counts[0] + counts[1], "photograph", "photographs")} (${number(counts[0])} + ${number(counts[1])}), ` +
      counted(matches, "match", "matches");
    decided.replaceChildren(...verdict(decisions, pair));
    mark(buttons, standing);
  };
  return { element: make("li", {}, article), article, update };
}
