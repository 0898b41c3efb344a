/** Buttons that can be tapped or held, by finger, mouse or key. */

const HELD_AFTER_MS = 450;
const EVERY_MS = 350;

/**
 * One press of a button. `once(mark)` is called once for a tap, and repeatedly while the button is held, until it
 * returns false; each call is awaited, so that presses do not pile up on a slow network. `mark` is the result of
 * `look()` when the button went down, and of a new call each time after that.
 */
export class Press {
  #held = false;
  #over = false;
  #timer;
  /** @type {{mark: any} | null} */
  #first;
  #look;
  #once;

  /**
   * @param {() => any} look returns the current mark
   * @param {(mark: any) => Promise<boolean>} once
   * @param {boolean} atOnce act when the button goes down; for a finger, which may start to scroll, when it is lifted
   */
  constructor(look, once, atOnce) {
    this.#look = look;
    this.#once = once;
    this.#first = { mark: look() };
    if (atOnce) this.#takeFirst();
    this.#timer = setTimeout(() => this.#hold(), HELD_AFTER_MS);
  }

  /** The button was released. */
  release() {
    if (!this.#over && !this.#held) this.#takeFirst();
    this.cancel();
  }

  /** Cancel the press, unless it has acted already. */
  cancel() {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #takeFirst() {
    const first = this.#first;
    this.#first = null;
    return first ? this.#once(first.mark) : Promise.resolve(true);
  }

  async #hold() {
    this.#held = true;
    let going = await this.#takeFirst();
    while (going && !this.#over) {
      const begun = performance.now();
      going = await this.#once(this.#look());
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, EVERY_MS - (performance.now() - begun))));
    }
  }
}

/**
 * Make a button respond to taps and holds.
 * @param {HTMLElement} button
 * @param {() => any} look
 * @param {(mark: any) => Promise<boolean>} once
 * @param {(down: boolean) => void} [changed] called when the button goes down and up
 */
export function holdable(button, look, once, changed = () => {}) {
  /** @type {Press | null} */
  let press = null;
  let handled = false; // a click follows the pointer events, and must not count again

  const begin = (/** @type {boolean} */ atOnce) => {
    if (press || button.getAttribute("aria-disabled") === "true") return;
    press = new Press(look, once, atOnce);
    handled = true;
    changed(true);
  };
  const end = (/** @type {"release" | "cancel"} */ how) => {
    press?.[how]();
    if (press) changed(false);
    press = null;
  };

  button.addEventListener("pointerdown", (event) => {
    handled = false;
    if (event.button === 0) begin(event.pointerType !== "touch");
  });
  button.addEventListener("pointerup", () => end("release"));
  button.addEventListener("pointerleave", () => end("cancel"));
  button.addEventListener("pointercancel", () => end("cancel"));
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (!event.repeat) begin(true);
  });
  button.addEventListener("keyup", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      end("release");
      handled = false;
    }
  });
  button.addEventListener("blur", () => end("cancel"));
  button.addEventListener("click", (event) => {
    // assistive technology clicks without a pointer or a key
    if (event.detail === 0 && !handled) {
      begin(true);
      end("release");
    }
    handled = false;
  });
}
