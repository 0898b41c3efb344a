/** The history: a day as a timeline, its visits as a list, and what can be done with them. */

import * as api from "./api.js";
import { Alike } from "./alike.js";
import { askClass, askSure } from "./dialogs.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { VisitPlots, dayAfter } from "./visitplots.js";
import { counted, durationText, percent, timeText } from "./words.js";

const PAGE = 24;
const AT_ONCE = 200;
const OF_A_DAY = 500;
const FOLLOW_MS = 2_000;
const UNKNOWN = "?";

export class History {
  #device;
  #toast;
  #alike;
  #plots = new VisitPlots((id) => this.#open(id));
  #day = byId("history-day");
  #label = byId("history-label");
  #place = byId("history-place");
  #show = byId("history-show");
  /** @type {api.Visit[]} */
  #visits = [];
  /** @type {string | null} */
  #cursor = null;
  #shown = PAGE;
  #asked = 0;
  #following = 0;
  #seen = false;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    this.#alike = new Alike(device, toast);
    this.#day.value = dayText(new Date());
    for (const input of [this.#day, this.#label, this.#place, this.#show]) {
      input.addEventListener("change", () => this.#turnTo());
    }
    byId("history-measure").addEventListener("change", () => this.#plots.measure(byId("history-measure").value));
    byId("history-earlier").addEventListener("click", () => this.#step(-1));
    byId("history-later").addEventListener("click", () => this.#step(1));
    byId("history-all").addEventListener("click", () => this.#turnToDay(""));
    byId("history-more").addEventListener("click", () => {
      this.#shown += PAGE;
      this.#refresh();
    });
    byId("history-delete").addEventListener("click", () => this.#deleteShown());
    device.on("state", ({ history, history_stopped: stopped }) => {
      byId("history-off").hidden = history !== "off";
      byId("history-stopped").hidden = !stopped;
      setText(byId("history-stopped"), stopped ? `No visits are stored at the moment: ${stopped}.` : "");
      byId("history-body").hidden = history === "off";
      if (!this.#asked) this.#follow(0);
    });
    device.on("role", () => this.#render());
    device.on("history", () => this.#follow());
    // nothing is fetched for those who do not scroll to it
    new IntersectionObserver((entries) => {
      this.#seen = entries[entries.length - 1].isIntersecting;
      if (this.#seen) this.#follow(0);
    }).observe(byId("history"));
  }

  /** Fetch again what changed; not more often than someone can read. */
  #follow(delay = FOLLOW_MS) {
    const kept = this.#device.state?.history;
    if (!this.#seen || this.#following || !kept || kept === "off") return;
    this.#following = setTimeout(async () => {
      await this.#refresh();
      this.#following = 0;
    }, delay);
  }

  /** What is selected. @returns {api.VisitFilter} */
  get #filter() {
    const label = this.#label.value;
    const [from, before] = this.#day.value ? bounds(this.#day.value) : [null, null];
    return {
      label: label && label !== UNKNOWN ? label.slice(1) : null,
      unknown: label === UNKNOWN || null,
      place: this.#place.value || null,
      unsure: this.#show.value === "unsure" || null,
      from_ms: from,
      before_ms: before,
    };
  }

  #step(/** @type {number} */ days) {
    const day = this.#day.value ? new Date(`${this.#day.value}T12:00`) : new Date();
    day.setDate(day.getDate() + days);
    this.#turnToDay(dayText(day));
  }

  #turnToDay(/** @type {string} */ day) {
    this.#day.value = day;
    this.#turnTo();
  }

  #turnTo() {
    this.#shown = PAGE;
    this.#visits = [];
    this.#refresh();
  }

  async #refresh() {
    const asked = ++this.#asked;
    const filter = this.#filter;
    try {
      const [names, found] = await Promise.all([api.getVisitNames(), this.#fetch(filter)]);
      if (asked !== this.#asked) return; // another choice was made meanwhile
      this.#offer(names);
      this.#visits = found.visits;
      this.#cursor = found.cursor;
      this.#render();
      await this.#plots.show(filter, found);
    } catch (error) {
      // where there is no connection, that is reported already
      if (error instanceof api.ApiError) this.#toast.show(error.message, { bad: true });
    }
  }

  /** Fetch as many visits as are shown, and for a day also those that are drawn. @param {api.VisitFilter} filter */
  async #fetch(filter) {
    const unsure_first = this.#show.value === "unsure-first" || null;
    const visits = /** @type {api.Visit[]} */ ([]);
    for (let cursor = /** @type {string | null} */ (null); ;) {
      const limit = filter.from_ms === null ? AT_ONCE : OF_A_DAY;
      const page = await api.getVisits({ ...filter, unsure_first, cursor, limit });
      visits.push(...page.visits);
      cursor = page.cursor;
      if (!cursor || visits.length >= this.#shown) return { visits, cursor };
    }
  }

  /** @param {{places: string[], labels: string[]}} names */
  #offer({ places, labels }) {
    const options = [
      { value: "", text: "all" },
      { value: UNKNOWN, text: "unknown" },
      ...labels.map((label) => ({ value: `=${label}`, text: label })),
    ];
    offer(this.#label, options);
    offer(this.#place, [{ value: "", text: "all" }, ...places.map((place) => ({ value: place, text: place }))]);
    byId("history-places").hidden = places.length < 2 && !this.#place.value;
  }

  #render() {
    const rights = `${this.#device.may("teach")} ${this.#device.may("administer")}`;
    const shown = this.#visits.slice(0, this.#shown);
    syncChildren(
      byId("history-list"),
      shown,
      // what does not change while a row is shown
      (visit) => `${visit.id} ${visit.picture} ${visit.open} ${visit.taught} ${rights}`,
      (visit) => this.#row(visit),
      (row, visit) => {
        setText(row.querySelector(".title"), titleOf(visit));
        setText(row.querySelector(".note"), noteOf(visit));
      },
    );
    const count = counted(this.#visits.length, "visit");
    setText(byId("history-count"), this.#visits.length ? (this.#cursor ? `more than ${count}` : count) : "no visits");
    byId("history-more").hidden = shown.length === this.#visits.length && !this.#cursor;
    byId("history-csv").href = api.visitsAddress("csv", this.#filter);
    byId("history-json").href = api.visitsAddress("json", this.#filter);
    byId("history-delete").disabled = !this.#visits.length;
  }

  #row(/** @type {api.Visit} */ visit) {
    const picture = visit.picture
      ? make("img", { src: api.visitAddress(visit.id), alt: "", loading: "lazy", width: 72, height: 72 })
      : make("span", { class: "no-picture", text: "no picture" });
    picture.addEventListener("error", () => picture.replaceWith(make("span", { class: "no-picture", text: "gone" })));
    const buttons = [];
    if (this.#device.may("teach") && (visit.taught ? visit.example !== null : visit.picture)) {
      buttons.push(this.#button(visit, visit.label === null && !visit.taught ? "What is it?" : "It was something else", "", () => this.#correct(visit)));
    }
    if (this.#device.may("administer")) buttons.push(this.#button(visit, "Delete", "quiet", () => this.#delete(visit)));
    const words = make("div", { class: "words" }, make("b", { class: "title" }), make("span", { class: "note" }));
    const row = make("li", { class: visit.unsure ? "visit unsure" : "visit", tabindex: -1 }, picture, words);
    row.dataset.visit = visit.id;
    row.append(make("div", { class: "row wrap" }, ...buttons));
    return row;
  }

  /** @param {api.Visit} visit @param {string} text @param {string} kind @param {() => void} onclick */
  #button(visit, text, kind, onclick) {
    // screen readers list buttons without the row around them
    return make("button", { type: "button", class: kind, text, "aria-label": `${text}: ${titleOf(visit)}, ${timeText(visit.begin_ms)}`, onclick });
  }

  /** Show a visit of the timeline in the list. @param {number} id */
  #open(id) {
    const index = this.#visits.findIndex((visit) => visit.id === id);
    if (index < 0) return;
    this.#shown = Math.max(this.#shown, index + 1);
    this.#render();
    /** @type {HTMLElement} */ (byId("history-list").children[index]).focus();
  }

  /** Teach the picture of a visit as another class, or move the example that it became. @param {api.Visit} visit */
  async #correct(visit) {
    const labels = this.#device.classes.map((report) => report.label);
    // the most probable ones first
    const likely = [visit.runner_up, visit.label].filter((label) => label !== null && labels.includes(label));
    const others = labels.filter((label) => !likely.includes(label));
    const choices = [.../** @type {string[]} */ (likely), ...others].filter((label) => label !== (visit.taught ?? visit.label));
    const words = visit.taught ? `It was taught as ${visit.taught}.` : `The device took it for: ${titleOf(visit)}.`;
    const label = await askClass("What is it?", [words], choices);
    if (!label) return;
    const done = await this.#toast.attempt(() =>
      visit.taught ? api.relabel([Number(visit.example)], label) : api.teachVisits([visit.id], label),
    );
    if (done) this.#toast.show(`Taught ${label}: 1 example`, { undo: true });
    await this.#refresh();
    this.#focus(visit.id);
  }

  async #delete(/** @type {api.Visit} */ visit) {
    const words = [`${titleOf(visit)}, ${timeText(visit.begin_ms)}`, "It cannot be restored. What was taught stays."];
    if (!(await askSure("Delete this visit?", words, "Delete"))) return;
    if (await this.#toast.attempt(() => api.deleteVisits({ id: visit.id }))) this.#toast.show("Deleted 1 visit");
    await this.#refresh();
    byId("history").focus({ preventScroll: true });
  }

  async #deleteShown() {
    const filter = this.#filter;
    const conditions = Object.values(filter).some((value) => value !== null);
    const words = [describe(filter, this.#day.value), "They cannot be restored. What was taught stays."];
    if (!(await askSure("Delete these visits?", words, "Delete"))) return;
    const gone = await this.#toast.attempt(() => api.deleteVisits({ ...filter, everything: conditions ? null : true }));
    if (gone !== null) this.#toast.show(`Deleted ${counted(gone, "visit")}`);
    this.#turnTo();
    byId("history").focus({ preventScroll: true });
  }

  #focus(/** @type {number} */ id) {
    const row = byId("history-list").querySelector(`[data-visit="${id}"]`);
    (row?.querySelector("button") ?? byId("history")).focus({ preventScroll: true });
  }
}

/** @param {HTMLSelectElement} select @param {{value: string, text: string}[]} options */
function offer(select, options) {
  const chosen = select.value;
  // what is chosen stays, also after its last visit has gone
  if (chosen && !options.some(({ value }) => value === chosen)) {
    options = [...options, { value: chosen, text: chosen.replace(/^=/, "") }];
  }
  syncChildren(
    select,
    options,
    ({ value }) => `=${value}`,
    ({ value, text }) => make("option", { value, text }),
    () => {},
  );
}

/** @param {api.Visit} visit */
function titleOf(visit) {
  return visit.label ?? "unknown";
}

/** @param {api.Visit} visit */
function noteOf(visit) {
  const sure = visit.label === null ? [] : [`${percent(visit.mean_confidence)} sure`];
  const next = visit.runner_up === null || visit.label === visit.runner_up ? [] : [`next ${visit.runner_up}`];
  const taught = visit.taught === null ? [] : [`taught as ${visit.taught}`];
  const lasted = visit.open ? `${durationText(visit.seconds)} so far` : durationText(visit.seconds);
  const clock = visit.clock === "doubtful" ? ["clock was wrong"] : [];
  return [timeText(visit.begin_ms), lasted, visit.place, ...sure, ...next, ...clock, ...taught].join(", ");
}

/** @param {api.VisitFilter} filter @param {string} day */
function describe(filter, day) {
  const parts = [
    filter.unsure ? "All unsure visits" : "All visits",
    filter.unknown ? " of unknown things" : filter.label === null ? "" : ` of ${filter.label}`,
    filter.place === null ? "" : ` at ${filter.place}`,
    day ? ` on ${day}` : "",
  ];
  return `${parts.join("")}.`;
}

/** @param {Date} date */
function dayText(date) {
  return date.toLocaleDateString("en-CA"); // as an input of a date has it
}

/** Where a local day begins and ends, in milliseconds since 1970. @param {string} day */
function bounds(day) {
  const begin = new Date(`${day}T00:00`);
  return [begin.getTime(), dayAfter(begin).getTime()];
}
