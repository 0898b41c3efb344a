/** What was taught, class by class: look, move to another class, delete; and what can be done with a class as a whole. */

import * as api from "./api.js";
import { askChoice, askName, askSure } from "./dialogs.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { PictureGrid } from "./selection.js";
import { counted, moment } from "./words.js";

const PAGE = 24;
const UNDOABLE = "Undo brings all of it back, exactly as it was.";

export class Gallery {
  #device;
  #toast;
  #grid;
  #select = byId("gallery-class");
  #more = byId("gallery-more");
  #shown = PAGE;
  #asked = 0;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    this.#grid = new PictureGrid(byId("gallery-grid"), {
      name: "Pictures taught",
      question: "Move to",
      selectable: () => device.may("teach"),
      actions: [
        make("button", { type: "button", class: "danger", text: "Delete", onclick: () => this.#forgetExamples() }),
      ],
    });
    device.on("classes", () => this.#offer());
    device.on("examples", () => this.#refresh());
    device.on("role", () => this.#refresh());
    this.#select.addEventListener("change", () => this.#turnTo());
    this.#more.addEventListener("click", () => {
      this.#shown += PAGE;
      this.#refresh();
    });
    byId("class-rename").addEventListener("click", () => this.#rename());
    byId("class-merge").addEventListener("click", () => this.#merge());
    byId("class-forget").addEventListener("click", () => this.#forgetClass());
  }

  /** Show a class's pictures, and go there. @param {string} label */
  open(label) {
    this.#select.value = label;
    this.#turnTo();
    byId("gallery").focus({ preventScroll: true });
    byId("gallery").scrollIntoView({ block: "start" });
  }

  /** The class on show, null for all. @returns {string | null} */
  get #label() {
    return this.#select.value || null;
  }

  #turnTo() {
    this.#shown = PAGE;
    this.#grid.clear();
    this.#refresh();
  }

  #offer() {
    const labels = this.#device.classes.map((report) => report.label);
    syncChildren(
      this.#select,
      ["", ...labels],
      (label) => `=${label}`,
      (label) => make("option", { value: label, text: label || "All classes" }),
      () => {},
    );
    this.#grid.offer(
      labels,
      (label) => this.#relabel(label),
      () => this.#relabelNew(),
    );
    this.#grid.show(this.#grid.tiles);
    this.#allow();
  }

  #allow() {
    const one = this.#label !== null;
    byId("class-actions").hidden = !one || !this.#device.may("administer");
    byId("class-merge").disabled = this.#device.classes.length < 2;
  }

  async #refresh() {
    this.#allow();
    const asked = ++this.#asked;
    let page;
    try {
      page = await api.getExamples(this.#label, this.#shown);
    } catch {
      return; // the connection says what is wrong
    }
    if (asked !== this.#asked) return; // another class was chosen meanwhile
    const { examples, total } = page;
    const all = this.#label === null;
    setText(byId("gallery-count"), total ? counted(total, "picture") : "");
    byId("gallery-empty").hidden = total > 0;
    setText(byId("gallery-empty"), "Each example that is taught appears here, to look at or to put right.");
    this.#more.hidden = examples.length >= total;
    this.#grid.show(
      examples.map((example) => ({
        id: example.id,
        source: example.thumbnail ? api.thumbnailAddress(example.id) : null,
        title: all ? example.label : moment(example.time_ms),
        note: noteOf(example),
      })),
    );
  }

  async #relabel(/** @type {string} */ label) {
    const ids = this.#grid.selected;
    if (await this.#toast.attempt(() => api.relabel(ids, label))) {
      this.#toast.show(`Moved ${counted(ids.length, "picture")} to ${label}`, { undo: true });
    }
    this.#done();
  }

  async #relabelNew() {
    const label = await askName("New class", [], { label: "What are they?", confirm: "Move there" });
    if (label) await this.#relabel(label);
  }

  async #forgetExamples() {
    const ids = this.#grid.selected;
    if (await this.#toast.attempt(() => api.forgetExamples(ids))) {
      this.#toast.show(`Deleted ${counted(ids.length, "picture")}`, { undo: true });
    }
    this.#done();
  }

  async #rename() {
    const label = this.#label;
    if (!label) return;
    const to = await askName(`Rename ${label}`, ["Its pictures and all that was learnt of it stay."], {
      label: "New name",
      value: label,
      confirm: "Rename",
    });
    if (!to || to === label) return;
    if (await this.#toast.attempt(() => api.renameClass(label, to))) {
      this.#toast.show(`${label} is now called ${to}`, { undo: true });
    }
    this.#done();
  }

  async #merge() {
    const label = this.#label;
    if (!label) return;
    const count = counted(this.#examplesOf(label), "example");
    const into = await askChoice(
      `Merge ${label}`,
      (choice) => [`The ${count} of ${label} will belong to ${choice}, and ${label} is no longer a class.`, UNDOABLE],
      { label: "Merge into", choices: this.#others(label), confirm: "Merge" },
    );
    if (!into) return;
    if (await this.#toast.attempt(() => api.mergeClass(label, into))) {
      this.#toast.show(`${label} is part of ${into} now`, { undo: true });
    }
    this.#done();
  }

  async #forgetClass() {
    const label = this.#label;
    if (!label) return;
    const count = counted(this.#examplesOf(label), "example");
    const sure = await askSure(
      `Forget ${label}?`,
      [`Its ${count} will go, and the device decides as if ${label} had never been taught.`, UNDOABLE],
      "Forget",
    );
    if (!sure) return;
    if (await this.#toast.attempt(() => api.forgetClass(label))) {
      this.#toast.show(`Forgot ${label} (${count})`, { undo: true });
    }
    this.#done();
  }

  #examplesOf(/** @type {string} */ label) {
    return this.#device.classes.find((report) => report.label === label)?.examples ?? 0;
  }

  #others(/** @type {string} */ label) {
    return this.#device.classes.map((report) => report.label).filter((other) => other !== label);
  }

  #done() {
    this.#grid.clear();
    byId("gallery").focus({ preventScroll: true });
  }
}

/** @param {api.Example} example */
function noteOf(example) {
  if (example.before && example.before !== example.label) return `was taken for ${example.before}`;
  return example.source.replace(/ #[0-9a-f]{16}$/, ""); // the mark of a request is for programs
}
