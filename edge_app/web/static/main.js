/** Connects the parts of the page. */

import { signOut, teach, undo } from "./api.js";
import { AskView } from "./ask.js";
import { Classes } from "./classes.js";
import { Connection, Device } from "./device.js";
import { askToken, showHelp } from "./dialogs.js";
import { byId, setText } from "./dom.js";
import { Gallery } from "./gallery.js";
import { DecisionView, LivePicture, showVitals } from "./live.js";
import { Announcer, Toast } from "./messages.js";
import { HeatMapView } from "./heatmap.js";
import { PlacesView } from "./places.js";
import { RulesView } from "./rules.js";
import { History } from "./history.js";
import { Columns } from "./spikes.js";
import { StrictnessView } from "./strictness.js";
import { Transfer } from "./transfer.js";
import { Tray } from "./tray.js";
import { Upload } from "./upload.js";
import { sentences, undone } from "./words.js";

const EMPTY_SCENE = "nothing";
const WELCOMED = "edge-app.welcomed";
const SIGNED_IN = "edge-app.signed-in";

const device = new Device();
const announcer = new Announcer();
const toast = new Toast(() => undoLast());
const picture = new LivePicture();
const decision = new DecisionView(announcer);
const columns = new Columns();
const connection = new Connection(device, (sequence, jpeg) => picture.show(sequence, jpeg), signIn);
const gallery = new Gallery(device, toast);
const classes = new Classes(device, picture, toast, announcer, {
  paused: () => paused,
  undo: () => undoLast(),
  open: (label) => gallery.open(label),
});
new Tray(device, toast);
new History(device, toast);
new Transfer(device, toast);
new AskView(device, toast);
new Upload(device, toast, () => gallery.label);
new HeatMapView(device, picture);
new StrictnessView(device, toast);
new PlacesView(device, toast);
new RulesView(device, toast);

let paused = false;
/** @type {string | null} */
let unreachable = null;
let pictureLost = "";

async function undoLast() {
  const action = await toast.attempt(undo);
  if (action) toast.show(undone(action));
}

/** Ask for a token. Scripts cannot see the cookie, so remember that there is one to sign out of. */
async function signIn() {
  await askToken();
  localStorage.setItem(SIGNED_IN, "yes");
  byId("sign-out").hidden = false;
}

/** Show what is wrong: the connection, or else the reasons that the device gives. */
function showTrouble() {
  const { state } = device;
  const text = unreachable ?? (state && !state.health.ok ? sentences(state.health.reasons) : "");
  const box = byId("trouble");
  setText(byId("trouble-text"), unreachable ? `${unreachable} Reconnecting.` : text);
  box.hidden = !text;
  byId("trouble-retry").hidden = !unreachable;
  document.body.classList.toggle("lost", unreachable !== null);
  picture.note(unreachable ? "No connection" : paused ? "Paused" : pictureLost);
}

function welcome() {
  const box = byId("welcome");
  box.hidden = localStorage.getItem(WELCOMED) === "yes";
  byId("welcome-nothing").addEventListener("click", async () => {
    const taught = await toast.attempt(() => teach(EMPTY_SCENE, picture.sequence));
    if (taught) toast.show(`Taught the empty scene as "${EMPTY_SCENE}". Press it again from other sides, or in other light.`);
  });
  byId("welcome-close").addEventListener("click", () => {
    localStorage.setItem(WELCOMED, "yes");
    box.hidden = true;
    byId("classes").focus({ preventScroll: true });
  });
}

device.on("connection", (problem) => {
  unreachable = problem;
  showTrouble();
});
device.on("picture", ({ open, reason }) => {
  pictureLost = open ? "" : reason || "No picture";
  showTrouble();
});
device.on("state", (state) => {
  showVitals(state);
  if (!state.decision || paused) decision.show(state.decision, state.classes.length);
  showTrouble();
});
device.on("decision", (made) => {
  if (paused) return;
  decision.show(made, device.state?.classes.length ?? 1);
  columns.show(made);
});
device.on("role", () => {
  for (const part of document.querySelectorAll("[data-role]")) {
    /** @type {any} */ (part).hidden = !device.may(/** @type {any} */ (part).dataset.role);
  }
});

byId("undo").addEventListener("click", undoLast);
byId("trouble-retry").addEventListener("click", () => connection.retry());
byId("help-open").addEventListener("click", () => showHelp(device.may("teach")));
byId("sign-out").addEventListener("click", async () => {
  await toast.attempt(signOut);
  localStorage.removeItem(SIGNED_IN);
  byId("sign-out").hidden = true;
  connection.retry();
});
byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  connection.pause(paused);
  classes.refresh();
  showTrouble();
});

welcome();
byId("sign-out").hidden = localStorage.getItem(SIGNED_IN) !== "yes";
connection.run();
