/** The places: the cameras' whole pictures with the places on them, which open one; and the editor of an administrator. */

import { PLACE, getCameraPicture, getPlaces, setPlaces } from "./api.js";
import { byId, make, setText, syncChildren } from "./dom.js";
import { between, byKey, drag, moved, put, sized, spoken } from "./regions.js";
import { percent } from "./words.js";

/** @typedef {import("./api.js").PlaceState & {key: string}} Place `key` stays when the name is edited */

const POLL_MS = 1_000;
const NEW_REGION = [0.25, 0.25, 0.5, 0.5];

export class PlacesView {
  #device;
  #toast;
  #panel = byId("places-panel");
  /** @type {Place[]} */
  #places = [];
  /** @type {import("./api.js").PlaceStates | null} */
  #found = null;
  #editing = false;
  #selected = "";
  #added = 0;
  #connected = false;
  #asking = false;
  #timer = 0;

  /**
   * @param {import("./device.js").Device} device
   * @param {import("./messages.js").Toast} toast
   */
  constructor(device, toast) {
    this.#device = device;
    this.#toast = toast;
    device.on("connection", (problem) => {
      this.#connected = problem === null;
      this.#poll();
    });
    document.addEventListener("visibilitychange", () => this.#poll());
    this.#panel.addEventListener("toggle", () => this.#poll());
    byId("places-edit").addEventListener("click", () => this.#edit(true));
    byId("places-cancel").addEventListener("click", () => this.#edit(false));
    byId("places-save").addEventListener("click", () => this.#save());
    byId("place-add").addEventListener("click", () => this.#add());
    byId("place-remove").addEventListener("click", () => this.#remove());
    byId("place-name").addEventListener("input", () => this.#change({ name: byId("place-name").value }));
    byId("place-group").addEventListener("change", () => this.#change({ group: byId("place-group").value }));
    byId("place-camera").addEventListener("change", () => this.#change({ camera: byId("place-camera").value }));
    byId("place-form").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  }

  /** Fetch places and pictures; again after a second while the panel is open and seen. */
  async #poll() {
    clearTimeout(this.#timer);
    if (this.#asking || !this.#connected || document.hidden) return;
    this.#asking = true;
    try {
      this.#take(await getPlaces());
      if (this.#open) await this.#draw();
    } catch {
      // the connection says so; it or the next poll asks again
    } finally {
      this.#asking = false;
    }
    if (this.#open) this.#timer = setTimeout(() => this.#poll(), POLL_MS);
  }

  get #open() {
    return this.#panel.open && !byId("places").hidden;
  }

  /** @param {import("./api.js").PlaceStates} found */
  #take(found) {
    const several = found.places.length > 1;
    if (!this.#found) this.#panel.open = several;
    this.#found = found;
    byId("places").hidden = !several && !this.#device.may("administer");
    if (!this.#device.may("administer")) this.#editing = false;
    if (!this.#editing) this.#places = found.places.map((place) => ({ ...place, key: place.name }));
    const shown = PLACE ?? found.places[0].name;
    setText(byId("live-title"), several ? `Live view: ${shown}` : "Live view");
    this.#show();
  }

  #show() {
    const { cameras } = /** @type {import("./api.js").PlaceStates} */ (this.#found);
    const used = cameras.filter(({ name, width }) => width !== null || this.#places.some(({ camera }) => camera === name));
    syncChildren(
      byId("place-pictures"),
      used,
      ({ name }) => name,
      ({ name }) => this.#makePicture(name),
      (element, { name, width }) => {
        setText(element.querySelector("figcaption"), width === null ? `${name}: no picture` : used.length > 1 ? name : "");
        element.classList.toggle("editing", this.#editing);
        const own = this.#places.filter(({ camera }) => camera === name);
        const keyOf = (/** @type {Place} */ place) => `${this.#editing} ${place.key}`;
        const create = (/** @type {Place} */ place) => (this.#editing ? this.#makeBox(place) : makeLink(place));
        syncChildren(element.querySelector("ul"), own, keyOf, create, (box, place) => this.#update(box, place));
      },
    );
    const administers = this.#device.may("administer");
    byId("places-edit").hidden = this.#editing || !administers;
    for (const id of ["places-save", "places-cancel", "place-add", "places-hint"]) byId(id).hidden = !this.#editing;
    this.#showForm();
  }

  /** @param {string} camera */
  #makePicture(camera) {
    const picture = make(
      "div",
      { class: "place-picture", onpointerdown: (/** @type {PointerEvent} */ event) => this.#down(picture, camera, event) },
      make("canvas", { width: 4, height: 3, role: "img", "aria-label": `Picture of the camera ${camera}`, data: { camera } }),
      make("ul", { "aria-label": `Places of the camera ${camera}` }),
    );
    return make("figure", {}, picture, make("figcaption", { class: "muted" }));
  }

  /** @param {Place} place */
  #makeBox({ key }) {
    return make(
      "li",
      { class: "place-box", data: { place: key } },
      make(
        "button",
        {
          type: "button",
          "aria-describedby": "places-hint",
          onfocus: () => this.#select(key),
          onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
        },
        make("span"),
      ),
      make("span", { class: "corner", "aria-hidden": "true" }),
    );
  }

  /** @param {any} box @param {Place} place */
  #update(box, place) {
    put(box, place.region);
    const part = box.firstElementChild;
    const label = place.label ?? (place.classes ? "unknown" : "nothing taught");
    setText(part.firstElementChild, this.#editing ? place.name || "no name" : `${place.name}: ${label}`);
    if (this.#editing) {
      part.setAttribute("aria-label", `${place.name || "no name"}: ${spoken(place.region)}`);
      part.setAttribute("aria-pressed", String(place.key === this.#selected));
    } else {
      const sure = place.label === null ? "" : `, ${percent(place.confidence)}`;
      part.setAttribute("aria-label", `${place.name}: ${label}${sure}. Open this place`);
    }
  }

  async #draw() {
    for (const canvas of this.#panel.querySelectorAll("canvas")) {
      const name = canvas.dataset.camera;
      if (this.#found?.cameras.find((camera) => camera.name === name)?.width == null) continue;
      const image = await createImageBitmap(await getCameraPicture(name));
      canvas.width = image.width;
      canvas.height = image.height;
      canvas.getContext("2d").drawImage(image, 0, 0);
      image.close();
    }
  }

  // Editing

  get #place() {
    return this.#places.find(({ key }) => key === this.#selected);
  }

  /** @param {boolean} editing */
  #edit(editing) {
    this.#editing = editing;
    this.#selected = "";
    if (this.#found) this.#take(this.#found);
    byId(editing ? "place-add" : "places-edit").focus();
  }

  async #save() {
    const places = this.#places.map(({ name, camera, group, region, rotation, mirror, max_fps }) => {
      return { name: name.trim(), camera, group, region, rotation, mirror, max_fps };
    });
    const found = await this.#toast.attempt(() => setPlaces(places));
    if (!found) return;
    this.#found = found;
    this.#edit(false);
    this.#toast.show(found.restarting ? "Saved. The device restarts with these places." : "Saved.");
  }

  /** @param {string} [camera] @param {number[]} [region] */
  #add(camera = this.#place?.camera ?? this.#places[0].camera, region = NEW_REGION) {
    const names = this.#places.map(({ name }) => name.toLowerCase());
    let number = this.#places.length + 1;
    while (names.includes(`place ${number}`)) number++;
    const key = `new ${++this.#added}`;
    const own = { name: `place ${number}`, camera, group: "", region, rotation: 0, mirror: false, max_fps: 0 };
    this.#places.push({ ...own, label: null, confidence: 0, classes: 0, key });
    this.#select(key);
    this.#box?.focus();
  }

  #remove() {
    this.#places = this.#places.filter(({ key }) => key !== this.#selected);
    this.#select("");
    byId("place-add").focus();
  }

  /** @param {string} key */
  #select(key) {
    this.#selected = key;
    this.#show();
  }

  get #box() {
    return this.#panel.querySelector(`[data-place="${CSS.escape(this.#selected)}"] button`);
  }

  /** @param {Partial<Place>} values */
  #change(values) {
    const place = this.#place;
    if (!place) return;
    Object.assign(place, values);
    this.#show();
  }

  #showForm() {
    const place = this.#editing ? this.#place : undefined;
    byId("place-form").hidden = !place;
    if (!place || !this.#found) return;
    const { groups, cameras } = this.#found;
    if (document.activeElement !== byId("place-name")) byId("place-name").value = place.name;
    // "": with the name of the place. A place that is renamed keeps its group, and so what it has learnt
    offer("place-group", [["", "its own"], ...groups.map((name) => [name, name])], place.group);
    offer("place-camera", cameras.map(({ name }) => [name, name]), place.camera);
    byId("place-cameras").hidden = cameras.length < 2;
  }

  /** @param {HTMLElement} picture @param {string} camera @param {PointerEvent} event */
  #down(picture, camera, event) {
    if (!this.#editing || event.button !== 0) return;
    event.preventDefault(); // no selection of text, no drag of the browser's own
    const target = /** @type {HTMLElement} */ (event.target);
    const key = /** @type {HTMLElement | null} */ (target.closest("[data-place]"))?.dataset.place;
    let drawn = false;
    if (key) {
      this.#select(key);
      this.#box?.focus();
    }
    const region = key ? (this.#place?.region ?? NEW_REGION) : null;
    const resize = target.classList.contains("corner");
    drag(picture, event, (from, to) => {
      if (region) {
        this.#change({ region: (resize ? sized : moved)(region, [to[0] - from[0], to[1] - from[1]]) });
        return;
      }
      const spanned = between(from, to);
      if (!spanned) return;
      if (drawn) this.#change({ region: spanned });
      else this.#add(camera, spanned);
      drawn = true;
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const place = this.#place;
    if (!place) return;
    if (event.key === "Delete") this.#remove();
    else {
      const region = byKey(place.region, event);
      if (!region) return;
      this.#change({ region });
    }
    event.preventDefault(); // arrows would scroll
  }
}

/** @param {Place} place */
function makeLink({ name }) {
  const current = name === PLACE ? "page" : null;
  const href = `?place=${encodeURIComponent(name)}`;
  return make("li", { class: "place-box", data: { place: name } }, make("a", { href, "aria-current": current }, make("span")));
}

/** Fill a select, and choose. @param {string} id @param {string[][]} options value and text @param {string} value */
function offer(id, options, value) {
  const select = byId(id);
  syncChildren(select, options, ([key]) => key, ([key, text]) => make("option", { value: key, text }), () => {});
  select.value = value;
}
