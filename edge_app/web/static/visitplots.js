/** Plots of visits: a day as lanes, one for each place, and counts by hour or day with a table. */

import { getVisitCounts } from "./api.js";
import { COLOURS, lanes, legend, stackedColumns } from "./charts.js";
import { byId, make, setText } from "./dom.js";
import { counted, durationText, timeText } from "./words.js";

const DAYS = 30;
const OTHERS = COLOURS - 1;

/** @typedef {import("./api.js").VisitCount} VisitCount */
/** @typedef {{name: string, short: string, begin: number}} Period */

export class VisitPlots {
  #open;
  #measure = "visits";
  /** @type {VisitCount[]} */
  #counts = [];
  /** @type {Period[]} */
  #periods = [];

  /** @param {(id: number) => void} open shows a visit in the list */
  constructor(open) {
    this.#open = open;
  }

  /** @param {string} name "visits" or "seconds" */
  measure(name) {
    this.#measure = name;
    this.#plot();
  }

  /**
   * @param {import("./api.js").VisitFilter} filter
   * @param {{visits: import("./api.js").Visit[], cursor: string | null}} found its visits, not all if there is a cursor
   */
  async show(filter, { visits, cursor }) {
    const { label, unknown, place } = filter;
    const ofDay = filter.from_ms !== null && filter.before_ms !== null;
    const [from, before] = ofDay ? [Number(filter.from_ms), Number(filter.before_ms)] : lastDays();
    const by = ofDay ? "hour" : "day";
    this.#counts = await getVisitCounts({ from_ms: from, before_ms: before, by, label, unknown, place });
    this.#periods = ofDay ? hours(from, before) : days(from, before);
    setText(byId("history-period"), ofDay ? "Hour" : "Day");
    this.#plot();
    byId("history-lanes").replaceChildren(...(ofDay && visits.length ? this.#lanes(visits, cursor, from, before) : []));
  }

  /** The colour of each label: the most frequent have one of their own. @returns {Map<string | null, number>} */
  get #colours() {
    const total = new Map();
    for (const { label, seconds, visits } of this.#counts) {
      if (label !== null) total.set(label, (total.get(label) ?? 0) + seconds + visits);
    }
    const sorted = [...total].sort((one, other) => other[1] - one[1]).map(([label]) => label);
    return new Map([[null, 0], ...sorted.map((label, index) => [label, Math.min(index + 1, OTHERS)])].map(
      ([label, colour]) => /** @type {[string | null, number]} */ ([label, colour]),
    ));
  }

  #plot() {
    const colours = this.#colours;
    const unit = (/** @type {number} */ value) =>
      this.#measure === "visits" ? counted(value, "visit") : durationText(value);
    const columns = this.#periods.map(({ name, short, begin }) => ({
      name,
      short,
      parts: this.#counts
        .filter((count) => count.begin_ms === begin)
        .map((count) => {
          const value = this.#measure === "visits" ? count.visits : count.seconds;
          return { value, colour: colours.get(count.label) ?? OTHERS, words: `${nameOf(count.label)}, ${unit(value)}` };
        }),
    }));
    const plotted = this.#counts.length > 0;
    const words = `${this.#measure === "visits" ? "Visits" : "Time"} per class; the table below has the figures.`;
    byId("history-plot").replaceChildren(...(plotted ? [stackedColumns(columns, words, unit), this.#legend(colours)] : []));
    byId("history-plot").parentElement.hidden = !plotted;
    this.#table();
  }

  /** @param {Map<string | null, number>} colours */
  #legend(colours) {
    const there = new Set(this.#counts.map(({ label }) => label));
    const own = [...colours].filter(([label, colour]) => there.has(label) && colour < OTHERS);
    const rest = [...colours].filter(([, colour]) => colour === OTHERS).map(([label]) => label);
    const entries = own.map(([label, colour]) => ({ name: nameOf(label), colour }));
    if (rest.length) entries.push({ name: rest.length === 1 ? nameOf(rest[0]) : "others", colour: OTHERS });
    return legend(entries);
  }

  #table() {
    const names = new Map(this.#periods.map(({ begin, name }) => [begin, name]));
    const rows = this.#counts.map(({ begin_ms, label, visits, seconds }) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", text: names.get(begin_ms) ?? timeText(begin_ms) }),
        make("td", { text: nameOf(label) }),
        make("td", { text: visits.toLocaleString("en") }),
        make("td", { text: durationText(seconds) }),
      ),
    );
    byId("history-table").replaceChildren(...rows);
  }

  /**
   * @param {import("./api.js").Visit[]} visits
   * @param {string | null} cursor
   * @param {number} from
   * @param {number} before
   */
  #lanes(visits, cursor, from, before) {
    const colours = this.#colours;
    const share = (/** @type {number} */ time) => Math.min(1, Math.max(0, (time - from) / (before - from)));
    const places = [...new Set(visits.map(({ place }) => place))].sort();
    const drawn = places.map((name) => ({
      name,
      spans: visits
        .filter(({ place }) => place === name)
        .map(({ id, begin_ms, end_ms, label, seconds }) => ({
          begin: share(begin_ms),
          end: share(end_ms),
          colour: colours.get(label) ?? OTHERS,
          words: `${nameOf(label)}, ${timeText(begin_ms)}, ${durationText(seconds)}`,
          open: () => this.#open(id),
        })),
    }));
    const ticks = hours(from, before).filter((_, index) => index % 6 === 0);
    const words = `Timeline of the day: ${counted(visits.length, "visit")}, listed below.`;
    const picture = lanes(drawn, ticks.map(({ begin, name }) => ({ at: share(begin), text: name })), words);
    return cursor ? [picture, make("p", { class: "hint", text: `The last ${visits.length} are drawn.` })] : [picture];
  }
}

/** @param {string | null} label */
function nameOf(label) {
  return label ?? "unknown";
}

/** Return the hours of a day, which has 23 or 25 when the clocks are changed. @param {number} from @param {number} before */
function hours(from, before) {
  const found = /** @type {Period[]} */ ([]);
  for (let begin = from; begin < before; begin += 3_600_000) {
    const hour = String(new Date(begin).getHours()).padStart(2, "0");
    found.push({ name: `${hour}:00`, short: hour, begin });
  }
  return found;
}

/** Return the local days of a time. @param {number} from @param {number} before */
function days(from, before) {
  const found = /** @type {Period[]} */ ([]);
  for (let day = new Date(from); day.getTime() < before; day = dayAfter(day)) {
    const name = day.toLocaleDateString("en-CA");
    found.push({ name, short: name.slice(5), begin: day.getTime() });
  }
  return found;
}

/** The last days, to the end of this one, in milliseconds since 1970. */
function lastDays() {
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  const first = new Date(today);
  first.setDate(first.getDate() - DAYS + 1);
  return [first.getTime(), dayAfter(today).getTime()];
}

/** The beginning of the next local day. @param {Date} day */
export function dayAfter(day) {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1);
}
