/** The classes as large buttons: tap or hold to teach, or press the keys 1 to 9. Shows how well each is recognised. */

import { teach } from "./api.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { Press, holdable } from "./hold.js";
import { counted, standing } from "./words.js";

const RUN_SHOWN_MS = 2_500;
const KEYS_KEPT = "edge-app.keys";

export class Classes {
  #device;
  #picture;
  #toast;
  #announcer;
  #list = byId("class-list");
  #paused = () => false;
  /** Examples taught in the current run of presses, by class. @type {Map<string, {count: number, timer: number}>} */
  #runs = new Map();
  /** @type {string | null} */
  #now = null;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./live.js").LivePicture} picture
   * @param {import("./messages.js").Toast} toast
   * @param {import("./messages.js").Announcer} announcer
   * @param {{paused: () => boolean, undo: () => void, open: (label: string) => void}} options
   */
  constructor(device, picture, toast, announcer, { paused, undo, open }) {
    this.#device = device;
    this.#picture = picture;
    this.#toast = toast;
    this.#announcer = announcer;
    this.#paused = paused;
    this.#open = open;
    device.on("classes", () => this.#render());
    device.on("role", () => this.#render());
    device.on("decision", (decision) => this.#mark(decision.label));
    byId("new-class").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#teachNew();
    });
    this.#useKeys(undo);
  }

  /** Update the list, for example after a pause. */
  refresh() {
    this.#render();
  }

  #open;

  #render() {
    const { classes } = this.#device;
    const teaching = this.#device.may("teach");
    const empty = byId("classes-empty");
    empty.hidden = classes.length > 0;
    const hint = teaching ? " Show an object to the camera and enter a name for it." : "";
    setText(empty, `Nothing taught yet.${hint}`);
    syncChildren(
      this.#list,
      classes,
      (report) => `${teaching ? "t" : "v"} ${report.label}`,
      (report) => this.#item(report.label, teaching),
      (item, report, index) => this.#update(item, report, index),
    );
    for (const input of byId("new-class").querySelectorAll("input, button")) input.disabled = this.#paused();
  }

  #item(/** @type {string} */ label, /** @type {boolean} */ teaching) {
    const face = [
      make("kbd", { "aria-hidden": "true" }),
      teaching ? make("span", { class: "unseen", text: "Teach " }) : null,
      make("span", { class: "name", text: label }),
      make("span", { class: "run" }),
      make("span", { class: "count" }),
      make("span", { class: "unseen unit" }),
    ];
    const button = make(
      teaching ? "button" : "div",
      { class: "class-button", type: teaching ? "button" : null },
      ...face,
    );
    if (teaching) {
      holdable(
        button,
        () => this.#picture.sequence,
        (frame) => this.#teach(label, frame),
        (down) => {
          button.classList.toggle("down", down);
        },
      );
    }
    return make(
      "li",
      { class: "class", data: { label } },
      button,
      make(
        "div",
        {
          class: "meter",
          role: "meter",
          "aria-valuemin": "0",
          "aria-valuemax": "100",
          "aria-label": `${label}: recognised`,
        },
        make("span"),
      ),
      make("p", { class: "standing" }),
      make("p", { class: "advice" }),
      make(
        "button",
        { type: "button", class: "quiet more", onclick: () => this.#open(label) },
        "Examples",
        make("span", { class: "unseen", text: ` of ${label}` }),
      ),
    );
  }

  #update(
    /** @type {HTMLElement} */ item,
    /** @type {import("./api.js").ClassReport} */ report,
    /** @type {number} */ index,
  ) {
    const find = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (item.querySelector(selector));
    const share = report.predicted ? report.right / report.predicted : 0;
    setText(find("kbd"), index < 9 ? String(index + 1) : "");
    setText(find(".count"), String(report.examples));
    setText(find(".unit"), report.examples === 1 ? " example" : " examples");
    const run = this.#runs.get(report.label);
    setText(find(".run"), run ? `+${run.count}` : "");
    if (this.#paused()) find(".class-button").setAttribute("aria-disabled", "true");
    else find(".class-button").removeAttribute("aria-disabled");
    const meter = find(".meter");
    meter.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    meter.setAttribute("aria-valuetext", standing(report));
    /** @type {HTMLElement} */ (meter.firstElementChild).style.setProperty("inline-size", `${share * 100}%`);
    meter.classList.toggle("low", !report.enough);
    setText(find(".standing"), standing(report));
    find(".standing").classList.toggle("enough", report.enough);
    setText(find(".advice"), report.advice);
    item.classList.toggle("now", report.label === this.#now);
  }

  #mark(/** @type {string | null} */ label) {
    if (label === this.#now) return;
    this.#now = label;
    for (const item of this.#list.children) item.classList.toggle("now", item.dataset.label === label);
  }

  /** Teach one example; return false when no more should follow. */
  async #teach(/** @type {string} */ label, /** @type {number | null} */ frame, said = "") {
    const done = await this.#toast.attempt(() => teach(label, frame));
    if (done) this.#count(label);
    const advice = (done?.advice ?? []).map(({ text }) => `${label}: ${text}`);
    if (done && (said || advice.length)) this.#toast.show([said, ...advice].filter(Boolean).join("; "), { undo: true });
    return done !== null;
  }

  #count(/** @type {string} */ label) {
    const run = this.#runs.get(label) ?? { count: 0, timer: 0 };
    clearTimeout(run.timer);
    run.count += 1;
    run.timer = setTimeout(() => {
      this.#runs.delete(label);
      this.#render();
    }, RUN_SHOWN_MS);
    this.#runs.set(label, run);
    const report = this.#device.classes.find((one) => one.label === label);
    if (report) report.examples += 1; // shown at once; the device's count follows
    this.#render();
    this.#announcer.say(`${label}: ${counted(run.count, "example")} taught`);
  }

  async #teachNew() {
    const input = byId("new-class-name");
    const label = input.value.trim();
    if (!label || this.#paused()) return;
    if (await this.#teach(label, this.#picture.sequence, `Taught ${label}: 1 example`)) input.value = "";
  }

  #useKeys(/** @type {() => void} */ undo) {
    const toggle = byId("keys");
    toggle.checked = localStorage.getItem(KEYS_KEPT) !== "off";
    toggle.addEventListener("change", () => localStorage.setItem(KEYS_KEPT, toggle.checked ? "on" : "off"));
    /** @type {{key: string, press: Press} | null} */
    let held = null;
    const end = (/** @type {"release" | "cancel"} */ how) => {
      held?.press[how]();
      held = null;
    };
    document.addEventListener("keydown", (event) => {
      if (!toggle.checked || event.repeat || !this.#device.may("teach") || isTyping(event)) return;
      if (event.key === "u" || event.key === "U") return undo();
      const report = /^[1-9]$/.test(event.key) ? this.#device.classes[Number(event.key) - 1] : undefined;
      if (!report || held || this.#paused()) return;
      const press = new Press(
        () => this.#picture.sequence,
        (frame) => this.#teach(report.label, frame),
        true,
      );
      held = { key: event.key, press };
    });
    document.addEventListener("keyup", (event) => event.key === held?.key && end("release"));
    addEventListener("blur", () => end("cancel"));
  }
}

/** Whether a key press belongs to a form field, a dialog or the browser. @param {KeyboardEvent} event */
function isTyping(event) {
  const target = /** @type {Element} */ (event.target);
  return (
    event.ctrlKey ||
    event.altKey ||
    event.metaKey ||
    document.querySelector("dialog[open]") !== null ||
    target.closest?.("input:not([type=checkbox]), select, textarea") !== null
  );
}
