/** Export and import of classes, with progress. */

import { exportClasses, importClasses } from "./api.js";
import { askSome } from "./dialogs.js";
import { byId } from "./dom.js";
import { counted, percent } from "./words.js";

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
    const file = byId("import-file");
    byId("export").addEventListener("click", () => this.#export());
    byId("import").addEventListener("click", () => file.click());
    file.addEventListener("change", async () => {
      const chosen = file.files[0];
      if (chosen) await this.#import(chosen);
      file.value = ""; // so that the same file can be selected again
    });
    device.on("classes", (classes) => (byId("export").disabled = classes.length === 0));
  }

  async #export() {
    const choices = this.#device.classes.map((report) => report.label);
    const labels = await askSome("Export classes", { choices, confirm: "Export" });
    if (!labels) return;
    const some = labels.length < choices.length ? labels : [];
    const blob = await this.#transfer("Downloading", (progress) => exportClasses(some, progress));
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `edge-app-${new Date().toLocaleDateString("en-CA")}.zip`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    this.#toast.show(`Exported ${counted(labels.length, "class", "classes")} to ${link.download}`);
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
    const buttons = [byId("export"), byId("import")];
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
