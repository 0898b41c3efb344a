/** Finds and creates elements. Text is always set as text, never parsed as markup. */

/**
 * Return the element with an id; throw when there is none.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/**
 * Create an element.
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `text`, `onEVENT` listeners, `data` (an object); the rest are attributes,
 *   left out when false, null or undefined
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Set an element's text if it differs, so that a screen reader does not repeat it.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make the children of `parent` match `items`; elements of items that stay are kept, and with them the focus.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} keyOf identifies an item
 * @param {(item: T) => Element} create
 * @param {(element: any, item: T, index: number) => void} update
 */
export function syncChildren(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((child) => [/** @type {any} */ (child).dataset.key, child]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    let element = old.get(key);
    if (element) {
      old.delete(key);
    } else {
      element = create(item);
      /** @type {any} */ (element).dataset.key = key;
    }
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
    update(element, item, index);
  });
  for (const gone of old.values()) gone.remove();
}
