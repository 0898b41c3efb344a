/** The stored examples of each class: view, move or delete them; rename, merge or forget a class. */

import * as api from "./api.js";
import { askChoice, askName, askSure } from "./dialogs.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { PictureGrid } from "./selection.js";
import { counted, timeText } from "./words.js";

const PAGE = 24;
const UNDOABLE = "Undo restores everything exactly as it was.";

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
      name: "Examples",
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

  /** Show a class's examples and scroll to them. @param {string} label */
  open(label) {
    this.#select.value = label;
    this.#turnTo();
    byId("gallery").focus({ preventScroll: true });
    byId("gallery").scrollIntoView({ block: "start" });
  }

  /** The class that is shown, null for all. @returns {string | null} */
  get label() {
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
    const one = this.label !== null;
    byId("class-actions").hidden = !one || !this.#device.may("administer");
    byId("class-add").hidden = !one || !this.#device.may("teach");
    byId("class-merge").disabled = this.#device.classes.length < 2;
  }

  async #refresh() {
    this.#allow();
    const asked = ++this.#asked;
    let page;
    try {
      page = await api.getExamples(this.label, this.#shown);
    } catch {
      return; // the connection reports the error
    }
    if (asked !== this.#asked) return; // another class was selected meanwhile
    const { examples, total } = page;
    const all = this.label === null;
    setText(byId("gallery-count"), total ? counted(total, "example") : "");
    byId("gallery-empty").hidden = total > 0;
    setText(byId("gallery-empty"), "Every example appears here. You can move examples to another class or delete them.");
    this.#more.hidden = examples.length >= total;
    this.#grid.show(
      examples.map((example) => ({
        id: example.id,
        source: example.thumbnail ? api.thumbnailAddress(example.id) : null,
        title: all ? example.label : timeText(example.time_ms),
        note: noteOf(example),
      })),
    );
  }

  async #relabel(/** @type {string} */ label) {
    const ids = this.#grid.selected;
    if (await this.#toast.attempt(() => api.relabel(ids, label))) {
      this.#toast.show(`Moved ${counted(ids.length, "example")} to ${label}`, { undo: true });
    }
    this.#done();
  }

  async #relabelNew() {
    const label = await askName("New class", [], { label: "Class name", confirm: "Move" });
    if (label) await this.#relabel(label);
  }

  async #forgetExamples() {
    const ids = this.#grid.selected;
    if (await this.#toast.attempt(() => api.forgetExamples(ids))) {
      this.#toast.show(`Deleted ${counted(ids.length, "example")}`, { undo: true });
    }
    this.#done();
  }

  async #rename() {
    const label = this.label;
    if (!label) return;
    const to = await askName(`Rename ${label}`, ["Its examples and everything learnt from them are kept."], {
      label: "New name",
      value: label,
      confirm: "Rename",
    });
    if (!to || to === label) return;
    if (await this.#toast.attempt(() => api.renameClass(label, to))) {
      this.#toast.show(`Renamed ${label} to ${to}`, { undo: true });
    }
    this.#done();
  }

  async #merge() {
    const label = this.label;
    if (!label) return;
    const count = counted(this.#examplesOf(label), "example");
    const into = await askChoice(
      `Merge ${label}`,
      (choice) => [`The ${count} of ${label} will move to ${choice}, and ${label} will no longer be a class.`, UNDOABLE],
      { label: "Merge into", choices: this.#others(label), confirm: "Merge" },
    );
    if (!into) return;
    if (await this.#toast.attempt(() => api.mergeClass(label, into))) {
      this.#toast.show(`Merged ${label} into ${into}`, { undo: true });
    }
    this.#done();
  }

  async #forgetClass() {
    const label = this.label;
    if (!label) return;
    const count = counted(this.#examplesOf(label), "example");
    const sure = await askSure(
      `Forget ${label}?`,
      [`This removes ${count}. The device will decide as if ${label} had never been taught.`, UNDOABLE],
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
  if (example.before && example.before !== example.label) return `recognised as ${example.before}`;
  return example.source.replace(/ #[0-9a-f]{16}$/, ""); // without the hash of the Idempotency-Key
}
