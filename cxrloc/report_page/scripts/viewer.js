/** One radiograph at full size: zoom, findings, boxes in words, keys. */
import { displaySliders } from "./display.js";
import { byId, captionOf, decimals, element, slider, words } from "./dom.js";
import { LARGEST_ZOOM, createStage } from "./stage.js";

const ZOOM_STEP = 1.5;

/**
 * The viewer, a dialog over the page.
 * @param {object} report
 * @returns {{open: (pair: object, list: object[]) => void, update: () => void}}
 */
export function createViewer(report) {
  const dialog = byId("viewer");
  const now = { pair: null, list: [] };
  const zoom = slider(
    {
      label: "Zoom",
      min: 1,
      max: LARGEST_ZOOM,
      step: 0.1,
      value: 1,
      say: (z) => `${decimals(z, 1)} ×`,
    },
    (value) => stage.zoomTo(value),
  );
  const stage = createStage(report, zoom.set);
  const sliders = displaySliders(report);
  const side = createSide([zoom.node, ...sliders.nodes], step, () => dialog.close());
  dialog.append(stage.node, side.node);

  function open(pair, list) {
    now.list = list;
    if (!dialog.open) dialog.showModal();
    show(pair);
    stage.canvas.focus();
  }

  function show(pair) {
    now.pair = pair;
    update();
  }

  function step(by) {
    const at = now.list.indexOf(now.pair);
    const from = at >= 0 ? at : now.list.findIndex((pair) => pair.image === now.pair.image);
    const next = now.list[from + by];
    if (next) show(next);
  }

  function update() {
    if (!dialog.open) return;
    side.show(now, report, show);
    const said = report.kind.judge(now.pair).marks.map(({ text }) => text);
    stage.canvas.setAttribute(
      "aria-label",
      [`Radiograph ${now.pair.image.id}`, ...said].join(". "),
    );
    sliders.update();
    stage.show(now.pair);
  }

  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = actionOf(event.key, { now, report, stage, show, step });
    if (!act) return;
    event.preventDefault();
    act();
  });
  return { open, update };
}

/** What a key does, if anything. */
function actionOf(key, { now, report, stage, show, step }) {
  const { display } = report.state;
  const finding = /^[1-9]$/.test(key) && findingsOf(report, now.pair)[Number(key) - 1];
  if (finding) return () => show(finding);
  return {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    "+": () => stage.zoomBy(ZOOM_STEP),
    "=": () => stage.zoomBy(ZOOM_STEP),
    "-": () => stage.zoomBy(1 / ZOOM_STEP),
    0: () => stage.zoomTo(1),
    h: () => report.setDisplay({ heat: !display.heat }),
    b: () => report.setDisplay({ boxes: !display.boxes }),
  }[key];
}

/** The column beside the radiograph: where one is, findings, boxes, display. */
function createSide(display, step, close) {
  const title = element("h2", { id: "viewer-title" });
  const place = element("p", { class: "note", role: "status" });
  const findings = element("ol", { class: "findings" });
  const boxes = element("ul", { class: "boxes" });
  const button = (label, text, act) =>
    element("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  const bar = element(
    "div",
    { class: "viewer-bar" },
    button("Previous (left arrow)", "←", () => step(-1)),
    button("Next (right arrow)", "→", () => step(1)),
    place,
    button("Close (Escape)", "✕", close),
  );
  const keys = "Keys: ← → pairs, 1 to 9 findings, + − 0 zoom, h heatmap, b boxes, Esc close";
  const heading = (text) => element("h3", {}, text);
  const parts = [
    heading("Findings"),
    findings,
    heading("Boxes"),
    boxes,
    heading("Display"),
    ...display,
  ];
  const node = element(
    "div",
    { class: "side" },
    bar,
    title,
    ...parts,
    element("p", { class: "note keys" }, keys),
  );

  function show({ pair, list }, report, onChoice) {
    const { finding, image, map } = pair;
    title.textContent = `${words(finding)} · ${captionOf(image)}`;
    title.title = (image.outside ?? []).join("; ");
    const at = list.indexOf(pair);
    place.textContent = at >= 0 ? `${at + 1} of ${list.length}` : `not among the ${list.length}`;
    const rows = findingsOf(report, pair).map((each, i) =>
      findingRow(each, i, pair, onChoice, report),
    );
    const focused = findings.contains(document.activeElement);
    findings.replaceChildren(...rows);
    if (focused) findings.querySelector("[aria-pressed=true]").focus();
    const { marks } = report.kind.judge(pair);
    const said = marks.map(({ role, text }) => element("li", { class: role }, text));
    const none = map ? "No box at these thresholds" : "No box";
    boxes.replaceChildren(...(said.length ? said : [element("li", {}, none)]));
  }

  return { node, show };
}

/**
 * The findings of the pair's image, the most probable first. Operating points do not rank them, as
 * they do in the pictures of `heatmap`: the list has all findings, and chips say how each is judged.
 */
function findingsOf(report, { image }) {
  return report.pairs
    .filter((pair) => pair.image === image)
    .toSorted((one, other) => (other.probability ?? 0) - (one.probability ?? 0));
}

function findingRow(each, index, current, show, report) {
  const chosen = each === current;
  const chips = report.kind
    .judge(each)
    .chips.map(([style, said]) => element("span", { class: `chip ${style}` }, said));
  return element(
    "li",
    {},
    element(
      "button",
      { type: "button", "aria-pressed": String(chosen), onclick: () => show(each) },
      index < 9 ? element("kbd", {}, index + 1) : null,
      element("span", { class: "name" }, words(each.finding)),
      element("span", { class: "number" }, decimals(each.probability, 2)),
      element("span", { class: "chips" }, ...chips),
    ),
  );
}
