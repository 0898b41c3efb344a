/** Export and import of classes, backup and restore of the device, with progress. */

import { downloadBackup, exportClasses, importClasses, restoreBackup } from "./api.js";
import { askSome, askTable } from "./dialogs.js";
import { byId } from "./dom.js";
import { counted, percent, timeText } from "./words.js";

export class Transfer {
  #device;
  #toast;
  #box = byId("transfer");
  #bar = byId("transfer-bar");
  #text = byId("transfer-text");

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    byId("export").addEventListener("click", () => this.#export());
    byId("backup").addEventListener("click", () => this.#backUp());
    this.#choose("import", (file) => this.#import(file));
    this.#choose("restore", (file) => this.#restore(file));
    device.on("classes", (classes) => (byId("export").disabled = classes.length === 0));
  }

  /** Let a button choose a file. */
  #choose(/** @type {string} */ button, /** @type {(file: File) => Promise<void>} */ chosen) {
    const input = byId(`${button}-file`);
    byId(button).addEventListener("click", () => input.click());
    input.addEventListener("change", async () => {
      if (input.files[0]) await chosen(input.files[0]);
      input.value = ""; // so that the same file can be selected again
    });
  }

  async #backUp() {
    const blob = await this.#transfer("Downloading", downloadBackup);
    if (blob) this.#toast.show(`Backed up to ${save(blob, "edge-app-backup")}`);
  }

  async #restore(/** @type {File} */ file) {
    const found = await this.#transfer("Uploading", (progress) => restoreBackup(file, true, progress));
    if (!found) return;
    const labels = [...new Set([...Object.keys(found.classes), ...Object.keys(found.replaced)])];
    const count = (/** @type {Record<string, number>} */ classes, /** @type {string} */ label) =>
      counted(classes[label] ?? 0, "example");
    const rows = labels.map((label) => [label, count(found.replaced, label), count(found.classes, label)]);
    const words = [
      `A backup of ${timeText(found.created_ms)}, with the encoder ${found.encoder}. The table shows what is stored now, and what the backup holds.`,
      "What was taught here is replaced, and kept aside on the device's disk. The device restarts. The configuration and the tokens of this device stay as they are.",
    ];
    if (!(await askTable("Restore this backup?", rows, words, "Restore"))) return;
    const done = await this.#transfer("Uploading", (progress) => restoreBackup(file, false, progress));
    if (done) this.#toast.show("The backup is being restored. The device restarts.");
  }

  async #export() {
    const choices = this.#device.classes.map((report) => report.label);
    const labels = await askSome("Export classes", { choices, confirm: "Export" });
    if (!labels) return;
    const some = labels.length < choices.length ? labels : [];
    const blob = await this.#transfer("Downloading", (progress) => exportClasses(some, progress));
    if (!blob) return;
    this.#toast.show(`Exported ${counted(labels.length, "class", "classes")} to ${save(blob, "edge-app")}`);
  }

  /** @param {File} file */
  async #import(file) {
    const done = await this.#transfer("Uploading", (progress) => importClasses(file, progress));
    if (!done) return;
    const known = done.skipped ? `, ${counted(done.skipped, "duplicate")} skipped` : "";
    this.#toast.show(`Imported ${counted(done.added, "example")}${known}`, { undo: done.added > 0 });
  }

  /**
   * @template T
   * @param {string} verb
   * @param {(progress: (share: number | null) => void) => Promise<T>} action
   */
  async #transfer(verb, action) {
    const buttons = ["export", "import", "backup", "restore"].map(byId);
    for (const button of buttons) button.disabled = true;
    this.#box.hidden = false;
    this.#progress(verb, 0);
    const result = await this.#toast.attempt(() => action((share) => this.#progress(verb, share)));
    this.#box.hidden = true;
    for (const button of buttons) button.disabled = false;
    return result;
  }

  #progress(/** @type {string} */ verb, /** @type {number | null} */ share) {
    if (share === null) {
      this.#bar.removeAttribute("value");
      this.#text.textContent = "Processing";
    } else {
      this.#bar.value = share;
      this.#text.textContent = `${verb}: ${percent(share)}`;
    }
  }
}

/**
 * Save a zip under a name with today's date; return the name.
 * @param {Blob} blob
 * @param {string} name
 */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}-${new Date().toLocaleDateString("en-CA")}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return link.download;
}
