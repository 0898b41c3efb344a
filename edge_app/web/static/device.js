/** What the page knows of the device, and whom it tells; and the connection that keeps that knowledge fresh. */

import * as api from "./api.js";
import { EventStream, PictureStream, backOff } from "./streams.js";

const LOOK_EVERY_MS = 2_000;
const SETTLE_MS = 250;

/**
 * Tells, by name: `state` (api.State), `classes` (api.ClassReport[]), `decision` (api.Decision), `role`, `connection`
 * (null, or what is wrong), `picture` ({open, reason}), `examples` and `tray` (something changed: fetch them anew).
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

/** Asks for the state again and again, opens the streams while that works, and backs off while it does not. */
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
   * @param {() => Promise<void>} askToken resolves when someone has signed in
   */
  constructor(device, frame, askToken) {
    this.#device = device;
    this.#askToken = askToken;
    this.#pictures = new PictureStream(frame, (open, reason) => device.tell("picture", { open, reason }));
    const changed = () => this.#settle("classes", () => this.refreshClasses());
    const more = () => this.#settle("tray", () => device.tell("tray"));
    const missed = () => {
      changed();
      more();
    };
    this.#events = new EventStream(missed, {
      decision: (decision) => device.tell("decision", decision),
      taught: changed,
      corrected: changed,
      health: () => this.retry(),
      tray: more,
      missed,
    });
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => this.#seen());
  }

  /** Look at once instead of when it is due. */
  retry() {
    this.#wake();
  }

  /** Stop, or go on with, what moves on the page. @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
    this.#seen();
  }

  /** Keep the page up to date; never returns. */
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

  /** Fetch the classes, and let everyone know that examples may have changed. */
  async refreshClasses() {
    const asked = ++this.#asked;
    let classes;
    try {
      classes = await api.getClasses();
    } catch {
      return this.retry(); // the next look says what is wrong
    }
    if (asked !== this.#asked) return; // a newer answer is here or on its way
    this.#device.classes = classes;
    this.#device.tell("classes", this.#device.classes);
    this.#device.tell("examples");
  }

  /** @param {api.State} state */
  #reached(state) {
    const first = !this.#up;
    this.#up = true;
    const device = this.#device;
    if (device.state && device.state.version !== state.version) location.reload(); // it was updated: so must be the page
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

  /** Fetch pictures and events only while someone looks: they cost the device work. */
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

  /** Do it once things have settled: events come in bursts. @param {string} name @param {() => void} action */
  #settle(name, action) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(action, SETTLE_MS);
  }
}
