/** Files dropped on a part of the page. */

/**
 * Let files be dropped on an element; it has the class `dropping` while they are held over it.
 * @param {HTMLElement} element
 * @param {(data: DataTransfer, target: Element) => void} dropped called with the innermost element
 * @param {() => boolean} [accepts]
 */
export function droppable(element, dropped, accepts = () => true) {
  const takes = (/** @type {DragEvent} */ event) => !!event.dataTransfer?.types.includes("Files") && accepts();
  let depth = 0; // dragenter and dragleave also come from the elements inside
  const end = () => {
    depth = 0;
    element.classList.remove("dropping");
  };
  element.addEventListener("dragenter", (event) => {
    if (!takes(event)) return;
    event.preventDefault();
    depth += 1;
    element.classList.add("dropping");
  });
  element.addEventListener("dragover", (event) => {
    if (!takes(event)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
  });
  element.addEventListener("dragleave", (event) => {
    if (!takes(event)) return;
    depth -= 1;
    if (depth <= 0) end();
  });
  element.addEventListener("drop", (event) => {
    if (!takes(event)) return;
    event.preventDefault();
    event.stopPropagation(); // the innermost element takes it
    document.dispatchEvent(new Event("dropped"));
    dropped(/** @type {DataTransfer} */ (event.dataTransfer), /** @type {Element} */ (event.target));
  });
  document.addEventListener("dropped", end);
  document.addEventListener("dragend", end);
}

// a browser opens what is dropped where nothing takes it, and the page would be gone
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    const { dataTransfer } = /** @type {DragEvent} */ (event);
    if (event.defaultPrevented || !dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    dataTransfer.dropEffect = "none";
  });
}
