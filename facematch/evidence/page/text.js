// Text: how numbers, times and names are written, and how elements are made. Names and keys come
// from outside: they get into the document as text nodes and attributes only, never as HTML.

/** Control, format and unassigned characters, and lone surrogates: not seen, or not what is seen. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u;
const HIDDEN_PARTS = new RegExp(`(${HIDDEN.source})`, "u");

const codePoint = (character) =>
  `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** An element with properties, attributes (with a dash, or `role`) and children. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** A name or key on its own, so that its direction moves nothing around it; hidden characters show. */
function written(text) {
  const marks = text
    .split(HIDDEN_PARTS)
    .flatMap((part) =>
      HIDDEN.test(part) ? [make("span", { className: "mark" }, codePoint(part))] : breakable(part),
    );
  return make("bdi", {}, ...marks);
}

/** A line may break behind an underscore, as between words. */
const breakable = (text) =>
  text.split(/(?<=_)/u).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));

/** The same for attributes, which take text only: hidden characters as ‹U+202E›. */
const plain = (text) =>
  text
    .split(HIDDEN_PARTS)
    .map((part) => (HIDDEN.test(part) ? `‹${codePoint(part)}›` : part))
    .join("");

/** Without case, accents and separators, for searching. */
const folded = (text) =>
  text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[\s_.-]+/g, " ")
    .trim();

/** Hundredths of a per cent: cut, never rounded up. What is not 99 must not read as 99. */
const hundredths = (similarity) => Math.floor(similarity * 100 + 1e-9); // 80.74 * 100 is 8073.999...
const percent = (similarity) => `${(hundredths(similarity) / 100).toFixed(2)} %`;

const { format: number } = new Intl.NumberFormat("en");
const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "22 Nov 2026", in UTC as everything in the records; what is no time is shown as it is. */
function day(time) {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)/.exec(time) ?? [];
  return year ? `${Number(date)} ${MONTHS[month - 1]} ${year}` : time;
}

const minute = (time) => `${day(time)}, ${time.slice(11, 16)} UTC`;

/** Let an element have these children; nothing happens when it has them already. */
function fill(element, children) {
  const same =
    children.length === element.childElementCount &&
    children.every((child, index) => child === element.children[index]);
  if (!same) element.replaceChildren(...children);
}

/** A table out of rows of text and numbers; the first column heads its row. */
function table(caption, columns, rows) {
  const cell = (value, index) =>
    index === 0
      ? make("th", { scope: "row" }, value)
      : make(
          "td",
          { className: typeof value === "number" ? "figure" : "" },
          typeof value === "number" ? number(value) : value,
        );
  return make(
    "table",
    {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell)))),
  );
}
