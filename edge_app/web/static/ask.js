/** "What is this picture?": a picture is sent, the device decides on it and learns nothing. */

import { classify } from "./api.js";
import { byId, make } from "./dom.js";
import { droppable } from "./drop.js";
import { percent, sureness } from "./words.js";

const SHOWN = 3;

export class AskView {
  #toast;
  #asked = 0;
  #picture = byId("ask-picture");

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#toast = toast;
    const file = byId("ask-file");
    byId("ask-choose").addEventListener("click", () => file.click());
    file.addEventListener("change", async () => {
      const chosen = file.files[0];
      if (chosen) await this.#ask(chosen);
      file.value = ""; // so that the same file can be selected again
    });
    droppable(
      byId("ask"),
      (data) => data.files[0] && this.#ask(data.files[0]),
      () => device.may("view"),
    );
    this.#picture.addEventListener("error", () => (this.#picture.hidden = true)); // HEIC, which browsers do not show
    this.#picture.addEventListener("load", () => URL.revokeObjectURL(this.#picture.src));
  }

  /** @param {File} file */
  async #ask(file) {
    const asked = ++this.#asked;
    byId("ask-choose").disabled = true;
    const found = await this.#toast.attempt(() => classify(file));
    byId("ask-choose").disabled = false;
    if (asked !== this.#asked) return; // another picture was dropped meanwhile
    byId("ask-result").hidden = found === null;
    byId("ask-hint").hidden = found !== null;
    if (found) this.#show(file, found);
  }

  /** @param {File} file @param {import("./api.js").Classification} found */
  #show(file, found) {
    this.#picture.hidden = false;
    this.#picture.src = URL.createObjectURL(file);
    this.#picture.alt = file.name;
    const label = byId("ask-decision");
    label.textContent = found.label ?? "unknown";
    label.classList.toggle("unknown", found.label === null);
    byId("ask-words").textContent = words(found);
    const most = Object.entries(found.spikes).sort((one, other) => other[1] - one[1]);
    byId("ask-spikes").replaceChildren(
      ...most.slice(0, SHOWN).map(([name, spikes]) => make("li", { text: `${name}: ${spikes} spikes` })),
    );
  }
}

/** @param {import("./api.js").Classification} found */
function words(found) {
  if (found.label !== null) return `${sureness(found.confidence)} (${percent(found.confidence)})`;
  if (found.nearest === null) return "Nothing that was taught looks like it.";
  return `Too unlike what was taught; ${found.nearest} is the nearest.`;
}
