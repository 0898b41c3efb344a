/** How things are said: short, plain, and in one place. */

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
 * @returns {string} how sure that is
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
  return `${Math.round(share * 100)} %`;
}

/**
 * @param {number} timeMs milliseconds since 1970
 */
export function moment(timeMs) {
  const time = new Date(timeMs);
  const today = time.toDateString() === new Date().toDateString();
  const clock = time.toLocaleTimeString("en-GB");
  return today ? clock : `${time.toLocaleDateString("en-CA")} ${clock}`;
}

/**
 * Say how the last examples of a class were named before they were learnt.
 * @param {import("./api.js").ClassReport} report
 */
export function standing(report) {
  if (!report.predicted) return report.examples > 1 ? "Not tried since the start" : "Not tried yet";
  const taken = report.confused_with.map(({ label, count }) => `${label} (${count})`).join(", ");
  return `${report.right} of the last ${report.predicted} named right${taken && `, taken for ${taken}`}`;
}

/**
 * Make sentences of what the device says in half sentences.
 * @param {string[]} reasons
 */
export function sentences(reasons) {
  return reasons.map((reason) => `${reason[0].toUpperCase()}${reason.slice(1)}`.replace(/\.?$/, ".")).join(" ");
}

/**
 * Say what undo took back.
 * @param {import("./api.js").Action} action
 */
export function tookBack(action) {
  const labels = (action.labels ?? []).join(", ");
  const examples = counted(action.examples ?? 0, "example");
  switch (action.kind) {
    case "teach":
      return `Took back: ${examples} of ${labels}`;
    case "forget":
      return `Brought back: ${examples} of ${labels}`;
    case "relabel":
      return `Took back the new class of ${examples}`;
    case "rename":
      return `Took back the new name: ${labels}`;
    case "merge":
      return `Took the merged classes apart: ${labels}`;
    case "import":
      return `Took back the import of ${examples}`;
    default:
      return `Took back: ${action.kind}, ${examples}`;
  }
}
