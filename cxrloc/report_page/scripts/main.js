/** Reads the data, builds the parts of the page, and keeps them in step with what the reader sets. */
import { benchKind } from "./bench.js";
import { classifyKind } from "./classify.js";
import { byId, element, oncePerFrame } from "./dom.js";
import { drawKey } from "./drawing.js";
import { createGallery } from "./gallery.js";
import { runCard } from "./run_card.js";
import { displaySliders } from "./display.js";
import { createViewer } from "./viewer.js";

const REST_MS = 300;
const KINDS = { bench: benchKind, classify: classifyKind };

function start() {
  const data = JSON.parse(byId("data").textContent);
  const report = createReport(data);
  report.kind = KINDS[data.kind](report);
  const viewer = createViewer(report);
  const gallery = createGallery(report, viewer.open);
  const display = displaySliders(report);
  byId("controls").append(...report.kind.settings, element("h3", {}, "Display"), ...display.nodes);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("key").append(...drawKey(report.kind.roles, report.style.roles, report.style));
  byId("lead").textContent = data.lead;
  byId("warnings").append(...data.warnings.map((text) => element("li", {}, text)));
  byId("run").append(runCard(data.card, data.run));
  byId("panel").open = window.matchMedia("(min-width: 62rem)").matches;

  let scored = "";
  report.onChange = oncePerFrame(() => {
    const onlyShown = { display: null, finding: null, outcome: null, view: null };
    const version = JSON.stringify({ ...report.state, ...onlyShown });
    if (version !== scored) report.kind.update();
    scored = version;
    display.update();
    gallery.update();
    viewer.update();
  });
  report.onChange();
}

/** Pairs joined with their images and maps, and the state with its two setters. */
function createReport(data) {
  const levels = new Uint16Array(bytes(data.maps).buffer);
  const images = data.images.map((image) => ({ ...image, outside: data.outside[image.id] }));
  const pairs = data.pairs.map((pair) => {
    const { offset, rows, columns } = pair.map ?? {};
    const map = pair.map && {
      ...pair.map,
      values: levels.subarray(offset, offset + rows * columns),
    };
    return { ...pair, map, image: images[pair.image] };
  });
  const display = { opacity: data.style.opacity, window: 1, level: 0.5, heat: true, boxes: true };
  const report = {
    data: {
      ...data,
      resampling: data.resampling && { ...data.resampling, drawn: bytes(data.resampling.drawn) },
    },
    pairs,
    style: { roles: data.style.roles, colours: bytes(data.style.colours) },
    views: [...new Set(images.map(({ view }) => view ?? ""))].sort(),
    galleryFindings: data.findings,
    state: { ...data.state, display, finding: "", outcome: "", view: "" },
    onChange: () => {},
    set(patch) {
      Object.assign(report.state, patch);
      report.onChange();
    },
    setDisplay(patch) {
      report.set({ display: { ...report.state.display, ...patch } });
    },
    whenAtRest: atRest(),
  };
  return report;
}

/** A function that runs the last work it was given, once there was no other for a while. */
function atRest() {
  let waiting = 0;
  return (work) => {
    clearTimeout(waiting);
    waiting = setTimeout(work, REST_MS);
  };
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

start();
