/** Cards of pairs of image and finding, filtered, a page at a time. */
import { byId, captionOf, chooser, counted, element, oncePerFrame, words } from "./dom.js";
import { composeView, drawMarks, pictureOf } from "./drawing.js";

const PAGE = 24;
const CARD_PIXELS = 384;

/**
 * The gallery, which follows the state of the report.
 * @param {object} report
 * @param {(pair: object, list: object[]) => void} open shows a pair among those found
 * @returns {{update: () => void}}
 */
export function createGallery(report, open) {
  const list = byId("gallery");
  const cards = new Map();
  let found = [];
  let shown = PAGE;
  let onPage = [];

  byId("filters").append(
    ...report.kind.choosers,
    chooser(
      "Finding",
      [["", "all"], ...report.galleryFindings.map((f) => [f, words(f)])],
      "",
      (finding) => change({ finding }),
    ),
    chooser("Outcome", [["", "all"], ...report.kind.outcomes.map((o) => [o, o])], "", (outcome) =>
      change({ outcome }),
    ),
    chooser("View", [["", "all"], ...report.views.map((v) => [v, v || "unknown"])], "", (view) =>
      change({ view }),
    ),
  );
  if (report.views.length < 2) byId("filters").lastChild.hidden = true;

  function change(patch) {
    shown = PAGE;
    report.set(patch);
  }

  byId("more").addEventListener("click", () => {
    const first = shown;
    shown += PAGE;
    update();
    list.children[first]?.querySelector("button").focus();
  });

  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const place = buttons.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow(list), ArrowUp: -perRow(list) }[
      event.key
    ];
    if (place < 0 || !step) return;
    event.preventDefault();
    buttons[place + step]?.focus();
  });

  function update() {
    found = report.pairs.filter((pair) => passes(pair, report));
    const page = found.slice(0, shown);
    const images = new Set(found.map(({ image }) => image)).size;
    byId("found").textContent =
      `${counted(found.length, "pair")} of image and finding, on ${counted(images, "image")}. ` +
      report.kind.galleryNote();
    byId("more").hidden = found.length <= shown;
    byId("more").textContent =
      `Show ${Math.min(PAGE, found.length - shown)} more of ${found.length}`;
    if (page.length !== onPage.length || page.some((pair, i) => pair !== onPage[i])) {
      list.replaceChildren(...page.map((pair) => cardOf(pair).node));
      onPage = page;
    }
    for (const pair of page) cardOf(pair).update();
  }

  function cardOf(pair) {
    if (!cards.has(pair))
      cards.set(
        pair,
        createCard(pair, report, () => open(pair, found)),
      );
    return cards.get(pair);
  }

  return { update };
}

function passes(pair, { state, kind }) {
  if (!kind.inGallery(pair)) return false;
  if (state.finding && pair.finding !== state.finding) return false;
  if (state.view && (pair.image.view ?? "") !== state.view) return false;
  return !state.outcome || kind.judge(pair).outcomes.includes(state.outcome);
}

function perRow(list) {
  const [first, ...rest] = [...list.children].map((item) => item.offsetTop);
  const next = rest.findIndex((top) => top !== first);
  return next < 0 ? list.children.length : next + 1;
}

/** A card: drawn when it comes into sight, and again when what it shows has changed. */
function createCard(pair, report, onOpen) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const chips = element("span", { class: "chips" });
  const button = element(
    "button",
    { type: "button", class: "card", onclick: onOpen },
    element("span", { class: "frame" }, canvas),
    element("span", { class: "finding" }, words(pair.finding)),
    element(
      "span",
      { class: "image" },
      captionOf(pair.image),
    ),
    chips,
  );
  canvas.width = CARD_PIXELS;
  canvas.height = Math.round((CARD_PIXELS * pair.image.rows) / pair.image.columns);
  const draw = oncePerFrame(async () => {
    const picture = await pictureOf(pair.image);
    drawCard(canvas, pair, picture, report);
  });
  const seen = new IntersectionObserver(([entry]) => {
    card.visible = entry.isIntersecting;
    if (card.visible) draw();
  });
  seen.observe(canvas);
  const card = {
    visible: false,
    node: element("li", {}, button),
    update() {
      const { chips: text } = report.kind.judge(pair);
      chips.replaceChildren(
        ...text.map(([style, said]) => element("span", { class: `chip ${style}` }, said)),
      );
      if (card.visible) draw();
    },
  };
  return card;
}

function drawCard(canvas, pair, picture, report) {
  const { display } = report.state;
  const version = [display.window, display.level, display.opacity, display.heat].join();
  if (pair.cardVersion !== version) {
    pair.cardView = composeView(pair, picture, display, report.style, CARD_PIXELS);
    pair.cardVersion = version;
  }
  const context = canvas.getContext("2d");
  context.drawImage(pair.cardView, 0, 0, canvas.width, canvas.height);
  if (!display.boxes) return;
  const scale = canvas.width / pair.image.columns;
  const toCard = (x, y) => [x * scale, y * scale];
  drawMarks(context, report.kind.judge(pair).marks, report.style.roles, toCard, 3);
}
