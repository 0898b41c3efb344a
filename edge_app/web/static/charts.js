/** Plots as SVG, made of elements; their colours come from the style sheet. */

import { make } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
/** Colours there are; further names share the last, "others". */
export const COLOURS = 8;
const HEIGHT = 150;
const TOP = 18;
const LANE = 26;
const AXIS = 18;
const NAMES_SHOWN = 8;

/**
 * @typedef {{value: number, colour: number, words: string}} Part of a column; `words` describe it
 * @typedef {{name: string, short: string, parts: Part[]}} Column of a plot; `short` stands below it
 * @typedef {{begin: number, end: number, colour: number, words: string, open: () => void}} Span of a lane, in parts of
 *   its width
 */

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 */
function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** @param {number} share of the width */
const percent = (share) => `${(100 * share).toFixed(3)}%`;

/** @param {string} words @param {number} height @param {Node[]} children */
function picture(words, height, children) {
  return draw("svg", { class: "chart", role: "img", "aria-label": words, width: "100%", height }, ...children);
}

/**
 * Draw columns of stacked parts.
 * @param {Column[]} columns
 * @param {string} words describes the plot to those who do not see it
 * @param {(value: number) => string} unit writes a value of the axis
 */
export function stackedColumns(columns, words, unit) {
  const most = Math.max(0, ...columns.map(({ parts }) => parts.reduce((sum, part) => sum + part.value, 0)));
  const every = Math.ceil(columns.length / NAMES_SHOWN);
  const bottom = TOP + HEIGHT;
  const drawn = /** @type {Node[]} */ ([
    draw("line", { class: "axis", x1: 0, x2: "100%", y1: bottom, y2: bottom }),
    draw("line", { class: "grid-line", x1: 0, x2: "100%", y1: TOP, y2: TOP }),
    draw("text", { x: 0, y: TOP - 5 }, unit(most)),
  ]);
  columns.forEach(({ name, short, parts }, index) => {
    let top = bottom;
    for (const part of parts.filter(({ value }) => value > 0)) {
      const height = (part.value / most) * HEIGHT;
      top -= height;
      const place = { x: percent((index + 0.1) / columns.length), width: percent(0.8 / columns.length) };
      const title = draw("title", {}, `${name}: ${part.words}`);
      drawn.push(draw("rect", { class: `colour-${part.colour}`, ...place, y: top, height }, title));
    }
    if (index % every === 0) {
      drawn.push(draw("text", { class: "name", x: percent((index + 0.5) / columns.length), y: bottom + 14 }, short));
    }
  });
  return picture(words, bottom + AXIS, drawn);
}

/**
 * Draw a day as lanes with spans.
 * @param {{name: string, spans: Span[]}[]} rows
 * @param {{at: number, text: string}[]} ticks `at` in parts of the width
 * @param {string} words describes it to those who do not see it
 */
export function lanes(rows, ticks, words) {
  const drawn = /** @type {Node[]} */ ([]);
  const bottom = rows.length * (LANE + AXIS);
  for (const { at, text } of ticks) {
    const x = percent(at);
    drawn.push(draw("line", { class: "grid-line", x1: x, x2: x, y1: AXIS, y2: bottom }));
    drawn.push(draw("text", { class: at ? "name" : "", x, y: bottom + 14 }, text));
  }
  rows.forEach(({ name, spans }, index) => {
    const top = index * (LANE + AXIS) + AXIS;
    drawn.push(draw("text", { x: 2, y: top - 5 }, name), draw("rect", { class: "lane", x: 0, width: "100%", y: top, height: LANE }));
    for (const { begin, end, colour, words: said, open } of spans) {
      const place = { x: percent(begin), width: percent(end - begin), y: top, height: LANE };
      const span = draw("rect", { class: `span colour-${colour}`, ...place }, draw("title", {}, said));
      span.addEventListener("click", open);
      drawn.push(span);
    }
  });
  return picture(words, bottom + AXIS, drawn);
}

/** Return a list of the names and their colours. @param {{name: string, colour: number}[]} entries */
export function legend(entries) {
  return make(
    "ul",
    { class: "legend" },
    ...entries.map(({ name, colour }) => make("li", {}, make("span", { class: `key colour-${colour}` }), name)),
  );
}
