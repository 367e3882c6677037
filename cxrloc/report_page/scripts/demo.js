/** The page that runs a model on a dropped file: findings, heatmaps and boxes, in the browser. */
/* global ort */
import { networkInput } from "./demo_input.js";
import { readRadiograph } from "./demo_files.js";
import { decoded, unpacked } from "./demo_packed.js";
import { byId, decimals, element, words } from "./dom.js";
import { composeView, drawKey, drawMarks } from "./drawing.js";
import { boxesOf } from "./scoring.js";

const LONGEST = 900;

function start() {
  const model = JSON.parse(byId("data").textContent);
  model.style.colours = decoded(model.style.colours);
  byId("lead").textContent = `${model.name}, trained on ${model.trained_on}. ${model.limits}`;
  byId("key").append(...drawKey(["detection"], model.style.roles, model.style));
  // The network and its runtime are unpacked while the reader chooses a file.
  const session = openSession();
  const zone = byId("zone");
  const take = async (files) => {
    for (const file of files) await show(file, model, session);
  };
  byId("file").addEventListener("change", (event) => take(event.target.files));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  session.then(
    () => say("done", "Ready: drop a file, or choose one."),
    (error) => say("failed", `The network could not be started: ${error.message}`),
  );
}

/** Shows what the page is doing; `state` is "busy", "done" or "failed". */
function say(state, text) {
  byId("state").textContent = text;
  byId("state").dataset.state = state;
}

async function openSession() {
  ort.env.wasm.numThreads = 1; // threads need a server that isolates the page
  ort.env.wasm.wasmBinary = await unpacked("wasm");
  return ort.InferenceSession.create(await unpacked("model"), { executionProviders: ["wasm"] });
}

async function show(file, model, session) {
  say("busy", `${file.name}: computing …`);
  const results = byId("results");
  try {
    const radiograph = await readRadiograph(file);
    const { findings, outside } = await analysed(radiograph, model, await session);
    results.prepend(await resultOf(file.name, radiograph, findings, outside, model));
    say("done", `${file.name}: done.`);
  } catch (error) {
    say("failed", `${file.name}: ${error.message}`);
  }
}

/**
 * Each finding with its probability, its map, and its boxes in pixels of the image; and the reasons
 * why the image is outside what the model was made for. An image outside has no boxes.
 */
async function analysed(radiograph, model, session) {
  const { size } = model.preprocessing;
  const { grey, scale, shift } = networkInput(radiograph, model.preprocessing);
  const found = await session.run({ grey: new ort.Tensor("float32", grey, [1, size, size]) });
  const [, , rows, columns] = found.maps.dims;
  const toImage = [
    size / columns / scale[0],
    0,
    (model.cell_shift_pixels - shift[0]) / scale[0],
    0,
    size / rows / scale[1],
    (model.cell_shift_pixels - shift[1]) / scale[1],
  ];
  const outside = reasonsOutside(radiograph, found.distance.data[0], model);
  const findings = model.findings.map((finding, index) => {
    const values = found.maps.data.slice(index * rows * columns, (index + 1) * rows * columns);
    const raw = found.raw_probabilities.data[index];
    const map = { values, rows, columns, toImage };
    const point = model.operating_points[finding];
    return {
      finding,
      raw,
      probability: found.probabilities.data[index],
      below: point !== undefined && raw < point,
      map,
      boxes: outside.length
        ? []
        : boxesOf({ image: radiograph, map, probability: raw }, model.thresholds),
    };
  });
  return { findings, outside };
}

/**
 * The rules of `cxrloc/inference/suitability.py`, but for modality and body part, which count there
 * for models without a distance.
 */
function reasonsOutside({ pixels, viewCodes }, distance, model) {
  const reasons = [];
  if (pixels.every((grey) => grey === pixels[0])) reasons.push(model.blank);
  const view = viewCodes.map((code) => model.view_codes[code]).find(Boolean);
  if (view && model.views.length && !model.views.includes(view)) {
    const known = model.views.join(", ");
    reasons.push(`the view is ${view}, and ${model.name} was trained on ${known} only`);
  }
  if (distance > 1) {
    reasons.push(
      `the image is unlike those that ${model.name} was made for: its features are far from ` +
        "those of validation images",
    );
  }
  return reasons;
}

/** What the reader must know before the findings. */
function warningsOf(radiograph, outside) {
  const lines = outside.map((reason) => `Outside what the model was made for: ${reason}.`);
  lines.push(...radiograph.warnings.map((warning) => `${warning}.`));
  if (!lines.length) return null;
  const items = lines.map((line) => element("li", {}, line));
  return element("ul", { class: "warnings" }, ...items);
}

/** How many boxes a finding has, or why it has none. */
function boxesSaid(each, outside) {
  if (outside.length) return "–";
  return each.below ? "below the operating point" : each.boxes.length;
}

async function resultOf(name, radiograph, findings, outside, model) {
  const ranked = [...findings].sort((a, b) => b.probability - a.probability);
  const picture = await pictureOf(radiograph);
  const stage = element("div", { class: "demo-stage" });
  const choose = (each) => stage.replaceChildren(viewOf(each, radiograph, picture, model));
  choose(ranked[0]);
  const rows = ranked.map((each, index) => {
    const name = words(each.finding);
    const button = element("button", { type: "button", onclick: () => pick(each) }, name);
    return element(
      "tr",
      {
        "data-finding": each.finding,
        "data-raw": each.raw,
        "data-probability": each.probability,
        "data-boxes": JSON.stringify(each.boxes),
        class: index === 0 ? "chosen" : null,
      },
      element("th", { scope: "row" }, button),
      element("td", {}, decimals(each.probability, 3)),
      element("td", {}, boxesSaid(each, outside)),
    );
  });
  const pick = (each) => {
    choose(each);
    rows.forEach((row, index) => row.classList.toggle("chosen", ranked[index] === each));
  };
  return element(
    "article",
    { class: "demo-result", "data-status": outside.length ? "outside" : "ok" },
    element("h2", {}, name),
    element("p", { class: "note" }, `${radiograph.columns} x ${radiograph.rows} pixels`),
    warningsOf(radiograph, outside),
    element(
      "div",
      { class: "demo-columns" },
      stage,
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            ...["Finding", "Probability", "Boxes"].map((head) =>
              element("th", { scope: "col" }, head),
            ),
          ),
        ),
        element("tbody", {}, ...rows),
      ),
    ),
  );
}

/** The radiograph with 8 bits, as a picture that `composeView` draws. */
async function pictureOf({ pixels, rows, columns }) {
  const canvas = element("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const { data } = image;
  pixels.forEach((grey, pixel) => {
    const at = 4 * pixel;
    data[at] = data[at + 1] = data[at + 2] = 255 * grey;
    data[at + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  const picture = new Image();
  picture.src = canvas.toDataURL();
  await picture.decode();
  return picture;
}

/** One finding over the radiograph: its heatmap, and its boxes unless it counts as absent. */
function viewOf(each, radiograph, picture, model) {
  const lowest = each.map.values.reduce((least, value) => Math.min(least, value), Infinity);
  // `composeView` takes maps whose smallest value is 0.
  const values = each.map.values.map((value) => value - lowest);
  const pair = { image: radiograph, map: { ...each.map, values } };
  const display = { window: 1, level: 0.5, opacity: model.style.opacity, heat: true };
  const canvas = composeView(pair, picture, display, model.style, LONGEST);
  const context = canvas.getContext("2d");
  const scale = canvas.width / radiograph.columns;
  const highest = Math.max(...model.thresholds);
  for (const bold of [false, true]) {
    const marks = each.boxes
      .filter(({ threshold }) => !each.below && (threshold === highest) === bold)
      .map(({ box }) => ({ box, role: "detection" }));
    const toScreen = (x, y) => [x * scale, y * scale];
    drawMarks(context, marks, model.style.roles, toScreen, bold ? 3 : 1.5);
  }
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${words(each.finding)}: heatmap and boxes`);
  return canvas;
}

start();
