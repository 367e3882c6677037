/** One radiograph at full size: zoom, findings, boxes in words, keys. */
import { byId, checkbox, decimals, element, oncePerFrame, slider, words } from "./dom.js";
import { composeView, drawMarks, pictureOf } from "./drawing.js";

const LARGEST_ZOOM = 12;

/**
 * The viewer, a dialog over the page.
 * @param {object} report
 * @returns {{open: (pair: object, list: object[]) => void, update: () => void}}
 */
export function createViewer(report) {
  const dialog = byId("viewer");
  const canvas = element("canvas", { tabindex: 0, role: "img" });
  const stage = element("div", { class: "stage" }, canvas);
  const title = element("h2", { id: "viewer-title" });
  const place = element("p", { class: "note" });
  const findings = element("ol", { class: "findings" });
  const boxes = element("ul", { class: "boxes" });
  const now = { pair: null, list: [], zoom: 1, x: 0.5, y: 0.5, base: null, version: "" };

  const sliders = displaySliders(report);
  const zoomSlider = slider(
    { label: "Zoom", min: 1, max: LARGEST_ZOOM, step: 0.1, value: 1, say: (z) => `${decimals(z, 1)} ×` },
    (zoom) => zoomTo(zoom),
  );
  const button = (label, text, act) => element("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  const side = element(
    "div",
    { class: "side" },
    element(
      "div",
      { class: "viewer-bar" },
      button("Previous (left arrow)", "←", () => step(-1)),
      button("Next (right arrow)", "→", () => step(1)),
      place,
      button("Close (Escape)", "✕", () => dialog.close()),
    ),
    title,
    element("h3", {}, "Findings"),
    findings,
    element("h3", {}, "Boxes"),
    boxes,
    element("h3", {}, "Display"),
    zoomSlider.node,
    ...sliders.nodes,
    element("p", { class: "note keys" }, "Keys: ← → pairs, 1 to 9 findings, + − 0 zoom, h heatmap, b boxes, Esc close"),
  );
  dialog.append(stage, side);

  function open(pair, list) {
    Object.assign(now, { list, zoom: 1, x: 0.5, y: 0.5 });
    show(pair);
    if (!dialog.open) dialog.showModal();
    canvas.focus();
  }

  function show(pair) {
    if (now.pair?.image !== pair.image) zoomTo(1);
    now.pair = pair;
    update();
  }

  function step(by) {
    const at = now.list.findIndex((pair) => pair === now.pair);
    const from = at >= 0 ? at : now.list.findIndex((pair) => pair.image === now.pair.image);
    const next = now.list[from + by];
    if (next) show(next);
  }

  function zoomTo(zoom, x = now.x, y = now.y) {
    now.zoom = Math.min(Math.max(zoom, 1), LARGEST_ZOOM);
    const margin = 0.5 / now.zoom; // the image always fills the stage
    now.x = Math.min(Math.max(x, margin), 1 - margin);
    now.y = Math.min(Math.max(y, margin), 1 - margin);
    zoomSlider.set(Math.round(now.zoom * 10) / 10);
    draw();
  }

  function update() {
    if (!now.pair) return;
    const { pair, list } = now;
    const judged = report.kind.judge(pair);
    title.textContent = `${words(pair.finding)} · ${pair.image.id}${pair.image.view ? ` · ${pair.image.view}` : ""}`;
    const at = list.indexOf(pair);
    place.textContent = at >= 0 ? `${at + 1} of ${list.length}` : `another finding; ${list.length} found`;
    findings.replaceChildren(...findingsOf(report, pair).map((each, i) => findingRow(each, i, pair, show, report)));
    boxes.replaceChildren(...judged.marks.map((mark) => element("li", { class: mark.role }, mark.text)));
    if (!judged.marks.length) boxes.replaceChildren(element("li", {}, pair.map ? "No box at these thresholds" : "No box"));
    canvas.setAttribute("aria-label", `Radiograph ${pair.image.id}. ${judged.marks.map((m) => m.text).join(". ")}`);
    sliders.update();
    draw();
  }

  const draw = oncePerFrame(async () => {
    if (!now.pair || !dialog.open) return;
    const { pair } = now;
    const picture = await pictureOf(pair.image);
    if (pair !== now.pair) return;
    const { display } = report.state;
    const version = [pair.finding, pair.image.id, ...Object.values(display)].join();
    if (now.version !== version) {
      now.base = composeView(pair, picture, display, report.style, 1024);
      now.version = version;
    }
    drawStage(canvas, now, report);
  });

  addGestures(canvas, now, zoomTo);
  new ResizeObserver(draw).observe(stage);
  dialog.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    const finding = /^[1-9]$/.test(event.key) && findingsOf(report, now.pair)[Number(event.key) - 1];
    const { display } = report.state;
    const act = finding
      ? () => show(finding)
      : {
          ArrowLeft: () => step(-1),
          ArrowRight: () => step(1),
          "+": () => zoomTo(now.zoom * 1.5),
          "=": () => zoomTo(now.zoom * 1.5),
          "-": () => zoomTo(now.zoom / 1.5),
          0: () => zoomTo(1),
          h: () => report.setDisplay({ heat: !display.heat }),
          b: () => report.setDisplay({ boxes: !display.boxes }),
        }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  return { open, update: () => dialog.open && update() };
}

/** The findings of the pair's image, the most probable first. */
function findingsOf(report, { image }) {
  return report.pairs
    .filter((pair) => pair.image === image)
    .toSorted((one, other) => (other.probability ?? 0) - (one.probability ?? 0));
}

function findingRow(each, index, current, show, report) {
  const chosen = each === current;
  const chips = report.kind.judge(each).chips.map(([style, said]) => element("span", { class: `chip ${style}` }, said));
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

/**
 * Sliders and switches of the display, for the panel and for the viewer.
 * @returns {{nodes: HTMLElement[], update: () => void}}
 */
export function displaySliders(report) {
  const percent = (share) => `${Math.round(100 * share)} %`;
  const initial = report.state.display;
  const bounds = { opacity: [0, 1, "Heatmap opacity"], window: [0.05, 2, "Window"], level: [0, 1, "Level"] };
  const sliders = Object.entries(bounds).map(([name, [min, max, label]]) => ({
    name,
    ...slider({ label, min, max, step: 0.01, value: initial[name], say: percent }, (value) =>
      report.setDisplay({ [name]: value }),
    ),
  }));
  const switches = Object.entries({ heat: "Heatmap", boxes: "Boxes" }).map(([name, label]) => ({
    name,
    node: checkbox(label, initial[name], (on) => report.setDisplay({ [name]: on })),
  }));
  return {
    nodes: [...sliders.map(({ node }) => node), element("div", { class: "checks" }, ...switches.map(({ node }) => node))],
    update() {
      const { display } = report.state;
      for (const { name, set } of sliders) set(display[name]);
      for (const { name, node } of switches) node.querySelector("input").checked = display[name];
    },
  };
}

function drawStage(canvas, { pair, base, zoom, x, y }, { style, state, kind }) {
  const sharp = window.devicePixelRatio || 1;
  const { width, height } = canvas.parentElement.getBoundingClientRect();
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  const { rows, columns } = pair.image;
  const scale = Math.min(canvas.width / columns, canvas.height / rows) * zoom;
  const origin = [canvas.width / 2 - x * columns * scale, canvas.height / 2 - y * rows * scale];
  if (zoom === 1) {
    origin[0] = (canvas.width - columns * scale) / 2;
    origin[1] = (canvas.height - rows * scale) / 2;
  }
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = scale * columns < 1.5 * base.width; // no detail is made up
  context.drawImage(base, ...origin, columns * scale, rows * scale);
  if (!state.display.boxes) return;
  const toScreen = (px, py) => [origin[0] + px * scale, origin[1] + py * scale];
  drawMarks(context, kind.judge(pair).marks, style.roles, toScreen, 2 * sharp);
}

/** Wheel and pinch zoom at the pointer; dragging moves. */
function addGestures(canvas, now, zoomTo) {
  const pointers = new Map();
  const size = () => {
    const { rows, columns } = now.pair.image;
    const fit = Math.min(canvas.clientWidth / columns, canvas.clientHeight / rows) * now.zoom;
    return [columns * fit, rows * fit];
  };
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const factor = Math.exp(-event.deltaY / 400);
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const away = [event.clientX - left - width / 2, event.clientY - top - height / 2];
      const pull = 1 - 1 / factor;
      const [w, h] = size();
      zoomTo(now.zoom * factor, now.x + (away[0] * pull) / w, now.y + (away[1] * pull) / h);
    },
    { passive: false },
  );
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    pointers.set(event.pointerId, event);
    if (other) {
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoomTo((now.zoom * apart(event)) / Math.max(apart(before), 1));
    } else {
      const [w, h] = size();
      zoomTo(now.zoom, now.x - (event.clientX - before.clientX) / w, now.y - (event.clientY - before.clientY) / h);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
}
