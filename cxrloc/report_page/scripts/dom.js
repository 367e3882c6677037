/** Elements out of data: text goes in as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes and children; `on...` attributes are listeners.
 * @param {string} tag
 * @param {Object<string, *>} attributes false and null leave one out, true gives an empty one
 * @param {...(Node | string | number)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(
    ...children.filter((child) => child !== null).map((c) => (c instanceof Node ? c : String(c))),
  );
  return node;
}

/** @param {string} id of an element of the template */
export function byId(id) {
  return document.getElementById(id);
}

/** An image's id and view, and whether it is outside what the models were made for. */
export function captionOf({ id, view, outside }) {
  return [id, view, outside && "outside"].filter(Boolean).join(" · ");
}

/** A finding's name as words. */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** A number with so many decimals, or a dash where there is none. */
export function decimals(value, digits) {
  return value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(digits);
}

/** "1 box", "2 boxes". */
export function counted(n, singular, plural = `${singular}s`) {
  return `${n} ${n === 1 ? singular : plural}`;
}

/**
 * A labelled choice.
 * @param {string} label
 * @param {[string, string][]} options value and words of each
 * @param {string} value chosen at first
 * @param {(value: string) => void} onChoice
 */
export function chooser(label, options, value, onChoice) {
  const select = element(
    "select",
    { onchange: () => onChoice(select.value) },
    ...options.map(([name, text]) =>
      element("option", { value: name, selected: name === value }, text),
    ),
  );
  return element("label", { class: "chooser" }, element("span", {}, label), select);
}

let sliders = 0;

/**
 * A labelled slider with its value in words.
 * @param {{label: string, min: number, max: number, step: number, value: number,
 *   say: (value: number) => string, ticks?: number[], name?: string}} options
 * @param {(value: number) => void} onSlide
 * @returns {{node: HTMLElement, set: (value: number) => void}}
 */
export function slider({ label, min, max, step, value, say, ticks = [], name = null }, onSlide) {
  const id = `slider-${(sliders += 1)}`;
  // The slider says its value itself; said by both it would be heard twice.
  const output = element("output", { for: id, "aria-live": "off" }, say(value));
  const list = ticks.length ? `ticks-${name}` : null;
  const input = element("input", { id, type: "range", min, max, step, value, name, list });
  const show = (shown) => {
    output.textContent = say(shown);
    input.setAttribute("aria-valuetext", say(shown));
  };
  input.addEventListener("input", () => {
    // k / n is the number nearest to its decimals, the one that Python reads.
    const perUnit = Math.round(1 / step);
    const moved = Math.round(Number(input.value) * perUnit) / perUnit;
    show(moved);
    onSlide(moved);
  });
  show(value);
  const node = element(
    "div",
    { class: "slider" },
    element("label", { for: id }, label),
    output,
    input,
    list
      ? element(
          "datalist",
          { id: list },
          ...ticks.map((tick) => element("option", { value: tick })),
        )
      : null,
  );
  const set = (moved) => {
    input.value = moved;
    show(moved);
  };
  return { node, set };
}

/**
 * A slider for each threshold of the heatmaps; a moved one sets the thresholds of the report.
 * @param {object} report its state and how to set it
 */
export function heatmapSliders({ state, set }) {
  return state.thresholds.map((value, i) =>
    slider(
      {
        label: `Heatmap threshold ${i + 1}`,
        min: 0,
        max: 254,
        step: 1,
        value,
        say: String,
        name: `threshold-${i}`,
      },
      (moved) => set({ thresholds: state.thresholds.with(i, moved) }),
    ),
  );
}

/** A labelled checkbox. */
export function checkbox(label, checked, onCheck) {
  const input = element("input", {
    type: "checkbox",
    checked,
    onchange: () => onCheck(input.checked),
  });
  return element("label", { class: "check" }, input, label);
}

/**
 * Run a function once in the next frame, however often it is asked for until then.
 * @param {() => void} work
 */
export function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}
