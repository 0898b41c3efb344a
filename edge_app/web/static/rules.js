/** The rules: their sentences, when each fired last and why it does not fire; switches and tests. */

import { getRules, switchRule, testRule } from "./api.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { counted, timeText } from "./words.js";

export class RulesView {
  #device;
  #toast;
  #asking = false;
  /** Whether the device has rules or outputs; they come and go only with a restart. */
  #present = true;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    device.on("role", () => {
      this.#present = true;
      this.#refresh();
    });
    device.on("state", () => this.#refresh());
  }

  async #refresh() {
    if (!this.#device.may("administer")) {
      byId("rules").hidden = true;
      return;
    }
    if (this.#asking || !this.#present) return;
    this.#asking = true;
    try {
      this.#show(await getRules());
    } catch {
      // the connection says so; the next state asks again
    } finally {
      this.#asking = false;
    }
  }

  /** @param {import("./api.js").RuleStates} found */
  #show({ rules, outputs, webhooks }) {
    this.#present = rules.length + outputs.length > 0;
    byId("rules").hidden = !this.#present;
    syncChildren(byId("rule-list"), rules, (rule) => rule.name, (rule) => this.#made(rule), update);
    const parts = [
      ...outputs.map(({ name, on }) => `${name}: ${on ? "on" : "off"}`),
      ...webhooks.map((one) => webhookText(one)),
    ];
    syncChildren(byId("rule-parts"), parts, (text) => text, (text) => make("li", { text }), () => {});
  }

  /** @param {import("./api.js").Rule} rule */
  #made({ name }) {
    const box = make("input", { type: "checkbox", "aria-label": `${name} is on`, onchange: () => this.#switch(name, box) });
    return make(
      "li",
      { class: "rule" },
      make("h3", { text: name }),
      make(
        "div",
        { class: "row" },
        make("label", { class: "row" }, box, "On"),
        make("button", { type: "button", class: "quiet", text: "Test", "aria-label": `Test ${name}`, onclick: () => this.#test(name) }),
      ),
      make("p", { class: "sentence" }),
      make("p", { class: "reason muted" }),
    );
  }

  async #switch(/** @type {string} */ name, /** @type {any} */ box) {
    const found = await this.#toast.attempt(() => switchRule(name, box.checked));
    if (found) this.#show(found);
    else box.checked = !box.checked;
  }

  async #test(/** @type {string} */ name) {
    const found = await this.#toast.attempt(() => testRule(name));
    if (!found) return;
    this.#show(found);
    this.#toast.show(`Tested ${name}: its actions are carried out, marked as a test`);
  }
}

/**
 * @param {any} element
 * @param {import("./api.js").Rule} rule
 */
function update(element, { sentence, enabled, holding, fired, last_fired_ms, reason }) {
  setText(element.querySelector(".sentence"), sentence);
  const last = last_fired_ms === null ? "Not fired since the start" : `Fired ${counted(fired, "time")}, last at ${timeText(last_fired_ms)}`;
  setText(element.querySelector(".reason"), `${last}. Now: ${holding ? "the condition holds" : reason}.`);
  element.querySelector("input").checked = enabled;
}

/** @param {import("./api.js").Webhook} webhook */
function webhookText({ name, waiting, delivered, given_up, failure }) {
  const lost = given_up ? `, ${counted(given_up, "message")} given up` : "";
  return `${name}: ${counted(delivered, "message")} delivered, ${waiting} waiting${lost}${failure && ` (${failure})`}`;
}
