// The details of a pair: all photographs of both records with the boxes of their faces, and every
// match behind the pair. Those of a conflict: the photograph, and the others of its record.

const PHOTOGRAPHS_AT_ONCE = 24;
const MATCHES_AT_ONCE = 50;
const SVG = "http://www.w3.org/2000/svg";

/** The faces of each photograph and the photographs of each record, for look-ups. */
function contentsOf(data) {
  const faces = data.photographs.map(() => []);
  data.faces.forEach((face, index) => faces[face.photograph].push(index));
  const photographs = new Map();
  data.photographs.forEach(({ record }, index) => {
    if (!photographs.has(record)) photographs.set(record, []);
    photographs.get(record).push(index);
  });
  return { faces, photographs };
}

/** A photograph under boxes, which are ratios of its sides. */
function photographOf(data, contents, index, matched) {
  const { file, key, record, width, height, others } = data.photographs[index];
  const name = data.records[record];
  const frame = make(
    "div",
    { className: "frame" },
    picture(file, `Photograph ${plain(key)} of ${plain(name)}`, width, height),
  );
  if (file !== null) {
    const boxes = document.createElementNS(SVG, "svg");
    boxes.setAttribute("viewBox", "0 0 1 1");
    boxes.setAttribute("preserveAspectRatio", "none");
    boxes.setAttribute("aria-hidden", "true");
    const outline = (sides, kind) => {
      const box = document.createElementNS(SVG, "rect");
      ["x", "y", "width", "height"].forEach((side, i) => box.setAttribute(side, sides[i]));
      box.setAttribute("class", kind);
      boxes.append(box);
    };
    for (const sides of others) outline(sides, "other");
    for (const face of contents.faces[index]) {
      outline(data.faces[face].box, matched.has(face) ? "matched" : "other");
    }
    frame.append(boxes);
  }
  return frame;
}

/** A list that grows by a button. */
function growing(items, atOnce, build, what, container) {
  const more = make("button", { type: "button", className: "more" });
  const grow = () => {
    const from = container.childElementCount;
    container.append(...items.slice(from, from + atOnce).map(build));
    const left = items.length - container.childElementCount;
    more.hidden = left === 0;
    more.textContent = `Show ${number(Math.min(left, atOnce))} more of ${number(left)} ${what}`;
  };
  more.addEventListener("click", grow);
  grow();
  return [container, more];
}

/** One record's column: what matches the other record first, then its other photographs. */
function columnOf(data, contents, pair, side, threshold) {
  const best = new Map(pair.sides[side].map((item) => [item.photograph, item.similarity]));
  const rest = contents.photographs.get(pair.records[side]).filter((index) => !best.has(index));
  return column(data, contents, {
    title: written(pair.names[side]),
    hint: rest.length ? `, ${number(best.size)} of them with a match` : "",
    indexes: [...best.keys(), ...rest],
    matched: new Set(pair.matches.map((match) => match[side])),
    isWeak: (index) => !(best.get(index) >= threshold),
    says: (index) => {
      const similarity = best.get(index);
      return similarity === undefined
        ? "no match with the other record on this page"
        : `up to ${percent(similarity)}${similarity < threshold ? ", below the threshold" : ""}`;
    },
  });
}

/** The two columns of a conflict: the photograph that stands alone, and the others of its record. */
function columnsOfConflict(data, contents, conflict) {
  const [alone, other] = conflict.faces.map((face) => data.faces[face].photograph);
  const rest = contents.photographs
    .get(conflict.records[0])
    .filter((index) => index !== alone && index !== other);
  const common = { matched: new Set(conflict.faces), isWeak: () => false };
  return [
    column(data, contents, {
      ...common,
      title: "Stands alone",
      hint: "",
      indexes: [alone],
      says: () => "resembles no other photograph of its record",
    }),
    column(data, contents, {
      ...common,
      title: "Other photographs of the record",
      hint: " on this page",
      indexes: [other, ...rest],
      says: (index) => (index === other ? "the best of them" : ""),
    }),
  ];
}

function column(data, contents, { title, hint, indexes, matched, isWeak, says }) {
  const figure = (index) =>
    make(
      "li",
      {},
      make(
        "figure",
        { className: isWeak(index) ? "photograph weak" : "photograph" },
        photographOf(data, contents, index, matched),
        make(
          "figcaption",
          {},
          make("code", {}, written(data.photographs[index].key)),
          make(
            "span",
            {},
            [day(data.photographs[index].uploaded), says(index)].filter(Boolean).join(" · "),
          ),
          ...peopleOn(data.photographs[index]),
        ),
      ),
    );
  return make(
    "section",
    { className: "column" },
    make("h3", {}, title),
    make("p", { className: "hint" }, counted(indexes.length, "photograph", "photographs"), hint),
    ...growing(
      indexes,
      PHOTOGRAPHS_AT_ONCE,
      figure,
      "photographs",
      make("ul", { className: "photographs" }),
    ),
  );
}

function matchesTable(data, pair, threshold) {
  const body = make("tbody");
  const keyOfFace = (face) =>
    make("code", {}, written(data.photographs[data.faces[face].photograph].key));
  const row = (match) => {
    const [one, other, similarity] = match;
    const remarks = [
      ...(isSameFile(data, match) ? ["the same file"] : []),
      ...(similarity < threshold ? ["below the threshold"] : []),
    ];
    return make(
      "tr",
      { className: similarity < threshold ? "weak" : "" },
      make("th", { scope: "row", className: "figure" }, percent(similarity)),
      make("td", {}, keyOfFace(one)),
      make("td", {}, keyOfFace(other)),
      make("td", {}, remarks.join(", ")),
    );
  };
  const [, more] = growing(pair.matches, MATCHES_AT_ONCE, row, "matches", body);
  const head = ["Similarity", written(pair.names[0]), written(pair.names[1]), ""].map((name) =>
    make(name ? "th" : "td", name ? { scope: "col" } : {}, name),
  );
  return make(
    "div",
    { className: "matches" },
    make(
      "div",
      {
        className: "scroll",
        tabIndex: 0,
        role: "region",
        "aria-label": "Matches behind this pair",
      },
      make(
        "table",
        {},
        make("caption", {}, `${counted(pair.matches.length, "match", "matches")} of two faces`),
        make("thead", {}, make("tr", {}, ...head)),
        body,
      ),
    ),
    more,
  );
}

/** The best similarity of a pair, or what a conflict is about. */
function saidOf(data, pair) {
  if (isConflict(pair)) return standsAlone(pair);
  return [
    make(
      "p",
      { className: "similarity" },
      make("b", {}, percent(pair.best)),
      " similar, the best of ",
      counted(pair.matches.length, "match", "matches"),
    ),
    ...sameFile(data, pair),
  ];
}

/** The dialog, with `show(pair, position, threshold)`, `refresh()` and the pair or conflict it shows. */
function detailsDialog(data, decisions, actions) {
  const dialog = document.getElementById("details");
  const contents = contentsOf(data);
  const dialogue = { pair: null, note: null, isOpen: () => dialog.open };
  let decided;
  let buttons;

  dialogue.refresh = () => {
    decided.replaceChildren(...verdict(decisions, dialogue.pair));
    mark(buttons, decisions.standing(dialogue.pair).standing);
  };

  dialogue.show = (pair, position, threshold) => {
    dialogue.pair = pair;
    decided = make("div", { className: "decided" });
    buttons = decisionButtons(pair, actions.decide);
    const step = (label, letter, by) => {
      const button = make("button", { type: "button", "aria-keyshortcuts": letter }, label);
      button.addEventListener("click", () => actions.step(by));
      return button;
    };
    const close = make("button", { type: "button", className: "close" }, "Close");
    close.addEventListener("click", () => dialog.close());
    dialogue.note = make("textarea", {
      id: "note",
      rows: 2,
      maxLength: 1000,
      value: actions.noteOf(pair),
    });
    dialogue.note.addEventListener("input", () => actions.draft(pair, dialogue.note.value.trim()));
    dialogue.note.addEventListener("change", () => actions.note(pair, dialogue.note.value.trim()));
    dialog.replaceChildren(
      make(
        "header",
        {},
        make(
          "h2",
          { id: "details-title", tabIndex: -1 },
          ...titleOf(pair),
        ),
        make(
          "div",
          { className: "row" },
          make("span", { className: "hint" }, position),
          step("Previous", "k", -1),
          step("Next", "j", 1),
          close,
        ),
      ),
      make(
        "div",
        { className: "compare" },
        make("div", { className: "faces large" }, ...facesOf(data, pair)),
        make(
          "div",
          { className: "evidence" },
          ...saidOf(data, pair),
          ...severalPeople(data, pair),
          decided,
          buttons,
          make("label", { htmlFor: "note" }, "Note, kept with your decision"),
          dialogue.note,
        ),
      ),
      make(
        "div",
        { className: "columns" },
        ...(isConflict(pair)
          ? columnsOfConflict(data, contents, pair)
          : [0, 1].map((side) => columnOf(data, contents, pair, side, threshold))),
      ),
      ...(isConflict(pair) ? [] : [matchesTable(data, pair, threshold)]),
    );
    dialogue.refresh();
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    document.getElementById("details-title").focus();
  };

  dialogue.close = () => dialog.close();
  dialog.addEventListener("close", () => actions.closed(dialogue.pair));
  return dialogue;
}
