/** What the device sends by itself: pictures over a WebSocket, events over server-sent events. Both come back alone. */

import { address, socketAddress } from "./api.js";

const SHORTEST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * How long to wait before try number `attempt` (from 0): doubled each time, spread so that many pages do not come at once.
 * @param {number} attempt
 */
export function backOff(attempt) {
  return Math.min(LONGEST_MS, SHORTEST_MS * 2 ** attempt) * (0.8 + 0.4 * Math.random());
}

/** Something that is kept open, and opened again after a while when it closes. */
class Kept {
  #wanted = false;
  #attempt = 0;
  #timer = 0;

  start() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    this.open();
  }

  stop() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.shut();
  }

  /** To be called when it works. */
  well() {
    this.#attempt = 0;
  }

  /** To be called when it has closed. */
  lost() {
    if (!this.#wanted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wanted && this.open(), backOff(this.#attempt++));
  }

  open() {}
  shut() {}
}

/** Pictures, each with its sequence number: 8 bytes big-endian, then a JPEG. */
export class PictureStream extends Kept {
  /** @type {WebSocket | null} */
  #socket = null;
  #frame;
  #state;

  /**
   * @param {(sequence: number, jpeg: Blob) => void} frame
   * @param {(open: boolean, reason: string) => void} state
   */
  constructor(frame, state) {
    super();
    this.#frame = frame;
    this.#state = state;
  }

  open() {
    const socket = new WebSocket(socketAddress("live"));
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (!(data instanceof ArrayBuffer) || data.byteLength < 10) return;
      this.well();
      this.#state(true, "");
      this.#frame(
        Number(new DataView(data).getBigUint64(0)),
        new Blob([new Uint8Array(data, 8)], { type: "image/jpeg" }),
      );
    };
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#state(false, event.reason);
      this.lost();
    };
    this.#socket = socket;
  }

  shut() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}

/** Events, as the device names them. */
export class EventStream extends Kept {
  /** @type {EventSource | null} */
  #source = null;
  #opened;
  #listeners;

  /**
   * @param {() => void} opened told at each opening: what happened before it was missed
   * @param {Record<string, (data: any) => void>} listeners by the event's name
   */
  constructor(opened, listeners) {
    super();
    this.#opened = opened;
    this.#listeners = listeners;
  }

  open() {
    const source = new EventSource(address("events"));
    source.onopen = () => {
      this.well();
      this.#opened();
    };
    source.onerror = () => {
      if (this.#source !== source) return;
      // the browser's own retry has no back-off, and gives up for good after some answers
      this.shut();
      this.lost();
    };
    for (const [name, listener] of Object.entries(this.#listeners)) {
      source.addEventListener(name, (event) => listener(JSON.parse(event.data)));
    }
    this.#source = source;
  }

  shut() {
    this.#source?.close();
    this.#source = null;
  }
}
