/**
 * The device's HTTP API as functions. They throw ApiError when the device answers with an error, and Unreachable when it
 * does not answer.
 *
 * @typedef {"view" | "teach" | "administer"} Role
 * @typedef {{state: string, reopened: number}} CameraState
 * @typedef {{sequence: number, time_ms: number, label: string | null, confidence: number, margin: number,
 *   nearest: string | null, novelty: number, novelty_limit: number | null,
 *   spikes: Record<string, number>, first_spike: Record<string, number>, latency_ms: number, fresh: boolean}} Decision
 * @typedef {{version: string, uptime_s: number, camera: CameraState, fps: number | null,
 *   latency_ms: number | null, slowest_ms: number,
 *   temperature_c: number | null, slowed: boolean, dropped: number, learnt: number, rebuilding: boolean,
 *   rebuild: {done: number, total: number} | null, health: {ok: boolean, reasons: string[]}, role: Role, decision: Decision | null, classes: string[],
 *   history: "on" | "without pictures" | "off", history_stopped: string | null}} State
 * @typedef {{label: string, examples: number, taught: number, predicted: number, right: number, enough: boolean,
 *   confused_with: {label: string, count: number}[], advice: string}} ClassReport
 * @typedef {{strictness: number, right: number, right_rejected: number, wrong: number, wrong_rejected: number}} Preview
 * @typedef {{name: string, sentence: string, label: string, enabled: boolean, holding: boolean, fired: number,
 *   last_fired_ms: number | null, reason: string}} Rule
 * @typedef {{name: string, waiting: number, delivered: number, given_up: number, failure: string}} Webhook
 * @typedef {{rules: Rule[], outputs: {name: string, on: boolean}[], webhooks: Webhook[]}} RuleStates
 * @typedef {{strictness: number, novelty_limit: number | null, preview: Preview[]}} Strictness
 * @typedef {{label: string | null, confidence: number, nearest: string | null, novelty: number,
 *   novelty_limit: number | null, margin: number, spikes: Record<string, number>,
 *   first_spike: Record<string, number>}} Classification
 * @typedef {{count: number, first: {name: string, reason: string}[]}} NamedFiles
 * @typedef {{id: number, layout: string, classes: Record<string, number>, duplicates: NamedFiles, ambiguous: NamedFiles,
 *   unreadable: NamedFiles, left_out: NamedFiles, problem: string, received: number, expected: number}} UploadState
 * @typedef {{taught: Record<string, number>, duplicates: NamedFiles, unreadable: NamedFiles, left_out: NamedFiles,
 *   action: Action | null}} UploadTaught
 * @typedef {{id: number, kind: string, labels?: string[], examples?: number}} Action
 * @typedef {{id: number, label: string, time_ms: number, source: string, thumbnail: boolean, before: string | null}} Example
 * @typedef {{id: number, time_ms: number, label: string | null, confidence: number}} Moment
 * @typedef {{id: number, place: string, label: string | null, begin_ms: number, end_ms: number, seconds: number,
 *   frames: number, confidence: number, mean_confidence: number, runner_up: string | null, unsure: boolean, open: boolean,
 *   clock: "doubtful" | "unchecked" | "synchronised", picture: boolean, taught: string | null,
 *   example: number | null}} Visit
 * @typedef {{label: string | null, unknown: boolean | null, place: string | null, unsure: boolean | null,
 *   from_ms: number | null, before_ms: number | null}} VisitFilter
 * @typedef {{name: string, camera: string, group: string, region: number[], rotation: number, mirror: boolean,
 *   max_fps: number}} PlaceValues `region`: x, y, width, height as fractions of the camera's picture
 * @typedef {PlaceValues & {label: string | null, confidence: number, classes: number}} PlaceState
 * @typedef {{places: PlaceState[], cameras: {name: string, width: number | null, height: number | null}[],
 *   groups: string[], restarting: boolean}} PlaceStates
 * @typedef {{begin_ms: number, label: string | null, visits: number, seconds: number}} VisitCount
 */

/** Name of the place that the page is about; null: the first one. */
export const PLACE = new URLSearchParams(location.search).get("place");
const ROOT = new URL("api/v1/", document.baseURI);
/** Below it are the operations of that place. */
const BASE = PLACE ? new URL(`places/${encodeURIComponent(PLACE)}/`, ROOT) : ROOT;
const PATIENCE_MS = 20_000;
const SENDING_MS = 120_000;
const READING_MS = 3_600_000;
const RETRY_MS = 300;
const EXAMPLES_AT_ONCE = 500;
/** Most examples or visits in one request. */
export const NAMED_AT_ONCE = 200;
const ROLES = ["view", "teach", "administer"];

/** The device answered with an error. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, message?: string}} error
   * @param {number} retryAfter seconds to wait, 0 when the device gave none
   */
  constructor(status, error, retryAfter) {
    super(error.message ?? `The device answered with status ${status}.`);
    this.status = status;
    this.code = error.code ?? "";
    this.retryAfter = retryAfter;
  }
}

/** The device did not answer: it, or the network, is down. */
export class Unreachable extends Error {}

/**
 * @param {Role | null} role
 * @param {Role} needed
 */
export function may(role, needed) {
  return role !== null && ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/**
 * @param {string} path
 * @param {Record<string, string | number | boolean | string[] | null>} [query] null values are left out
 * @param {URL} [base] what the path is below: the place's operations, or the device's
 */
export function address(path, query = {}, base = BASE) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== null) url.searchParams.append(name, String(one));
  }
  return url;
}

/** The same address for a WebSocket. @param {string} path */
export function socketAddress(path) {
  const url = address(path);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** An Idempotency-Key: the device carries out a request with the same key once. */
function newKey() {
  // crypto.randomUUID exists on secure origins only, and a device may be used without TLS
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Response | XMLHttpRequest} response
 * @param {string} text its body
 */
function errorFrom(response, text) {
  const header =
    response instanceof Response ? response.headers.get("Retry-After") : response.getResponseHeader("Retry-After");
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // a proxy's own error page: only the status is known
  }
  return new ApiError(response.status, error, Number(header) || 0);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{query?: Record<string, any>, body?: any, file?: Blob, key?: string, patience?: number, base?: URL}} [options]
 *   `file` is sent as it is; `patience` in ms; `base` as for `address`
 * @returns {Promise<any>}
 */
async function call(method, path, { query, body, file, key, patience = PATIENCE_MS, base } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (method !== "GET") headers["X-Edge-App"] = "1"; // pages of other sites cannot send it
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (file !== undefined) headers["Content-Type"] = "application/octet-stream";
  if (key) headers["Idempotency-Key"] = key;
  let response, text;
  try {
    response = await fetch(address(path, query, base), {
      method,
      headers,
      body: body === undefined ? file : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(patience),
    });
    text = await response.text();
  } catch (error) {
    throw new Unreachable(`The device is not responding (${/** @type {Error} */ (error).message}).`);
  }
  if (!response.ok) throw errorFrom(response, text);
  return text ? JSON.parse(text) : null;
}

/**
 * Send a change, and once more when no answer came: its key keeps it from being carried out twice.
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @param {Record<string, any>} [query]
 */
async function change(method, path, body, query) {
  const options = { body, query, key: newKey() };
  try {
    return await call(method, path, options);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return call(method, path, options);
  }
}

/** @returns {Promise<State>} */
export const getState = () => call("GET", "state");

/**
 * Fetch the heat map of a frame for the leading column.
 * @param {number} frame
 * @returns {Promise<{frame: number, label: string, cells: number[][]}>} rows of the picture, from the top
 */
export const getHeatMap = (frame) => call("GET", "picture/heat-map", { query: { frame } });

/**
 * Fetch the taught examples that a frame resembles most.
 * @param {number} frame
 * @returns {Promise<{frame: number, examples: {id: number, label: string, similarity: number}[]}>}
 */
export const getSimilar = (frame) => call("GET", "picture/similar", { query: { frame } });

/**
 * Ask for the decision on a picture; nothing is taught.
 * @param {File} file
 * @returns {Promise<Classification>}
 */
export const classify = (file) => call("POST", "classify", { file, patience: SENDING_MS });

/** @returns {Promise<ClassReport[]>} */
export const getClasses = async () => (await call("GET", "classes")).classes;

/** @param {string} token @returns {Promise<{role: Role}>} */
export const signIn = (token) => call("POST", "session", { body: { token } });

export const signOut = () => call("DELETE", "session");

// Class names are sent in the query: "." and ".." cannot be sent in a path, and some proxies reject %2F there.

/**
 * Teach the frame with that sequence number, or the newest for null.
 * @param {string} label
 * @param {number | null} frame
 * @returns {Promise<{example: number, label: string, before: {label: string | null}, frame: number, advice: {kind: string, text: string}[]}>}
 */
export const teach = (label, frame) => change("POST", "classes/teach", { frame }, { label });

/** @returns {Promise<Strictness>} */
export const getStrictness = () => call("GET", "strictness");

/** @param {number} strictness 0..1 @returns {Promise<Strictness>} */
export const setStrictness = (strictness) => call("PUT", "strictness", { body: { strictness } });

/** @returns {Promise<PlaceStates>} */
export const getPlaces = () => call("GET", "places", { base: ROOT });

/** @param {PlaceValues[]} places all of them @returns {Promise<PlaceStates>} */
export const setPlaces = (places) => call("PUT", "places", { body: { places }, base: ROOT });

/** Fetch the newest frame of a camera, whole. @param {string} camera */
export async function getCameraPicture(camera) {
  const path = `cameras/${encodeURIComponent(camera)}/picture.jpg`;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const response = await fetch(address(path, { max_side: 640 }, ROOT), { cache: "no-store", signal });
  if (!response.ok) throw errorFrom(response, await response.text());
  return response.blob();
}

/** @returns {Promise<RuleStates>} */
export const getRules = () => call("GET", "rules");

/** @param {string} rule @param {boolean} enabled @returns {Promise<RuleStates>} */
export const switchRule = (rule, enabled) => call("PUT", "rules", { body: { rule, enabled } });

/** Carry out a rule's actions as a test. @param {string} rule @returns {Promise<RuleStates>} */
export const testRule = (rule) => call("POST", "rules/test", { body: { rule } });

/** @returns {Promise<Action>} */
export const undo = async () => (await change("POST", "undo")).action;

/** @param {string} label @param {string} to @returns {Promise<Action>} */
export const renameClass = async (label, to) => (await change("POST", "classes/rename", { to }, { label })).action;

/** @param {string} label @param {string} into @returns {Promise<Action>} */
export const mergeClass = async (label, into) => (await change("POST", "classes/merge", { into }, { label })).action;

/** @param {string} label @returns {Promise<Action>} */
export const forgetClass = async (label) => (await change("DELETE", "classes", undefined, { label })).action;

/**
 * Fetch the newest examples.
 * @param {string | null} label null for all classes
 * @param {number} count at most so many
 * @returns {Promise<{examples: Example[], total: number}>}
 */
export async function getExamples(label, count) {
  const examples = [];
  for (;;) {
    const limit = Math.min(count - examples.length, EXAMPLES_AT_ONCE);
    const page = await call("GET", "examples", { query: { label, offset: examples.length, limit } });
    examples.push(...page.examples);
    if (examples.length >= Math.min(count, page.total) || !page.examples.length) return { examples, total: page.total };
  }
}

/** @param {number} id */
export const thumbnailAddress = (id) => address(`examples/${id}/thumbnail.jpg`).href;

/** @param {number[]} ids @param {string} label @returns {Promise<Action>} */
export const relabel = async (ids, label) => (await change("POST", "examples/relabel", { ids, label })).action;

/** @param {number[]} ids @returns {Promise<Action>} */
export const forgetExamples = async (ids) => (await change("POST", "examples/forget", { ids })).action;

/** @returns {Promise<Moment[]>} */
export const getTray = async () => (await call("GET", "tray")).moments;

/** @param {number[]} ids @param {string} label */
export const teachMoments = (ids, label) => change("POST", "tray/teach", { ids, label });

/** @param {number[]} ids */
export const dismissMoments = (ids) => change("POST", "tray/dismiss", { ids });

/**
 * Fetch a page of visits, the newest first.
 * @param {VisitFilter & {unsure_first?: boolean | null, cursor?: string | null, limit?: number}} query
 * @returns {Promise<{visits: Visit[], cursor: string | null}>}
 */
export const getVisits = (query) => call("GET", "visits", { query });

/** @returns {Promise<{places: string[], labels: string[]}>} places and labels of all visits */
export const getVisitNames = () => call("GET", "visits/names");

/**
 * Fetch visits and time per label for each hour or day of this browser's time zone.
 * @param {{from_ms: number, before_ms: number, by: "hour" | "day", label: string | null, unknown: boolean | null,
 *   place: string | null}} query
 * @returns {Promise<VisitCount[]>}
 */
export const getVisitCounts = async (query) => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (await call("GET", "visits/counts", { query: { zone, ...query } })).counts;
};

/** @returns {Promise<{visits: number[]}[]>} ids of unknown visits that look alike, the most typical first */
export const getVisitGroups = async () => (await call("GET", "visits/groups", { patience: SENDING_MS })).groups;

/** @param {number} id */
export const visitAddress = (id) => address(`visits/${id}/picture.jpg`).href;

/** @param {"csv" | "json"} format @param {VisitFilter} filter */
export const visitsAddress = (format, filter) => address(`visits/export.${format}`, filter).href;

/** @param {number[]} ids @param {string} label */
export const teachVisits = (ids, label) => change("POST", "visits/teach", { ids, label });

/**
 * Delete a visit, those of a filter, or all.
 * @param {Partial<VisitFilter> & {id?: number, everything?: boolean | null}} query
 * @returns {Promise<number>} how many there were
 */
export const deleteVisits = async (query) => (await change("DELETE", "visits", undefined, query)).deleted;

// Pictures that are taught together: an upload is opened, files are sent one after another, then it is taught as a whole.

/** @returns {Promise<UploadState>} */
export const openUpload = () => call("POST", "uploads");

/** @param {number} id @returns {Promise<UploadState>} */
export const getUpload = (id) => call("GET", `uploads/${id}`);

/** @param {number} id */
export const closeUpload = (id) => call("DELETE", `uploads/${id}`);

/**
 * Send a picture, or a table of a data set.
 * @param {number} id
 * @param {string} name path in the data set
 * @param {File} file
 * @param {string | null} label its class; null: the layout of the data set tells it
 */
export const addFile = (id, name, file, label) =>
  call("POST", `uploads/${id}/files`, { file, query: { name, label }, patience: SENDING_MS });

/**
 * Send a zip of pictures; resolves when the device has read all of them.
 * @param {number} id
 * @param {File} file
 * @param {string | null} label class of all pictures; null: the layout tells it
 * @returns {Promise<UploadState>}
 */
export const addArchive = (id, file, label) =>
  call("POST", `uploads/${id}/archive`, { file, query: { label }, patience: READING_MS });

/** @param {number} id @returns {Promise<UploadTaught>} */
export const teachUpload = (id) => call("POST", `uploads/${id}/teach`, { key: newKey(), patience: READING_MS });

/**
 * Download an export and report the progress.
 * @param {string[]} labels empty for all classes
 * @param {(share: number | null) => void} progress 0..1, null while it is unknown
 * @returns {Promise<Blob>}
 */
export const exportClasses = (labels, progress) => download(address("export", { label: labels }), progress);

/**
 * Download a backup of the device.
 * @param {(share: number | null) => void} progress
 */
export const downloadBackup = (progress) => download(address("backup"), progress);

/**
 * @param {URL} url
 * @param {(share: number | null) => void} progress
 * @returns {Promise<Blob>}
 */
async function download(url, progress) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store" });
    if (!response.ok) throw errorFrom(response, await response.text());
    const total = Number(response.headers.get("Content-Length"));
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const parts = /** @type {BlobPart[]} */ ([]);
    for (let got = 0; ;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts, { type: "application/zip" });
      parts.push(/** @type {Uint8Array<ArrayBuffer>} */ (value));
      got += value.length;
      progress(total ? got / total : null);
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new Unreachable("The connection was lost during the download. Try again.");
  }
}

/**
 * Upload an exported file. Uses XMLHttpRequest because fetch does not report upload progress.
 * @param {File} file
 * @param {(share: number | null) => void} progress 0..1 during the upload, null while the device imports it
 * @returns {Promise<{added: number, skipped: number}>}
 */
export const importClasses = (file, progress) => sendZip(address("import"), file, progress);

/**
 * Upload a backup; the device checks it and, unless `dryRun`, restarts with it.
 * @param {File} file
 * @param {boolean} dryRun
 * @param {(share: number | null) => void} progress
 * @returns {Promise<{created_ms: number, program: string, encoder: string, classes: Record<string, number>,
 *   replaced: Record<string, number>, config: string, restarting: boolean}>}
 */
export const restoreBackup = (file, dryRun, progress) =>
  sendZip(address("restore", { dry_run: String(dryRun) }), file, progress);

/**
 * @param {URL} url
 * @param {File} file
 * @param {(share: number | null) => void} progress
 * @returns {Promise<any>}
 */
function sendZip(url, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Content-Type", "application/zip");
    request.setRequestHeader("X-Edge-App", "1");
    request.setRequestHeader("Idempotency-Key", newKey());
    request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : null);
    request.upload.onload = () => progress(null);
    request.onload = () => {
      if (request.status < 400) resolve(JSON.parse(request.responseText));
      else reject(errorFrom(request, request.responseText));
    };
    request.onerror = () =>
      reject(new Unreachable("The connection was lost during the upload. Nothing was changed."));
    request.send(file);
  });
}
