/** Modal dialogs: one element, filled for each question. */

import { ApiError, signIn } from "./api.js";
import { byId, make } from "./dom.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("dialog"));
let unanswered = () => {};

/**
 * Show a form in the dialog until it is answered or cancelled.
 * @template T
 * @param {string} title
 * @param {Node[]} body
 * @param {{confirm: string, danger?: boolean, cancel?: boolean, must?: boolean}} buttons `must`: it cannot be cancelled
 * @param {(say: (problem: string) => void) => Promise<T | undefined> | T | undefined} answer the form's value;
 *   undefined keeps the dialog open
 * @returns {Promise<T | null>} null when it was cancelled
 */
function ask(title, body, { confirm, danger = false, cancel = true, must = false }, answer) {
  unanswered();
  return new Promise((resolve) => {
    const problem = make("p", { class: "problem", role: "alert" });
    const done = (/** @type {T | null} */ value) => {
      unanswered = () => {};
      dialog.onclose = null;
      if (dialog.open) dialog.close();
      dialog.replaceChildren();
      resolve(value);
    };
    unanswered = () => done(null);
    const submit = make("button", { type: "submit", class: danger ? "danger solid" : "primary", text: confirm });
    const form = make(
      "form",
      { method: "dialog" },
      make("h2", { id: "dialog-title", text: title }),
      ...body,
      problem,
      make(
        "div",
        { class: "row end" },
        cancel ? make("button", { type: "button", text: "Cancel", onclick: () => done(null) }) : null,
        submit,
      ),
    );
    form.addEventListener("submit", async (/** @type {Event} */ event) => {
      event.preventDefault();
      problem.textContent = "";
      submit.disabled = true;
      const value = await answer((words) => (problem.textContent = words));
      submit.disabled = false;
      if (value !== undefined) done(value);
    });
    // the browser closes it on Escape, and this cannot be prevented reliably
    dialog.onclose = () => (must ? dialog.showModal() : done(null));
    dialog.replaceChildren(form);
    dialog.showModal();
  });
}

/** @param {string} text */
const paragraph = (text) => make("p", { text });

/**
 * Ask for confirmation.
 * @param {string} title
 * @param {string[]} paragraphs
 * @param {string} confirm
 * @returns {Promise<boolean>}
 */
export async function askSure(title, paragraphs, confirm) {
  const sure = await ask(title, paragraphs.map(paragraph), { confirm, danger: true }, () => true);
  return sure === true;
}

/**
 * Ask for a name.
 * @param {string} title
 * @param {string[]} paragraphs
 * @param {{label: string, value?: string, confirm: string}} options
 * @returns {Promise<string | null>}
 */
export function askName(title, paragraphs, { label, value = "", confirm }) {
  const input = make("input", { id: "dialog-input", maxlength: 100, required: true, autocomplete: "off" });
  input.value = value;
  const body = [...paragraphs.map(paragraph), make("label", { for: "dialog-input", text: label }), input];
  const answered = ask(title, body, { confirm }, () => input.value.trim() || undefined);
  input.select();
  return answered;
}

/**
 * Ask for a class: one of those that exist, or a new one.
 * @param {string} title
 * @param {string[]} paragraphs
 * @param {string[]} labels
 * @returns {Promise<string | null>}
 */
export function askClass(title, paragraphs, labels) {
  const input = make("input", { id: "dialog-input", maxlength: 100, required: true, autocomplete: "off" });
  const choose = (/** @type {string} */ label) => {
    input.value = label;
    input.form.requestSubmit();
  };
  const chips = labels.map((label) =>
    make("button", { type: "button", class: "chip", text: label, onclick: () => choose(label) }),
  );
  const body = [
    ...paragraphs.map(paragraph),
    make("div", { class: "choices", role: "group", "aria-label": "Classes" }, ...chips),
    make("label", { for: "dialog-input", text: labels.length ? "Or another class" : "Class name" }),
    input,
  ];
  return ask(title, body, { confirm: "Teach" }, () => input.value.trim() || undefined);
}

/**
 * Ask for one of several choices.
 * @param {string} title
 * @param {(choice: string) => string[]} paragraphs the consequences of a choice
 * @param {{label: string, choices: string[], confirm: string}} options
 * @returns {Promise<string | null>}
 */
export function askChoice(title, paragraphs, { label, choices, confirm }) {
  const select = make("select", { id: "dialog-input" }, ...choices.map((text) => make("option", { text })));
  const consequences = make("div", { "aria-live": "polite" });
  const tell = () => consequences.replaceChildren(...paragraphs(select.value).map(paragraph));
  select.addEventListener("change", tell);
  tell();
  const body = [make("label", { for: "dialog-input", text: label }), select, consequences];
  return ask(title, body, { confirm }, () => /** @type {string} */ (select.value));
}

/**
 * Ask for some of several choices; all are selected at first.
 * @param {string} title
 * @param {{choices: string[], confirm: string}} options
 * @returns {Promise<string[] | null>}
 */
export function askSome(title, { choices, confirm }) {
  const boxes = choices.map((text) => make("input", { type: "checkbox", value: text, checked: true }));
  const list = make(
    "ul",
    { class: "ticks" },
    ...boxes.map((box) => make("li", {}, make("label", {}, box, ` ${box.value}`))),
  );
  return ask(title, [list], { confirm }, (say) => {
    const some = boxes.filter((box) => box.checked).map((box) => box.value);
    if (some.length) return some;
    say("Select at least one.");
    return undefined;
  });
}

/**
 * Show a table and ask whether to go on.
 * @param {string} title
 * @param {string[][]} rows
 * @param {string[]} paragraphs
 * @param {string} confirm
 * @returns {Promise<boolean>}
 */
export async function askTable(title, rows, paragraphs, confirm) {
  const table = make(
    "table",
    {},
    make("tbody", {}, ...rows.map(([name, ...cells]) =>
      make("tr", {}, make("th", { scope: "row", text: name }), ...cells.map((text) => make("td", { text }))),
    )),
  );
  const scrolling = make("div", { class: "scrolling", tabindex: 0, role: "group", "aria-label": title }, table);
  return (await ask(title, [scrolling, ...paragraphs.map(paragraph)], { confirm }, () => true)) === true;
}

/** Ask for a token until it is accepted. */
export async function askToken() {
  const input = make("input", {
    id: "dialog-input",
    type: "password",
    required: true,
    autocomplete: "current-password",
    spellcheck: "false",
    "aria-describedby": "dialog-help",
  });
  const body = [
    make("label", { for: "dialog-input", text: "Token" }),
    input,
    make("p", {
      id: "dialog-help",
      class: "hint",
      text: "It was shown during installation. The command edge-app token make creates a new one.",
    }),
  ];
  await ask("Sign in to this device", body, { confirm: "Sign in", cancel: false, must: true }, async (say) => {
    try {
      return (await signIn(input.value.trim())).role;
    } catch (error) {
      say(refusal(error));
      input.select();
      return undefined;
    }
  });
}

/** @param {any} error */
function refusal(error) {
  if (!(error instanceof ApiError)) return "The device is not responding. Try again.";
  if (error.status === 401) return "Wrong token.";
  if (error.status === 429) {
    return error.retryAfter
      ? `Too many wrong tokens. Wait ${error.retryAfter} seconds.`
      : "Too many wrong tokens. Try again later.";
  }
  return error.message;
}

/** Show the help. @param {boolean} teaching whether this person may teach */
export function showHelp(teaching) {
  const keys = [
    ["1 to 9", "teach the class with that number; hold the key for several examples"],
    ["U", "undo"],
    ["Shift and click", "select all pictures in between"],
  ];
  const words = teaching
    ? [
        "Tap a class to teach the picture on the screen as an example of it. Hold it to teach several.",
        "A class has enough examples when four in five of the latest ones were recognised before they were learnt.",
        "Undo reverses the last action, and can be repeated. The device then decides as if it had never happened.",
      ]
    : ["You can view this device, but not teach it. To teach, sign in with a token of the role teach or administer."];
  const body = words.map(paragraph);
  if (teaching) {
    body.push(
      make(
        "dl",
        { class: "keys" },
        ...keys.flatMap(([key, text]) => [make("dt", { text: key }), make("dd", { text })]),
      ),
    );
  }
  return ask("How it works", body, { confirm: "Close", cancel: false }, () => true);
}
