/** The slider for when a decision is unknown, and what each position would have done to the person's own examples. */

import { getStrictness, setStrictness } from "./api.js";
import { byId, setText } from "./dom.js";
import { rejections } from "./words.js";

export class StrictnessView {
  #device;
  #toast;
  #slider = byId("strictness");
  #words = byId("strictness-words");
  /** @type {import("./api.js").Preview[]} */
  #previews = [];
  #moving = false;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    device.on("role", () => (this.#slider.disabled = !device.may("administer")));
    device.on("classes", () => this.#fetch());
    this.#slider.addEventListener("input", () => {
      this.#moving = true;
      this.#tell();
    });
    this.#slider.addEventListener("change", () => this.#set());
  }

  async #fetch() {
    try {
      this.#show(await getStrictness());
    } catch {
      // the connection says so; the next change of the classes asks again
    }
  }

  async #set() {
    const found = await this.#toast.attempt(() => setStrictness(Number(this.#slider.value)));
    this.#moving = false;
    if (found) this.#show(found);
    else this.#fetch();
  }

  /** @param {import("./api.js").Strictness} found */
  #show({ strictness, preview }) {
    this.#previews = preview;
    if (!this.#moving) this.#slider.value = String(strictness);
    this.#tell();
  }

  #tell() {
    const value = Number(this.#slider.value);
    const near = (/** @type {import("./api.js").Preview} */ one) => Math.abs(one.strictness - value);
    const preview = [...this.#previews].sort((a, b) => near(a) - near(b))[0];
    const text = preview ? rejections(preview) : "";
    setText(this.#words, text);
    this.#slider.setAttribute("aria-valuetext", `${value}. ${text}`);
  }
}
