/** The streams of the device, pictures and events. Both reconnect by themselves. */

import { address, socketAddress } from "./api.js";

const SHORTEST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * Return the delay before attempt number `attempt` (from 0), in ms: doubled each time, with jitter so that many pages do
 * not reconnect at once.
 * @param {number} attempt
 */
export function backOff(attempt) {
  return Math.min(LONGEST_MS, SHORTEST_MS * 2 ** attempt) * (0.8 + 0.4 * Math.random());
}

/** A stream that is opened again after a delay when it closes. */
class Reconnecting {
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

  /** Call when data arrives. */
  received() {
    this.#attempt = 0;
  }

  /** Call when the stream has closed. */
  lost() {
    if (!this.#wanted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wanted && this.open(), backOff(this.#attempt++));
  }

  open() {}
  shut() {}
}

/** Pictures with their sequence numbers: 8 bytes big-endian, then a JPEG. */
export class PictureStream extends Reconnecting {
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
      this.received();
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

/**
 * The device's events, by name. Over a WebSocket, because a browser opens only six HTTP connections to a host, for all its
 * windows together; as server-sent events where a proxy does not pass WebSockets on.
 */
export class EventStream extends Reconnecting {
  /** @type {WebSocket | EventSource | null} */
  #source = null;
  #plain = false;
  #opened;
  #listeners;

  /**
   * @param {() => void} opened called at each opening: earlier events were missed
   * @param {Record<string, (data: any) => void>} listeners by the event's name
   */
  constructor(opened, listeners) {
    super();
    this.#opened = opened;
    this.#listeners = listeners;
  }

  open() {
    const source = this.#plain ? new EventSource(address("events")) : new WebSocket(socketAddress("events"));
    let opened = false;
    const closed = () => {
      if (this.#source !== source) return;
      this.shut();
      if (!opened) this.#plain = !this.#plain;
      this.lost();
    };
    source.onopen = () => {
      opened = true;
      this.#opened();
    };
    if (source instanceof WebSocket) {
      source.onmessage = ({ data }) => {
        const { event, data: value } = JSON.parse(data);
        this.#dispatch(event, value);
      };
      source.onclose = closed;
    } else {
      for (const name of Object.keys(this.#listeners)) {
        source.addEventListener(name, (event) => this.#dispatch(name, JSON.parse(event.data)));
      }
      source.onerror = closed; // the browser's own retry has no back-off, and gives up for good on some statuses
    }
    this.#source = source;
  }

  shut() {
    const source = this.#source;
    this.#source = null;
    source?.close();
  }

  /** @param {string} name @param {any} value */
  #dispatch(name, value) {
    this.received();
    this.#listeners[name]?.(value);
  }
}
