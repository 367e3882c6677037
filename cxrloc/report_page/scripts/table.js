/** A table that sorts by any column, by mouse or keyboard. */
import { element } from "./dom.js";

/**
 * @typedef {object} Column
 * @property {string} label
 * @property {string} [title] what the numbers are, in full
 * @property {string} [group] heading over neighbouring columns
 *
 * @typedef {{value: number | string | null, content: (Node | string)[]}} Cell
 */

/**
 * A table whose first column heads its rows. Rows of the foot keep their place.
 * @param {string} caption for screen readers
 * @returns {{node: HTMLElement, show: (columns: Column[], body: Cell[][], foot: Cell[][]) => void}}
 */
export function sortableTable(caption) {
  const table = element("table", {});
  const node = element(
    "div",
    { class: "scroll", role: "region", tabindex: 0, "aria-label": caption },
    table,
  );
  const order = { column: null, falling: false };
  let shown = null;

  function sortBy(column) {
    order.falling = order.column === column && !order.falling;
    order.column = column;
    render();
    table.querySelectorAll("thead tr:last-child button")[column].focus();
  }

  function render() {
    const { columns, body, foot } = shown;
    const rows = order.column === null ? body : sorted(body, order);
    table.replaceChildren(
      element("caption", { class: "unseen" }, caption),
      element("thead", {}, groupRow(columns), headingRow(columns, order, sortBy)),
      element("tbody", {}, ...rows.map(tableRow)),
      element("tbody", { class: "foot" }, ...foot.map(tableRow)),
    );
  }

  const show = (columns, body, foot) => {
    const focused = [...table.querySelectorAll("thead button")].indexOf(document.activeElement);
    shown = { columns, body, foot };
    render();
    if (focused >= 0) table.querySelectorAll("thead button")[focused].focus();
  };
  return { node, show };
}

function sorted(body, { column, falling }) {
  const sign = falling ? -1 : 1;
  return body.toSorted((one, other) => {
    const [a, b] = [one[column].value, other[column].value];
    if (a === null || b === null) return (a === null) - (b === null); // what is not there comes last
    return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
  });
}

function groupRow(columns) {
  if (!columns.some(({ group }) => group)) return null;
  const cells = [];
  for (const { group = "" } of columns) {
    const last = cells.at(-1);
    if (last && last.group === group) last.span += 1;
    else cells.push({ group, span: 1 });
  }
  const heads = cells.map(({ group, span }) =>
    group
      ? element("th", { colspan: span, scope: "colgroup" }, group)
      : element("td", { colspan: span }),
  );
  return element("tr", { class: "groups" }, ...heads);
}

function headingRow(columns, order, sortBy) {
  const cells = columns.map(({ label, title, group }, index) => {
    const sort = order.column !== index ? "none" : order.falling ? "descending" : "ascending";
    const arrow = { none: "↕", ascending: "↑", descending: "↓" }[sort];
    const button = element(
      "button",
      {
        type: "button",
        title: title ?? label,
        "aria-label": group ? `${label}, ${group}` : null,
        onclick: () => sortBy(index),
      },
      label,
      element("span", { class: "arrow", "aria-hidden": "true" }, arrow),
    );
    const starts = group && columns[index - 1]?.group !== group;
    return element(
      "th",
      { scope: "col", "aria-sort": sort, class: starts ? "starts" : null },
      button,
    );
  });
  return element("tr", {}, ...cells);
}

function tableRow(cells) {
  const [head, ...rest] = cells;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, ...head.content),
    ...rest.map(({ value, content }) =>
      element("td", typeof value === "number" ? { "data-value": value } : {}, ...content),
    ),
  );
}
