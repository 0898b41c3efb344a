/** Rectangles on a picture as fractions of its width and height, and how pointer and keys change them. */

/** @typedef {number[]} Region x, y, width, height */
/** @typedef {[number, number]} Point */

/** Smallest width and height. */
const LEAST = 0.02;
const STEP = 0.01;
/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const clamped = (/** @type {number} */ value, /** @type {number} */ low, /** @type {number} */ high) =>
  Math.min(Math.max(value, low), high);

const rounded = (/** @type {Region} */ region) => region.map((part) => Math.round(part * 1e4) / 1e4);

/** Return the region moved, as far as the picture goes. @param {Region} region @param {Point} by @returns {Region} */
export function moved([x, y, width, height], [right, down]) {
  return rounded([clamped(x + right, 0, 1 - width), clamped(y + down, 0, 1 - height), width, height]);
}

/** Return the region with its lower right corner moved. @param {Region} region @param {Point} by @returns {Region} */
export function sized([x, y, width, height], [right, down]) {
  return rounded([x, y, clamped(width + right, LEAST, 1 - x), clamped(height + down, LEAST, 1 - y)]);
}

/** Return the region between two points; null while it is too small. @param {Point} one @param {Point} other */
export function between(one, other) {
  const [x, y] = [Math.min(one[0], other[0]), Math.min(one[1], other[1])];
  const [width, height] = [Math.abs(one[0] - other[0]), Math.abs(one[1] - other[1])];
  return width < LEAST || height < LEAST ? null : rounded([x, y, width, height]);
}

/**
 * Return the region as a key changes it: arrows move it, with Shift they size it. Null: the key does not.
 * @param {Region} region
 * @param {KeyboardEvent} event
 */
export function byKey(region, { key, shiftKey }) {
  const step = ARROWS[key];
  return step ? (shiftKey ? sized : moved)(region, step) : null;
}

/** Return where the pointer is on an element, as fractions. @param {Element} element @param {PointerEvent} event */
function pointOn(element, { clientX, clientY }) {
  const box = element.getBoundingClientRect();
  return /** @type {Point} */ ([
    clamped((clientX - box.left) / box.width, 0, 1),
    clamped((clientY - box.top) / box.height, 0, 1),
  ]);
}

/**
 * Follow the pointer from where it went down until it is lifted.
 * @param {HTMLElement} element the picture
 * @param {PointerEvent} down
 * @param {(from: Point, to: Point) => void} follow
 */
export function drag(element, down, follow) {
  const from = pointOn(element, down);
  const ended = new AbortController();
  const options = { signal: ended.signal };
  element.setPointerCapture(down.pointerId);
  const mine = (/** @type {PointerEvent} */ event) => event.pointerId === down.pointerId;
  element.addEventListener("pointermove", (event) => mine(event) && follow(from, pointOn(element, event)), options);
  for (const end of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"]))
    element.addEventListener(end, (event) => mine(event) && ended.abort(), options);
}

/** Show an element at a region, smaller ones above larger ones. @param {HTMLElement} element @param {Region} region */
export function put(element, region) {
  element.style.setProperty("z-index", String(Math.round(1000 * (1 - region[2] * region[3]))));
  ["left", "top", "width", "height"].forEach((name, at) => element.style.setProperty(name, `${region[at] * 100}%`));
}

/** Describe a region for those who do not see it. @param {Region} region */
export function spoken(region) {
  const [x, y, width, height] = region.map((part) => `${Math.round(part * 100)}%`);
  return `${x} from the left, ${y} from the top, ${width} wide, ${height} high`;
}
