/** The tray: pictures of visits of which the device was not sure, to be labelled together. */

import { ApiError, dismissMoments, getTray, visitAddress, teachMoments } from "./api.js";
import { byId, make, setText } from "./dom.js";
import { askName } from "./dialogs.js";
import { PictureGrid } from "./selection.js";
import { counted, percent } from "./words.js";

const EMPTY = {
  on: "Pictures that the device was not sure about appear here for you to label.",
  "without pictures": "This device keeps no pictures ([history] pictures), so there are none to label.",
  off: "This device keeps no history ([history] enabled), so there are no pictures to label.",
};

export class Tray {
  #device;
  #toast;
  #grid;
  #asked = 0;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    this.#grid = new PictureGrid(byId("tray-grid"), {
      name: "Uncertain pictures",
      question: "These are",
      selectable: () => device.may("teach"),
      loading: "eager",
      actions: [make("button", { type: "button", class: "quiet", text: "Dismiss", onclick: () => this.#dismiss() })],
    });
    device.on("tray", () => this.#grid.busy || this.#refresh());
    for (const left of ["pointerleave", "focusout"]) {
      byId("tray-grid").addEventListener(left, () => setTimeout(() => this.#grid.busy || this.#refresh()));
    }
    device.on("classes", () => this.#offer());
  }

  async #refresh() {
    const kept = this.#device.state?.history;
    if (!this.#device.may("teach") || !kept) return;
    setText(byId("tray-empty"), EMPTY[kept]);
    if (kept === "off") return;
    const asked = ++this.#asked;
    let moments;
    try {
      moments = await getTray();
    } catch {
      return; // the connection reports the error
    }
    if (asked !== this.#asked) return;
    byId("tray-empty").hidden = moments.length > 0;
    setText(byId("tray-count"), moments.length ? counted(moments.length, "picture") : "");
    this.#grid.show(
      moments.map(({ id, label, confidence }) => ({
        id,
        source: visitAddress(id),
        title: label ?? "unknown",
        note: label === null ? "" : `not sure: ${percent(confidence)}`,
      })),
    );
    this.#offer();
  }

  #offer() {
    const labels = this.#device.classes.map((report) => report.label);
    this.#grid.offer(
      labels,
      (label) => this.#teach(label),
      () => this.#teachNew(),
    );
    this.#grid.show(this.#grid.tiles);
  }

  async #teach(/** @type {string} */ label) {
    const done = await this.#toast.attempt(() => this.#teachRemaining(this.#grid.selected, label));
    if (done) {
      const gone = done.gone ? `, ${counted(done.gone, "picture")} no longer in the tray` : "";
      this.#toast.show(`Taught ${label}: ${counted(done.taught, "example")}${gone}`, { undo: done.taught > 0 });
    }
    this.#done();
  }

  /** Teach entries. Some may have been taught or deleted since they were shown. */
  async #teachRemaining(/** @type {number[]} */ ids, /** @type {string} */ label) {
    try {
      await teachMoments(ids, label);
      return { taught: ids.length, gone: 0 };
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      const there = new Set((await getTray()).map((moment) => moment.id));
      const left = ids.filter((id) => there.has(id));
      if (!left.length || left.length === ids.length) throw error;
      await teachMoments(left, label);
      return { taught: left.length, gone: ids.length - left.length };
    }
  }

  async #teachNew() {
    const label = await askName("New class", [], { label: "Class name", confirm: "Teach" });
    if (label) await this.#teach(label);
  }

  async #dismiss() {
    const ids = this.#grid.selected;
    await this.#toast.attempt(() => dismissMoments(ids));
    this.#done();
  }

  #done() {
    this.#grid.clear();
    byId("tray").focus({ preventScroll: true });
    this.#refresh();
  }
}
