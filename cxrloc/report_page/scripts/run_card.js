/** What a reader needs to trust the numbers: `run.json`, the important lines first. */
import { element, words } from "./dom.js";

/**
 * @param {[string, *][]} first lines that come first: name and value
 * @param {object} run the run card as written beside the page
 */
export function runCard(first, run) {
  const rest = Object.entries(run).map(([name, value]) =>
    element(
      "details",
      {},
      element("summary", {}, words(name)),
      element("pre", { tabindex: 0 }, pretty(value)),
    ),
  );
  return element("div", {}, lines(first), element("h3", {}, "run.json"), ...rest);
}

function lines(pairs) {
  const parts = pairs.flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, value === null || value === undefined || value === "" ? "–" : value),
  ]);
  return element("dl", {}, ...parts);
}

function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}
