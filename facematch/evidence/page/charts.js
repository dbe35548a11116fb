// Charts: Vega-Lite, drawn as SVG. Colours are CSS variables, so that they follow light, dark and
// print by themselves. Expressions are interpreted (`ast`), since the policy forbids eval.

const OUTCOMES = {
  MATCHED: "Matched",
  UNIQUE: "Unique",
  NO_FACE: "No face",
  REJECTED: "Rejected",
  FAILED: "Failed",
};
const DAYS_DRAWN = 90;
const REASONS_DRAWN = 8;
const MOST_STEPS = 4; // between labels of similarities

const LOOK = {
  background: null,
  font: "inherit",
  view: { stroke: null },
  axis: {
    domain: false,
    ticks: false,
    labelFontSize: 11,
    labelColor: "currentColor",
    labelOpacity: 0.75,
    gridColor: "var(--line)",
    titleColor: "currentColor",
    titleFontSize: 11,
    titleFontWeight: "normal",
    titleOpacity: 0.75,
    labelPadding: 6,
  },
  legend: {
    orient: "top",
    title: null,
    labelColor: "currentColor",
    labelFontSize: 11,
    symbolType: "square",
    symbolSize: 80,
    columnPadding: 10,
    offset: 6,
  },
};

/** Draw a chart into its place, with a description for those who do not see it; a table has the numbers. */
async function draw(id, description, spec) {
  const place = document.getElementById(id);
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", description);
  const drawn = make("div", { "aria-hidden": "true" });
  place.replaceChildren(drawn);
  const { view } = await vegaEmbed(
    drawn,
    { width: "container", autosize: { type: "fit-x", contains: "padding" }, config: LOOK, ...spec },
    {
      mode: "vega-lite",
      logLevel: 1,
      renderer: "svg",
      ast: true,
      actions: false,
      defaultStyle: false,
      tooltip: showTip,
    },
  );
  return view;
}

/** Vega's own tooltip would write HTML and bring a style of its own. */
function showTip(_view, event, _item, value) {
  let tip = document.getElementById("tip");
  if (!value) return tip?.remove();
  if (!tip) {
    tip = make("div", { id: "tip", "aria-hidden": "true" });
    document.body.append(tip);
  }
  tip.replaceChildren(
    ...Object.entries(value).map(([name, text]) =>
      make("div", {}, `${name}: `, make("b", {}, text)),
    ),
  );
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.max(event.clientY - tip.offsetHeight - 8, 8)}px`;
  return undefined;
}

/** The similarities of all matches; gives a function that moves the threshold. */
function drawHistogram(data) {
  const begin = beginOfScale(data);
  const bins = histogram(data.matches, begin).map((bin) => ({
    ...bin,
    Similarity: `${percent(bin.from)} to ${percent(bin.to)}`,
    Matches: number(bin.matches),
  }));
  document.getElementById("histogram-table").append(
    table(
      "Matches of two faces by similarity",
      ["Similarity", "Matches"],
      bins.filter((bin) => bin.matches).map((bin) => [bin.Similarity, bin.matches]),
    ),
  );
  const view = draw(
    "histogram",
    `Histogram: how many of ${counted(data.matches.length, "match", "matches")} of two faces lie at which similarity, from ${percent(begin)} to 100 %. A line marks the threshold.`,
    {
      height: 76,
      padding: { left: 8, right: 8, top: 2, bottom: 0 }, // as far as the slider's thumb goes
      data: { values: bins },
      params: [{ name: "threshold", value: data.threshold }],
      layer: [
        {
          mark: { type: "bar", binSpacing: 1 },
          encoding: {
            x: {
              field: "from",
              bin: "binned",
              type: "quantitative",
              title: null,
              scale: { domain: [begin, 100], nice: false, zero: false },
              axis: {
                grid: false,
                values: ticks(begin),
                format: "d",
                labelOverlap: false,
                labelFlush: true,
                labelExpr: "datum.label + ' %'",
              },
            },
            x2: { field: "to" },
            y: { field: "matches", type: "quantitative", axis: null },
            color: {
              condition: { test: "datum.to > threshold", value: "var(--accent)" },
              value: "var(--faint)",
            },
            tooltip: [{ field: "Similarity" }, { field: "Matches" }],
          },
        },
        {
          mark: { type: "rule", strokeWidth: 2, color: "var(--ink)" },
          encoding: { x: { datum: { expr: "threshold" }, type: "quantitative" } },
        },
      ],
    },
  );
  return async (threshold) => (await view).signal("threshold", threshold).runAsync();
}

/** Round numbers from 100 % down, so few that their labels keep apart in the narrowest plot. */
function ticks(begin) {
  const step = [1, 2, 5, 10, 20, 25].find((size) => (100 - begin) / size <= MOST_STEPS);
  const count = Math.floor((100 - begin) / step) + 1;
  return Array.from({ length: count }, (_, index) => 100 - index * step);
}

function drawDays(data) {
  const kinds = Object.keys(OUTCOMES);
  const days = lastDays(data.days);
  document.getElementById("days-caption").textContent =
    "Outcomes of photographs by the day of their upload" +
    (days[0]?.day > data.days[0]?.day ? `, the last ${DAYS_DRAWN} days` : "");
  if (!days.length) return nothing("days", "No photograph has an outcome yet.");
  document.getElementById("days-table").append(
    table(
      "Photographs by day and outcome",
      ["Day", ...Object.values(OUTCOMES)],
      data.days.map((item) => [day(item.day), ...kinds.map((kind) => item[kind])]),
    ),
  );
  const values = days.flatMap((item) =>
    kinds
      .filter((kind) => item[kind])
      .map((kind) => ({
        kind,
        order: kinds.indexOf(kind),
        count: item[kind],
        Day: day(item.day),
        Outcome: OUTCOMES[kind],
        Photographs: number(item[kind]),
      })),
  );
  const shown = kinds.filter((kind) => values.some((value) => value.kind === kind));
  return draw(
    "days",
    `Stacked bars: outcomes on ${counted(days.length, "day", "days")}, from ${day(days[0].day)} to ${day(days.at(-1).day)}. The numbers are in the table.`,
    {
      height: 180,
      data: { values },
      mark: { type: "bar", width: { band: days.length > 3 ? 0.8 : 0.3 } },
      encoding: {
        x: {
          field: "Day",
          type: "ordinal",
          title: null,
          scale: { domain: days.map((item) => day(item.day)) },
          axis: {
            labelAngle: 0,
            labelOverlap: "greedy",
            labelSeparation: 8,
            labelExpr: "slice(datum.label, 0, -5)",
          },
        },
        y: {
          field: "count",
          type: "quantitative",
          title: null,
          axis: whole(days.map((item) => kinds.reduce((sum, kind) => sum + (item[kind] ?? 0), 0))),
        },
        color: {
          field: "kind",
          type: "nominal",
          scale: {
            domain: shown,
            range: shown.map((kind) => `var(--${kind.toLowerCase().replace("_", "-")})`),
          },
          legend: {
            labelExpr:
              shown.map((kind) => `datum.value === '${kind}' ? '${OUTCOMES[kind]}' : `).join("") +
              "''",
          },
        },
        order: { field: "order" },
        tooltip: [{ field: "Day" }, { field: "Outcome" }, { field: "Photographs" }],
      },
    },
  );
}

/** The last days with what came on them, and the empty ones between. */
function lastDays(days) {
  if (!days.length) return [];
  const known = new Map(days.map((item) => [item.day, item]));
  const time = (text) => Date.parse(`${text}T00:00:00Z`);
  const last = time(days.at(-1).day);
  const count = Math.min(DAYS_DRAWN, (last - time(days[0].day)) / 86_400_000 + 1);
  return Array.from({ length: count }, (_, index) => {
    const name = new Date(last - (count - 1 - index) * 86_400_000).toISOString().slice(0, 10);
    return known.get(name) ?? { day: name };
  });
}

function drawFailures(data) {
  document.getElementById("failures-caption").textContent =
    "Photographs without a report, by reason";
  if (!data.failures.length) return nothing("failures", "None: every photograph was examined.");
  const failures = [...data.failures].sort((one, other) => other.images - one.images);
  document.getElementById("failures-table").append(
    table(
      "Photographs without a report, by reason",
      ["Reason", "Status", "Photographs"],
      failures.map((item) => [written(item.reason), item.status, item.images]),
    ),
  );
  const values = failures.slice(0, REASONS_DRAWN).map((item, index) => ({
    index,
    images: item.images,
    kind: item.status === "REJECTED" ? "REJECTED" : "FAILED",
    reason: plain(item.reason),
    Reason: plain(item.reason),
    Status: item.status,
    Photographs: number(item.images),
  }));
  const x = {
    field: "images",
    type: "quantitative",
    title: null,
    axis: whole(values.map((item) => item.images)),
  };
  const y = { field: "index", type: "ordinal", axis: null };
  return draw(
    "failures",
    `Bars: ${values.map((item) => `${item.reason} ${item.Photographs}`).join(", ")}.`,
    {
      height: 40 * values.length,
      data: { values },
      encoding: { y },
      layer: [
        {
          mark: { type: "bar", height: 12, yOffset: 8 },
          encoding: {
            x,
            color: {
              condition: { test: "datum.kind === 'REJECTED'", value: "var(--rejected)" },
              value: "var(--failed)",
            },
            tooltip: [{ field: "Reason" }, { field: "Status" }, { field: "Photographs" }],
          },
        },
        {
          mark: {
            type: "text",
            align: "left",
            baseline: "bottom",
            dy: -1,
            fontSize: 11,
            color: "currentColor",
            limit: 320,
          },
          encoding: { x: { value: 0 }, text: { field: "reason" } },
        },
      ],
    },
  );
}

/** An axis for counts, with whole numbers on it. */
function whole(counts) {
  const most = Math.max(...counts);
  const few = Array.from({ length: most + 1 }, (_, count) => count);
  return { format: ",d", ...(most <= 5 ? { values: few } : { tickCount: 4 }) };
}

/** No chart and no table, but a sentence. */
function nothing(id, sentence) {
  document.getElementById(id).replaceChildren(make("p", { className: "empty" }, sentence));
  document.getElementById(`${id}-table`).parentElement.remove();
}
