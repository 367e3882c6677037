/** How radiographs are shown: heatmap opacity, window, level, and what is drawn over them. */
import { checkbox, element, slider } from "./dom.js";

/**
 * Sliders and switches of the display, for the panel and for the viewer.
 * @returns {{nodes: HTMLElement[], update: () => void}}
 */
export function displaySliders(report) {
  const percent = (share) => `${Math.round(100 * share)} %`;
  const initial = report.state.display;
  const bounds = {
    opacity: [0, 1, "Heatmap opacity"],
    window: [0.05, 2, "Window"],
    level: [0, 1, "Level"],
  };
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
    nodes: [
      ...sliders.map(({ node }) => node),
      element("div", { class: "checks" }, ...switches.map(({ node }) => node)),
    ],
    update() {
      const { display } = report.state;
      for (const { name, set } of sliders) set(display[name]);
      for (const { name, node } of switches) node.querySelector("input").checked = display[name];
    },
  };
}
