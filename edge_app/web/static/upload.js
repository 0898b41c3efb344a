/** Pictures, folders and zips that are dropped or chosen: sent one after another, looked at, and taught as one action. */

import * as api from "./api.js";
import { askTable } from "./dialogs.js";
import { byId } from "./dom.js";
import { droppable } from "./drop.js";
import { counted } from "./words.js";

const LOOK_MS = 1_000;
const ZIP = /\.(zip|tm)$/i;
const TABLE = /\.(csv|tsv|json|labels|txt)$/i;

/**
 * A file with its path in the data set.
 * @typedef {{name: string, file: File}} NamedFile
 */

export class Upload {
  #device;
  #toast;
  #box = byId("upload");
  #bar = byId("upload-bar");
  #text = byId("upload-text");
  #stopped = false;
  #busy = false;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   * @param {() => string | null} shown the class whose examples are shown
   */
  constructor(device, toast, shown) {
    this.#device = device;
    this.#toast = toast;
    const may = () => device.may("teach");
    droppable(document.body, (data) => this.#drop(data, null), may);
    droppable(byId("class-list"), (data, target) => this.#drop(data, labelOf(target)), may);
    this.#choose("upload-folder", "upload-folder-input", () => null);
    this.#choose("upload-zip", "upload-zip-input", () => null);
    this.#choose("class-add", "class-add-input", shown);
    byId("upload-stop").addEventListener("click", () => {
      this.#stopped = true;
      byId("upload-stop").disabled = true;
    });
  }

  #choose(/** @type {string} */ button, /** @type {string} */ input, /** @type {() => string | null} */ label) {
    const files = byId(input);
    byId(button).addEventListener("click", () => files.click());
    files.addEventListener("change", async () => {
      const chosen = [...files.files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
      if (chosen.length) await this.teach(chosen, label());
      files.value = ""; // so that the same files can be selected again
    });
  }

  async #drop(/** @type {DataTransfer} */ data, /** @type {string | null} */ label) {
    const entries = [...data.items].map((item) => item.webkitGetAsEntry()); // before the first await: then it is empty
    const plain = [...data.files].map((file) => ({ name: file.name, file }));
    const found = await this.#toast.attempt(async () => {
      if (!entries.every((entry) => entry)) return plain;
      const lists = [];
      for (const entry of entries) lists.push(await filesIn(/** @type {FileSystemEntry} */ (entry)));
      return lists.flat();
    });
    if (found?.length) await this.teach(found, label);
  }

  /**
   * Send files, show what would be taught, and teach it.
   * @param {NamedFile[]} files
   * @param {string | null} label the class of all; null: the layout tells it
   */
  async teach(files, label) {
    if (this.#busy) {
      this.#toast.show("Other pictures are being sent. Wait until they are taught.", { bad: true });
      return;
    }
    this.#busy = true;
    try {
      await this.#toast.attempt(() => this.#teach(files, label));
    } finally {
      this.#busy = false;
      this.#box.hidden = true;
    }
  }

  async #teach(/** @type {NamedFile[]} */ files, /** @type {string | null} */ label) {
    const { id } = await api.openUpload();
    let open = true;
    try {
      this.#stopped = false;
      byId("upload-stop").disabled = false;
      this.#box.hidden = false;
      await this.#send(id, files, label);
      if (this.#stopped) return;
      const plan = await api.getUpload(id);
      if (plan.problem) throw new Error(plan.problem);
      if (label === null && !(await this.#agreed(plan))) return;
      this.#progress("Storing", null);
      const done = await api.teachUpload(id);
      open = false;
      this.#tell(done);
    } finally {
      if (open) await api.closeUpload(id).catch(() => {}); // the device closes it by itself when it is left alone
    }
  }

  async #send(/** @type {number} */ id, /** @type {NamedFile[]} */ files, /** @type {string | null} */ label) {
    const ordered = [...files].sort((one, other) => rank(one.name) - rank(other.name));
    for (const [index, { name, file }] of ordered.entries()) {
      if (this.#stopped) return;
      this.#progress(`Sending ${index + 1} of ${ordered.length}`, index / ordered.length);
      if (ZIP.test(name) && !name.includes("/")) await this.#sendArchive(id, file, label);
      else await api.addFile(id, name, file, label);
    }
  }

  async #sendArchive(/** @type {number} */ id, /** @type {File} */ file, /** @type {string | null} */ label) {
    const look = setInterval(async () => {
      if (this.#stopped) return api.closeUpload(id).catch(() => {});
      const { received, expected } = await api.getUpload(id).catch(() => ({ received: 0, expected: 0 }));
      if (expected) this.#progress(`Reading ${received} of ${expected}`, received / expected);
    }, LOOK_MS);
    try {
      await api.addArchive(id, file, label);
    } catch (error) {
      if (!this.#stopped) throw error;
    } finally {
      clearInterval(look);
    }
  }

  /** Show what would be taught; return whether to do it. @param {api.UploadState} plan */
  #agreed(plan) {
    const rows = Object.entries(plan.classes).map(([label, count]) => [label, counted(count, "picture")]);
    const total = Object.values(plan.classes).reduce((sum, count) => sum + count, 0);
    return askTable("Teach these classes?", rows, remarks(plan), total ? `Teach ${counted(total, "picture")}` : "Close");
  }

  #tell(/** @type {api.UploadTaught} */ done) {
    const labels = Object.keys(done.taught);
    const total = Object.values(done.taught).reduce((sum, count) => sum + count, 0);
    const what = labels.length === 1 ? labels[0] : counted(labels.length, "class", "classes");
    const words = total ? [`Taught ${what}: ${counted(total, "example")}.`] : ["Nothing new to teach."];
    this.#toast.show([...words, ...remarks(done)].join(" "), { undo: total > 0 });
  }

  #progress(/** @type {string} */ text, /** @type {number | null} */ share) {
    this.#text.textContent = text;
    if (share === null) this.#bar.removeAttribute("value");
    else this.#bar.value = share;
  }
}

/**
 * Describe what is not taught.
 * @param {{duplicates: api.NamedFiles, unreadable: api.NamedFiles, left_out: api.NamedFiles}} found
 */
function remarks({ duplicates, unreadable, left_out }) {
  const words = [];
  if (duplicates.count) words.push(`${counted(duplicates.count, "duplicate")} left out.`);
  if (unreadable.count) words.push(`${counted(unreadable.count, "picture")} cannot be read: ${names(unreadable)}.`);
  if (left_out.count) words.push(`${counted(left_out.count, "other file")} left out: ${names(left_out)}.`);
  return words;
}

/** @param {api.NamedFiles} files */
function names({ count, first }) {
  const shown = first.slice(0, 3).map(({ name }) => name);
  return shown.join(", ") + (count > shown.length ? ", ..." : "");
}

/** Tables first: they tell how the pictures are to be read. @param {string} name */
const rank = (name) => (TABLE.test(name) ? 0 : 1);

/** The class on whose button something is dropped. @param {Element} target */
function labelOf(target) {
  return /** @type {HTMLElement | null} */ (target.closest(".class"))?.dataset.label ?? null;
}

/**
 * List the files of a dropped file or folder.
 * @param {FileSystemEntry} entry
 * @returns {Promise<NamedFile[]>}
 */
async function filesIn(entry) {
  if (entry.isFile) {
    const one = /** @type {FileSystemFileEntry} */ (entry);
    const file = await new Promise((resolve, reject) => one.file(resolve, reject));
    return [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at a time
    if (!some.length) return found;
    for (const inner of some) found.push(...(await filesIn(inner)));
  }
}
