/** The live picture, the decision and the device's status. */

import { byId, make, setText, syncChildren } from "./dom.js";
import { percent, sureness } from "./words.js";

/** Draws the newest picture, and knows its sequence number. */
export class LivePicture {
  #canvas = byId("picture");
  #note = byId("picture-note");
  #decoding = false;
  /** @type {{sequence: number, jpeg: Blob} | null} */
  #next = null;
  /** @type {number | null} */
  #sequence = null;

  /** Sequence number of the frame on the screen, null before the first. */
  get sequence() {
    return this.#sequence;
  }

  /** Show a frame; while one is decoded, only the newest of those that follow waits. */
  async show(/** @type {number} */ sequence, /** @type {Blob} */ jpeg) {
    this.#next = { sequence, jpeg };
    if (this.#decoding) return;
    this.#decoding = true;
    while (this.#next) {
      const frame = this.#next;
      this.#next = null;
      try {
        const image = await createImageBitmap(frame.jpeg);
        this.#draw(frame.sequence, image);
        image.close();
      } catch {
        // a damaged picture: the previous one stays, with its number
      }
    }
    this.#decoding = false;
  }

  /** Show why the picture is not live; "" when it is. @param {string} text */
  note(text) {
    setText(this.#note, text);
    this.#note.hidden = !text;
    this.#canvas.classList.toggle("stale", text !== "");
  }

  /** @param {number} sequence @param {ImageBitmap} image */
  #draw(sequence, image) {
    if (this.#canvas.width !== image.width || this.#canvas.height !== image.height) {
      this.#canvas.width = image.width;
      this.#canvas.height = image.height;
    }
    this.#canvas.getContext("2d").drawImage(image, 0, 0);
    this.#sequence = sequence;
    this.#canvas.dataset.sequence = String(sequence);
  }
}

/** The decision as a word, and its confidence. */
export class DecisionView {
  #label = byId("decision");
  #meter = byId("confidence");
  #words = byId("confidence-words");
  #announcer;

  /** @param {import("./messages.js").Announcer} announcer */
  constructor(announcer) {
    this.#announcer = announcer;
  }

  /** @param {import("./api.js").Decision | null} decision @param {number} classes the number of classes */
  show(decision, classes) {
    const known = decision?.label ?? null;
    const text = known ?? (classes === 0 ? "Nothing taught yet" : "Unknown");
    const share = known === null || !decision ? 0 : decision.confidence;
    setText(this.#label, text);
    this.#label.classList.toggle("unknown", known === null);
    this.#meter.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    this.#meter.setAttribute("aria-valuetext", known === null ? "unknown" : `${percent(share)}, ${sureness(share)}`);
    this.#meter.firstElementChild.style.setProperty("inline-size", `${share * 100}%`);
    this.#meter.classList.toggle("low", share < 0.6);
    if (known !== null) setText(this.#words, `${percent(share)}, ${sureness(share)}`);
    else if (decision?.nearest) setText(this.#words, `Not like anything taught; nearest: ${decision.nearest}.`);
    else setText(this.#words, classes === 0 ? "Teach a class to start." : "No class recognised.");
    this.#announcer.say(known === null ? text : `${known}, ${sureness(share)}`);
  }
}

/**
 * Show frames per second, latency, temperature and health.
 * @param {import("./api.js").State} state
 */
export function showVitals(state) {
  const vitals = [["health", state.health.ok ? "OK" : "Problem", "", state.health.reasons.join("; ")]];
  if (state.fps !== null) vitals.push(["fps", state.fps.toFixed(1), "frames/s", "Decisions per second"]);
  if (state.latency_ms !== null)
    vitals.push(["latency", Math.round(state.latency_ms).toString(), "ms", "Time from picture to decision"]);
  if (state.temperature_c !== null)
    vitals.push(["temperature", Math.round(state.temperature_c).toString(), "°C", "Processor temperature"]);
  if (state.slowed) vitals.push(["slowed", "Slowed", "too hot", "The processor is too hot: fewer decisions per second"]);
  if (state.rebuilding) {
    const far = state.rebuild?.total ? percent(state.rebuild.done / state.rebuild.total) : "";
    vitals.push(["rebuilding", "Relearning", far, "Decisions do not yet reflect the last correction"]);
  }
  syncChildren(
    byId("vitals"),
    vitals,
    ([name]) => name,
    ([name]) => make("li", { class: `vital ${name}` }, make("b"), make("span")),
    (element, [name, value, unit, title]) => {
      setText(element.children[0], value);
      setText(element.children[1], unit);
      element.title = title;
      if (name === "health") element.classList.toggle("bad", !state.health.ok);
    },
  );
}
