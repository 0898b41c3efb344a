/** Messages: a toast at the bottom of the page, and announcements for screen readers. */

import { Unreachable } from "./api.js";
import { byId } from "./dom.js";

const SHOWN_MS = 8_000;
const SPOKEN_EVERY_MS = 3_000;

/** A message at the bottom of the page, with an Undo button where there is something to undo. */
export class Toast {
  #box = byId("toast");
  #text = byId("toast-text");
  #undo = byId("toast-undo");
  #timer = 0;

  /** @param {() => void} undo runs when Undo is pressed */
  constructor(undo) {
    this.#undo.addEventListener("click", undo);
    byId("toast-close").addEventListener("click", () => this.#hide());
    for (const event of ["pointerenter", "focusin"]) this.#box.addEventListener(event, () => clearTimeout(this.#timer));
    for (const event of ["pointerleave", "focusout"]) this.#box.addEventListener(event, () => this.#hideLater());
  }

  /**
   * @param {string} text
   * @param {{undo?: boolean, bad?: boolean}} [options]
   */
  show(text, { undo = false, bad = false } = {}) {
    this.#text.textContent = text;
    this.#undo.hidden = !undo;
    this.#box.classList.toggle("bad", bad);
    this.#box.hidden = false;
    this.#hideLater();
  }

  #hideLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#hide(), SHOWN_MS);
  }

  #hide() {
    this.#box.hidden = true;
  }

  /**
   * Run an action, and show the error when it fails.
   * @template T
   * @param {() => Promise<T>} action
   * @returns {Promise<T | null>} null when it failed
   */
  async attempt(action) {
    try {
      return await action();
    } catch (error) {
      const words =
        error instanceof Unreachable ? "The device is not responding. The change may not have been made." : null;
      this.show(words ?? /** @type {Error} */ (error).message, { bad: true });
      return null;
    }
  }
}

/** Announces text to screen readers: the newest only, and at most every few seconds. */
export class Announcer {
  #element = byId("spoken");
  #last = 0;
  #timer = 0;
  #said = "";

  /** @param {string} text */
  say(text) {
    clearTimeout(this.#timer);
    if (text === this.#said) return;
    const wait = Math.max(0, this.#last + SPOKEN_EVERY_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#last = performance.now();
      this.#said = text;
      this.#element.textContent = text;
    }, wait);
  }
}
