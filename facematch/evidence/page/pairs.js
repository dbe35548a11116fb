// The list of pairs and of conflicts: a card for each, made once and kept up to date.

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

/** What to know at a photograph that shows several people. */
const peopleOn = ({ people }) =>
  people ? [make("span", { className: "people" }, people)] : [];

/** What a photograph of several people means for the judgement. */
const severalPeople = (data, pair) =>
  pair.showsSeveral ? [make("p", { className: "several" }, data.several_people_means)] : [];

/** A face with its name; `says` is what else stands below it. */
function faceOf(data, index, says) {
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
      ...(says ? [make("span", { className: "hint" }, says)] : []),
      ...peopleOn(photograph),
    ),
  );
}

/** The two faces that a pair or a conflict is about. */
function facesOf(data, pair) {
  const says = isConflict(pair) ? ["Stands alone", "Best other photograph"] : [];
  return pair.faces.map((face, side) => faceOf(data, face, says[side]));
}

/** How a pair or a conflict is headed. */
function titleOf(pair) {
  const between = isConflict(pair) ? ": " : " and ";
  return [written(pair.names[0]), between, written(pair.names[1])];
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

/** How many photographs and matches support a pair at a threshold. */
function supportOf(pair, threshold) {
  const counts = support(pair, threshold);
  const matches = countAtLeast(pair.matches, threshold, (match) => match[2]);
  return (
    `${counted(counts[0] + counts[1], "photograph", "photographs")} (${number(counts[0])} + ${number(counts[1])}), ` +
    counted(matches, "match", "matches")
  );
}

/** What a photograph that stands alone is compared with. */
function standsAlone({ shown, photographs }) {
  const [alone, other] = shown.map(({ key }) => make("code", {}, written(key)));
  const rest = photographs - 1;
  return [
    make(
      "p",
      { className: "alone" },
      alone,
      rest === 1
        ? " does not resemble the only other photograph of its record, "
        : ` resembles none of the ${number(rest)} other photographs of its record. The best of them is `,
      other,
      ".",
    ),
  ];
}

/** The card of a pair or of a conflict, with `update(threshold)`. */
function cardOf(data, decisions, pair, actions) {
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
  const faces = make("div", { className: "faces" }, ...facesOf(data, pair));
  faces.addEventListener("click", () => actions.open(pair));
  const article = make(
    "article",
    { tabIndex: -1, className: "card" },
    make("h3", { className: "unseen" }, ...titleOf(pair)),
    faces,
    make(
      "div",
      { className: "evidence" },
      ...(isConflict(pair)
        ? standsAlone(pair)
        : [
            make("p", { className: "similarity" }, make("b", {}, percent(pair.best)), " similar"),
            ...sameFile(data, pair),
            make(
              "p",
              { className: "relation" },
              `They have ${data.relation_words[pair.relation]}.`,
            ),
            supported,
          ]),
      ...severalPeople(data, pair),
      decided,
      buttons,
      open,
    ),
  );
  let shown = "";
  const update = (threshold) => {
    const supports = isConflict(pair) ? "" : supportOf(pair, threshold);
    const { standing, why } = decisions.standing(pair);
    const state = JSON.stringify([supports, standing, why, decisions.of(pair)]);
    if (state === shown) return; // touching the document is what takes long
    shown = state;
    supported.textContent = supports;
    decided.replaceChildren(...verdict(decisions, pair));
    mark(buttons, standing);
  };
  return { element: make("li", {}, article), article, update };
}
