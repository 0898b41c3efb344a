/** A grid of pictures with checkboxes, and actions on those selected; used by the tray and the gallery. */

import { NAMED_AT_ONCE } from "./api.js";
import { make, setText, syncChildren } from "./dom.js";
import { counted } from "./words.js";

/** @typedef {{id: number, source: string | null, title: string, note: string}} Tile */

export class PictureGrid {
  #grid;
  #tools;
  #choices;
  #count;
  #all;
  #loading = "lazy";
  #selectable = () => true;
  /** @type {Tile[]} */
  #tiles = [];
  /** @type {Set<number>} */
  #selected = new Set();
  /** @type {number | null} */
  #anchor = null;

  /**
   * @param {HTMLElement} host the element that it is added to
   * @param {{name: string, question: string, selectable: () => boolean, actions: Node[], loading?: "lazy" | "eager"}} options
   *   `name` of the list; `question` before the choice of classes
   */
  constructor(host, { name, question, selectable, actions, loading = "lazy" }) {
    this.#loading = loading;
    this.#selectable = selectable;
    this.#grid = make("ul", { class: "grid", "aria-label": name });
    this.#all = make("input", { type: "checkbox", onchange: () => this.#selectAll() });
    this.#count = make("span", { class: "muted", "aria-live": "polite" });
    this.#choices = make("div", { class: "choices", role: "group", "aria-label": question });
    this.#tools = make(
      "div",
      { class: "tools" },
      make("div", { class: "row wrap" }, make("label", { class: "tick" }, this.#all, " All"), this.#count, ...actions),
      make("div", { class: "row wrap label-as" }, make("span", { text: question }), this.#choices),
    );
    host.append(this.#tools, this.#grid);
  }

  /** The ids of the selected pictures. */
  get selected() {
    return this.#tiles.filter((tile) => this.#selected.has(tile.id)).map((tile) => tile.id);
  }

  /** Whether someone is selecting: nothing should move under the pointer then. */
  get busy() {
    return this.#selected.size > 0 || this.#grid.matches(":hover, :focus-within");
  }

  /** All pictures that are shown. */
  get tiles() {
    return this.#tiles;
  }

  /** Select none. */
  clear() {
    this.#selected.clear();
    this.#render();
  }

  /** @param {Tile[]} tiles those selected before stay selected */
  show(tiles) {
    this.#tiles = tiles;
    const there = new Set(tiles.map((tile) => tile.id));
    this.#selected = new Set([...this.#selected].filter((id) => there.has(id)));
    this.#render();
  }

  /**
   * Offer classes for the selected pictures.
   * @param {string[]} labels
   * @param {(label: string) => void} choose
   * @param {() => void} chooseNew
   */
  offer(labels, choose, chooseNew) {
    const items = [...labels.map((label) => ({ key: `=${label}`, label })), { key: "+", label: "New class" }];
    syncChildren(
      this.#choices,
      items,
      (item) => item.key,
      (item) =>
        make("button", {
          type: "button",
          class: "chip",
          onclick: () => (item.key === "+" ? chooseNew() : choose(item.label)),
        }),
      (button, item) => setText(button, item.label),
    );
  }

  #render() {
    const selectable = this.#selectable();
    syncChildren(
      this.#grid,
      this.#tiles,
      (tile) => `${tile.id} ${selectable}`,
      (tile) => this.#tile(tile, selectable),
      (element, tile) => {
        const box = element.querySelector("input");
        if (box) box.checked = this.#selected.has(tile.id);
        setText(element.querySelector(".title"), tile.title);
        setText(element.querySelector(".note"), tile.note);
      },
    );
    const count = this.#selected.size;
    this.#tools.hidden = !selectable || this.#tiles.length === 0;
    this.#tools.classList.toggle("idle", count === 0);
    for (const button of this.#tools.querySelectorAll("button")) button.disabled = count === 0;
    this.#all.checked = count > 0 && count === this.#tiles.length;
    this.#all.indeterminate = count > 0 && count < this.#tiles.length;
    const most = count === NAMED_AT_ONCE ? ", the maximum" : "";
    setText(this.#count, count ? `${counted(count, "picture")} selected${most}` : "Select pictures to label them");
  }

  #tile(/** @type {Tile} */ tile, /** @type {boolean} */ selectable) {
    const picture = tile.source
      ? make("img", { src: tile.source, alt: "", loading: this.#loading, decoding: "async", width: 112, height: 112 })
      : missing("no picture");
    picture.addEventListener("error", () => picture.replaceWith(missing("gone")));
    const words = [make("span", { class: "title" }), make("span", { class: "note" })];
    if (!selectable) return make("li", {}, make("div", { class: "tile" }, picture, ...words));
    const box = make("input", { type: "checkbox" });
    box.addEventListener("click", (/** @type {MouseEvent} */ event) =>
      this.#tick(tile.id, box.checked, event.shiftKey),
    );
    return make("li", {}, make("label", { class: "tile" }, box, picture, ...words));
  }

  #tick(/** @type {number} */ id, /** @type {boolean} */ on, /** @type {boolean} */ range) {
    const ids = this.#tiles.map((tile) => tile.id);
    const from = range && this.#anchor !== null ? ids.indexOf(this.#anchor) : -1;
    const to = ids.indexOf(id);
    const touched = from < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const one of touched) {
      if (on) this.#selected.add(one);
      else this.#selected.delete(one);
    }
    this.#anchor = id;
    this.#cap();
  }

  #selectAll() {
    this.#selected = new Set(this.#all.checked ? this.#tiles.map((tile) => tile.id) : []);
    this.#cap();
  }

  /** Select no more than one request may name, so that one undo reverses all of it. */
  #cap() {
    this.#selected = new Set([...this.#selected].slice(0, NAMED_AT_ONCE));
    this.#render();
  }
}

/** The placeholder of a missing picture. @param {string} text */
function missing(text) {
  return make("span", { class: "no-picture", text });
}
