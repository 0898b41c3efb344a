/** Texts that are made of data. */

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/**
 * @param {number} confidence 0..1
 * @returns {string} the confidence in words
 */
export function sureness(confidence) {
  if (confidence >= 0.95) return "very sure";
  if (confidence >= 0.8) return "sure";
  if (confidence >= 0.6) return "fairly sure";
  if (confidence >= 0.4) return "not sure";
  return "guessing";
}

/**
 * @param {number} share 0..1
 */
export function percent(share) {
  return `${Math.round(share * 100)}%`;
}

/**
 * Describe what a strictness would have done.
 * @param {import("./api.js").Preview} preview
 */
export function rejections({ strictness, right, right_rejected, wrong, wrong_rejected }) {
  if (strictness === 0) return "Always names a class.";
  if (right + wrong === 0) return "Teach some examples to see what this would have done to them.";
  return `Of your last examples it would have rejected ${right_rejected} of ${right} right names and ${wrong_rejected} of ${wrong} wrong ones.`;
}

/**
 * @param {number} timeMs milliseconds since 1970
 */
export function timeText(timeMs) {
  const time = new Date(timeMs);
  const today = time.toDateString() === new Date().toDateString();
  const clock = time.toLocaleTimeString("en-GB");
  return today ? clock : `${time.toLocaleDateString("en-CA")} ${clock}`;
}

/**
 * @param {number} seconds
 */
export function durationText(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/**
 * Describe how the latest examples of a class were recognised before they were learnt.
 * @param {import("./api.js").ClassReport} report
 */
export function standing(report) {
  if (!report.predicted) return report.examples > 1 ? "Not tested since the start" : "Not tested yet";
  const taken = report.confused_with.map(({ label, count }) => `${label} (${count})`).join(", ");
  return `${report.right} of the last ${report.predicted} recognised${taken && `, mistaken for ${taken}`}`;
}

/**
 * Name the part of a square of cells that has the greatest value.
 * @param {number[][]} cells rows from the top
 */
export function strongestPart(cells) {
  const all = cells.flat();
  const at = all.indexOf(Math.max(...all));
  const third = (/** @type {number} */ index) => Math.floor((3 * index) / cells.length);
  const [row, column] = [third(Math.floor(at / cells.length)), third(at % cells.length)];
  if (row === 1 && column === 1) return "centre";
  return [["top", "", "bottom"][row], ["left", "", "right"][column]].filter(Boolean).join(" ");
}

/**
 * Join the device's reasons as sentences.
 * @param {string[]} reasons
 */
export function sentences(reasons) {
  return reasons.map((reason) => `${reason[0].toUpperCase()}${reason.slice(1)}`.replace(/\.?$/, ".")).join(" ");
}

/**
 * Describe the action that undo reversed.
 * @param {import("./api.js").Action} action
 */
export function undone(action) {
  const labels = (action.labels ?? []).join(", ");
  const examples = counted(action.examples ?? 0, "example");
  switch (action.kind) {
    case "teach":
      return `Removed ${examples} of ${labels}`;
    case "forget":
      return `Restored ${examples} of ${labels}`;
    case "relabel":
      return `Moved ${examples} back`;
    case "rename":
      return `Undid the renaming: ${labels}`;
    case "merge":
      return `Undid the merge: ${labels}`;
    case "import":
      return `Removed ${examples} of ${labels}`;
    default:
      return `Undid ${action.kind}: ${examples}`;
  }
}
