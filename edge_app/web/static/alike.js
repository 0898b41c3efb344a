/** Unknown things that look alike: one name teaches many. */

import { getVisitGroups, teachVisits, visitAddress } from "./api.js";
import { askClass } from "./dialogs.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { counted } from "./words.js";

const PICTURES = 6;

export class Alike {
  #device;
  #toast;
  #host = byId("alike");
  #asked = 0;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    // only when asked for: comparing hundreds of pictures takes the device's time
    this.#host.addEventListener("toggle", () => this.#refresh());
    device.on("examples", () => this.#refresh());
  }

  async #refresh() {
    if (!this.#host.open || !this.#device.may("teach")) return;
    const asked = ++this.#asked;
    const groups = await this.#toast.attempt(getVisitGroups);
    if (!groups || asked !== this.#asked) return;
    setText(byId("alike-empty"), groups.length ? counted(groups.length, "group") : "No unknown things look alike.");
    syncChildren(
      byId("alike-groups"),
      groups,
      ({ visits }) => visits.join(" "),
      ({ visits }) => this.#group(visits),
      () => {},
    );
  }

  #group(/** @type {number[]} */ visits) {
    const pictures = visits
      .slice(0, PICTURES)
      .map((id) => make("img", { src: visitAddress(id), alt: "", width: 72, height: 72 }));
    return make(
      "li",
      { class: "alike-group" },
      make("p", { text: `These ${visits.length} look alike: what is it?` }),
      make("div", { class: "pictures" }, ...pictures),
      make("button", {
        type: "button",
        class: "primary",
        text: `Name all ${visits.length}`,
        onclick: () => this.#name(visits),
      }),
    );
  }

  async #name(/** @type {number[]} */ visits) {
    const labels = this.#device.classes.map((report) => report.label);
    const words = `All ${visits.length} pictures become examples of one class. Undo takes them back together.`;
    const label = await askClass("What is it?", [words], labels);
    if (!label) return;
    if (await this.#toast.attempt(() => teachVisits(visits, label))) {
      this.#toast.show(`Taught ${label}: ${counted(visits.length, "example")}`, { undo: true });
    }
    this.#host.querySelector("summary").focus({ preventScroll: true });
    await this.#refresh();
  }
}
