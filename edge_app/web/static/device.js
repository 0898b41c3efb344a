/** The page's copy of the device's state, and the connection that keeps it current. */

import * as api from "./api.js";
import { EventStream, PictureStream, backOff } from "./streams.js";

const LOOK_EVERY_MS = 2_000;
const SETTLE_MS = 250;

/**
 * Dispatches the events `state` (api.State), `classes` (api.ClassReport[]), `decision` (api.Decision), `role`,
 * `connection` (null, or an error message), `picture` ({open, reason}), and `examples`, `tray` and `history` when they
 * must be fetched again.
 */
export class Device extends EventTarget {
  /** @type {api.State | null} */
  state = null;
  /** @type {api.ClassReport[]} */
  classes = [];
  /** @type {api.Role | null} */
  role = null;

  /** @param {string} name @param {(detail: any) => void} listener */
  on(name, listener) {
    this.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {string} name @param {any} [detail] */
  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** @param {api.Role} needed */
  may(needed) {
    return api.may(this.role, needed);
  }
}

/** Polls the state and keeps the streams open; retries with increasing delays while the device does not answer. */
export class Connection {
  #device;
  #askToken;
  #pictures;
  #events;
  #wake = () => {};
  #up = false;
  #paused = false;
  #asked = 0;
  /** @type {Record<string, number>} */
  #timers = {};

  /**
   * @param {Device} device
   * @param {(sequence: number, jpeg: Blob) => void} frame
   * @param {() => Promise<void>} askToken resolves once someone has signed in
   */
  constructor(device, frame, askToken) {
    this.#device = device;
    this.#askToken = askToken;
    this.#pictures = new PictureStream(frame, (open, reason) => device.tell("picture", { open, reason }));
    const changed = () => this.#settle("classes", () => this.refreshClasses());
    const more = () => this.#settle("tray", () => device.tell("tray"));
    const visits = () => this.#settle("history", () => device.tell("history"));
    const missed = () => {
      changed();
      more();
      visits();
    };
    this.#events = new EventStream(missed, {
      decision: (decision) => device.tell("decision", decision),
      taught: changed,
      corrected: changed,
      health: () => this.retry(),
      tray: more,
      history: visits,
      missed,
    });
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => this.#seen());
  }

  /** Poll now instead of at the next interval. */
  retry() {
    this.#wake();
  }

  /** Stop or resume the streams. @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
    this.#seen();
  }

  /** Keep the state current; returns only when another page is loaded. */
  async run() {
    for (let attempt = 0; ;) {
      let wait = LOOK_EVERY_MS;
      try {
        const state = await api.getState();
        attempt = 0;
        this.#reached(state);
      } catch (error) {
        this.#down();
        if (error instanceof api.ApiError && error.status === 401) {
          await this.#askToken();
          continue;
        }
        // the place was removed or has another name: the page of the first one
        if (error instanceof api.ApiError && error.code === "unknown_place") return location.replace(location.pathname);
        this.#device.tell("connection", /** @type {Error} */ (error).message);
        wait = error instanceof api.ApiError && error.retryAfter ? error.retryAfter * 1000 : backOff(attempt++);
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, wait);
        this.#wake = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
      });
    }
  }

  /** Fetch the classes, and dispatch that examples may have changed. */
  async refreshClasses() {
    const asked = ++this.#asked;
    let classes;
    try {
      classes = await api.getClasses();
    } catch {
      return this.retry(); // the next poll reports the error
    }
    if (asked !== this.#asked) return; // a newer request was made meanwhile
    this.#device.classes = classes;
    this.#device.tell("classes", this.#device.classes);
    this.#device.tell("examples");
  }

  /** @param {api.State} state */
  #reached(state) {
    const first = !this.#up;
    this.#up = true;
    const device = this.#device;
    // the device was updated: load the new page
    if (device.state && device.state.version !== state.version) location.reload();
    const known = device.classes
      .map((report) => report.label)
      .sort()
      .join("\n");
    device.state = state;
    if (device.role !== state.role) {
      device.role = state.role;
      device.tell("role", state.role);
    }
    if (first) {
      device.tell("connection", null);
      this.#seen();
    }
    device.tell("state", state);
    if (first || [...state.classes].sort().join("\n") !== known) this.#settle("classes", () => this.refreshClasses());
  }

  #down() {
    this.#up = false;
    this.#pictures.stop();
    this.#events.stop();
  }

  /** Keep the streams open only while the page is visible: they cost the device work. */
  #seen() {
    if (this.#up && !document.hidden && !this.#paused) {
      this.#pictures.start();
      this.#events.start();
    } else {
      this.#pictures.stop();
      if (document.hidden || !this.#up) this.#events.stop();
    }
    if (!document.hidden) this.retry();
  }

  /** Run an action once after a burst of events. @param {string} name @param {() => void} action */
  #settle(name, action) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(action, SETTLE_MS);
  }
}
