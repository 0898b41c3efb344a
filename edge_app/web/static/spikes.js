/** Spikes per class: a row for each class, the last decisions from left to right, the newest as a number. */

import { byId, make, setText, syncChildren } from "./dom.js";

const TICKS = 60;
const TICK_PX = 3;
const HEIGHT_PX = 18;
const CALM_MS = 1_000;
const IN_VIEW = 9;

export class Columns {
  #list = byId("columns");
  #most = 1;
  #drawn = 0;
  #colours = { own: "", other: "" };
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor() {
    if (matchMedia("(max-width: 47.99rem)").matches) byId("spikes").open = false; // on a phone the buttons need the space
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.#readColours());
    this.#readColours();
  }

  /** @param {import("./api.js").Decision} decision */
  show(decision) {
    if (!(/** @type {HTMLDetailsElement} */ (byId("spikes")).open)) return;
    if (this.#calm.matches && performance.now() - this.#drawn < CALM_MS) return;
    this.#drawn = performance.now();
    const columns = Object.entries(decision.spikes);
    this.#list.tabIndex = columns.length > IN_VIEW ? 0 : -1; // lets the keyboard scroll it
    this.#most = Math.max(this.#most, ...columns.map(([, spikes]) => spikes));
    syncChildren(
      this.#list,
      columns,
      ([label]) => label,
      ([label]) =>
        make(
          "li",
          {},
          make("span", { class: "name", text: label, title: label }),
          make("canvas", { width: TICKS * TICK_PX, height: HEIGHT_PX, "aria-hidden": "true" }),
          make("span", { class: "count" }),
        ),
      (row, [label, spikes]) => {
        const first = decision.first_spike[label];
        const own = label === decision.label;
        row.classList.toggle("own", own);
        row.title = spikes ? `${spikes} spikes, the first at step ${first}` : "silent";
        setText(row.lastElementChild, String(spikes));
        this.#tick(row.children[1], spikes / this.#most, own);
      },
    );
  }

  /** Scroll a row's canvas to the left and draw the newest tick. */
  #tick(/** @type {HTMLCanvasElement} */ canvas, /** @type {number} */ share, /** @type {boolean} */ own) {
    const context = canvas.getContext("2d");
    if (!context) return;
    context.globalCompositeOperation = "copy";
    context.drawImage(canvas, -TICK_PX, 0);
    context.globalCompositeOperation = "source-over";
    const tall = share > 0 ? Math.max(2, share * canvas.height) : 0;
    context.fillStyle = own ? this.#colours.own : this.#colours.other;
    context.fillRect(canvas.width - TICK_PX, canvas.height - tall, TICK_PX - 1, tall);
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    this.#colours = { own: style.getPropertyValue("--accent").trim(), other: style.getPropertyValue("--faint").trim() };
  }
}
