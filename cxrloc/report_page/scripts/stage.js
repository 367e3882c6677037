/** A radiograph that can be zoomed and moved. */
import { element, oncePerFrame } from "./dom.js";
import { composeView, drawMarks, pictureOf } from "./drawing.js";

export const LARGEST_ZOOM = 12;

const LONGEST = 1024;

/**
 * The stage of the viewer. Where it looks is kept as a zoom and the point in the middle, as shares
 * of the image.
 * @param {object} report
 * @param {(zoom: number) => void} onZoom
 * @returns {{node: HTMLElement, canvas: HTMLCanvasElement, show: (pair: object) => void,
 *   zoomTo: (zoom: number) => void, zoomBy: (factor: number) => void}}
 */
export function createStage(report, onZoom) {
  const canvas = element("canvas", { tabindex: 0, role: "img" });
  const node = element("div", { class: "stage" }, canvas);
  const now = { pair: null, zoom: 1, x: 0.5, y: 0.5, base: null, version: "" };

  function zoomTo(zoom, x = now.x, y = now.y) {
    now.zoom = Math.min(Math.max(zoom, 1), LARGEST_ZOOM);
    const margin = 0.5 / now.zoom; // the image always fills the stage
    now.x = Math.min(Math.max(x, margin), 1 - margin);
    now.y = Math.min(Math.max(y, margin), 1 - margin);
    onZoom(Math.round(now.zoom * 10) / 10);
    draw();
  }

  function show(pair) {
    if (now.pair?.image !== pair.image) zoomTo(1);
    now.pair = pair;
    draw();
  }

  const draw = oncePerFrame(async () => {
    if (!now.pair || !canvas.clientWidth) return;
    const { pair } = now;
    const picture = await pictureOf(pair.image);
    if (pair !== now.pair) return;
    const { display } = report.state;
    const version = [pair.finding, pair.image.id, ...Object.values(display)].join();
    if (now.version !== version) {
      now.base = composeView(pair, picture, display, report.style, LONGEST);
      now.version = version;
    }
    drawStage(canvas, now, report);
  });

  addGestures(canvas, now, zoomTo);
  new ResizeObserver(draw).observe(node);
  return { node, canvas, show, zoomTo, zoomBy: (factor) => zoomTo(now.zoom * factor) };
}

function drawStage(canvas, { pair, base, zoom, x, y }, { style, state, kind }) {
  const sharp = window.devicePixelRatio || 1;
  const { width, height } = canvas.parentElement.getBoundingClientRect();
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  const { rows, columns } = pair.image;
  const scale = Math.min(canvas.width / columns, canvas.height / rows) * zoom;
  const origin = [canvas.width / 2 - x * columns * scale, canvas.height / 2 - y * rows * scale];
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
      zoomTo(
        now.zoom,
        now.x - (event.clientX - before.clientX) / w,
        now.y - (event.clientY - before.clientY) / h,
      );
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
}
