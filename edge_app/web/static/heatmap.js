/** Why it decides so: the parts that drove the leading column, over the live picture, and the examples it resembles. */

import { getHeatMap, getSimilar, thumbnailAddress } from "./api.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { percent, strongestPart } from "./words.js";

const EVERY_MS = 1_000; // each heat map costs the device as much as a frame
const OPAQUE = 0.7;
const COLOUR = "255, 122, 0";

export class HeatMapView {
  #picture;
  #button = byId("heat-map-toggle");
  #canvas = byId("heat-map");
  #words = byId("heat-map-words");
  #similar = byId("similar");
  #shown = false;
  /** @type {number | null} */
  #drawn = null;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./live.js").LivePicture} picture
   */
  constructor(device, picture) {
    this.#picture = picture;
    this.#button.addEventListener("click", () => (this.#shown ? this.#hide("") : this.#show()));
    device.on("state", (state) => {
      this.#button.disabled = state.classes.length === 0;
      if (this.#button.disabled) this.#hide("");
    });
  }

  async #show() {
    this.#shown = true;
    this.#button.setAttribute("aria-pressed", "true");
    while (this.#shown) {
      const frame = this.#picture.sequence;
      if (!document.hidden && frame !== null && frame !== this.#drawn) await this.#update(frame);
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  /** @param {number} frame */
  async #update(frame) {
    let found, similar;
    try {
      [found, similar] = await Promise.all([getHeatMap(frame), getSimilar(frame)]);
    } catch (error) {
      // the next frame may succeed, unless the encoder has no heat maps at all
      if (/** @type {any} */ (error).code === "refused") this.#hide(/** @type {Error} */ (error).message);
      return;
    }
    if (!this.#shown) return;
    this.#draw(found.cells);
    this.#drawn = frame;
    this.#words.hidden = false;
    setText(this.#words, `${found.label}, strongest at the ${strongestPart(found.cells)}`);
    this.#showSimilar(similar.examples);
  }

  /** @param {{id: number, label: string, similarity: number}[]} examples */
  #showSimilar(examples) {
    this.#similar.hidden = examples.length === 0;
    syncChildren(
      this.#similar,
      examples,
      ({ id }) => String(id),
      ({ id }) => make("li", {}, make("img", { src: thumbnailAddress(id), alt: "" }), make("span")),
      (item, { label, similarity }) => setText(item.children[1], `${label}, ${percent(similarity)} alike`),
    );
  }

  /** @param {string} why the message to show instead; "" for none */
  #hide(why) {
    this.#shown = false;
    this.#drawn = null;
    this.#button.setAttribute("aria-pressed", "false");
    this.#canvas.hidden = true;
    this.#similar.hidden = true;
    this.#words.hidden = !why;
    setText(this.#words, why);
  }

  /** Draw one pixel per cell, more opaque for more drive; the style sheet enlarges it. @param {number[][]} cells */
  #draw(cells) {
    this.#canvas.width = this.#canvas.height = cells.length;
    const context = this.#canvas.getContext("2d");
    const most = Math.max(...cells.flat());
    cells.forEach((row, y) =>
      row.forEach((drive, x) => {
        context.fillStyle = `rgba(${COLOUR}, ${most > 0 ? (OPAQUE * Math.max(0, drive)) / most : 0})`;
        context.fillRect(x, y, 1, 1);
      }),
    );
    this.#canvas.hidden = false;
  }
}
