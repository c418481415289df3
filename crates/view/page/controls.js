// Keys and the controls of the picture.

import {
  addComponent, listenToTools, pick, removeComponent, resize, save, toggleBall, toggleCorrecting,
  undo,
} from "./corrections.js";
import { choose, listFindings } from "./findings.js";
import { draw, showWindow, toggle } from "./layers.js";
import { $, state } from "./shown.js";
import { listSubjects, neighbour } from "./subjects.js";
import { element } from "./words.js";

function cycle(id) {
  const list = $(id);
  if (list.disabled || list.options.length === 0) return;
  list.selectedIndex = (list.selectedIndex + 1) % list.options.length;
  list.dispatchEvent(new Event("change"));
}

const left = () => ($("radiological").checked ? 1 : -1);
const step = (...voxels) => state.drawing.step(voxels);

const KEYS = [
  ["n", "next lesion", () => choose(state.lesion + 1)],
  ["p", "previous lesion", () => choose(state.lesion - 1)],
  ["]", "next subject", () => neighbour(1)],
  ["[", "previous subject", () => neighbour(-1)],
  ["1", "errors", () => toggle("faults")],
  ["2", "reference", () => toggle("reference")],
  ["3", "prediction", () => toggle("prediction")],
  ["4", "uncertainty", () => toggle("uncertainty")],
  ["5", "probability", () => toggle("probability")],
  ["o", "all layers off, and on again", () => { state.covered = !state.covered; draw(); }],
  ["i", "next image", () => cycle("image")],
  ["v", "other planes", () => cycle("planes")],
  ["w", "automatic window", () => $("auto-window").click()],
  ["s", "smooth or voxels", () => $("smooth").click()],
  ["+", "zoom in on the crosshair", () => state.drawing.zoomBy(1.5)],
  ["-", "zoom out", () => state.drawing.zoomBy(1 / 1.5)],
  ["PageUp", "slice above", () => step(0, 0, 1)],
  ["PageDown", "slice below", () => step(0, 0, -1)],
  ["ArrowLeft", "crosshair left", () => step(left(), 0, 0)],
  ["ArrowRight", "crosshair right", () => step(-left(), 0, 0)],
  ["ArrowUp", "crosshair up", () => step(0, 1, 0)],
  ["ArrowDown", "crosshair down", () => step(0, -1, 0)],
  ["c", "correct the labels, and stop", toggleCorrecting],
  ["m", "look: the pointer moves the crosshair", () => pick("look")],
  ["b", "paint", () => pick("paint")],
  ["e", "erase", () => pick("erase")],
  [",", "smaller brush", () => resize(-1)],
  [".", "larger brush", () => resize(1)],
  ["k", "ball or disc", toggleBall],
  ["d", "delete the component at the crosshair", removeComponent],
  ["a", "add that of the prediction or the reference", addComponent],
  ["u", "undo", () => undo()],
  ["r", "redo", () => undo(true)],
  ["?", "this help", () => $("help").showModal()],
];

/** With Ctrl or the command key, as elsewhere. */
const CHORDS = { z: () => undo(), y: () => undo(true), Z: () => undo(true), s: save };

function found({ key, ctrlKey, metaKey, altKey }) {
  if (altKey) return undefined;
  if (ctrlKey || metaKey) return CHORDS[key];
  return KEYS.find(([name]) => name === key || (name === "+" && key === "="))?.[2];
}

export function listen() {
  addEventListener("keydown", (event) => {
    // The focus may stay in a dialog that is closed.
    if (document.querySelector("dialog[open]")) return;
    if (event.target.matches("input:not([type=checkbox], [type=range]), select")) return;
    // NiiVue has keys of its own on the canvas.
    if (event.target === $("canvas")) event.stopPropagation();
    const act = state.detail && found(event);
    if (!act) return;
    event.preventDefault();
    act();
  }, { capture: true });
  $("keys").replaceChildren(...KEYS.map(([key, told]) => element("tr", null,
    element("td", null, element("kbd", key)), element("td", told))));
  $("help-button").onclick = () => $("help").showModal();
  $("filter").oninput = listSubjects;
  $("order").onchange = listSubjects;
  $("image").onchange = () => { state.image = $("image").value; draw(); };
  $("planes").onchange = () => state.drawing.setPlanes($("planes").value);
  $("row").onchange = () => {
    state.row = Number($("row").value);
    listFindings();
    draw().then(() => choose(0));
  };
  $("radiological").onchange = () => state.drawing.setRadiological($("radiological").checked);
  $("smooth").onchange = () => state.drawing.setSmooth($("smooth").checked);
  $("zoom-in").onclick = () => state.drawing.zoomBy(1.5);
  $("zoom-out").onclick = () => state.drawing.zoomBy(1 / 1.5);
  $("next").onclick = () => choose(state.lesion + 1);
  $("previous").onclick = () => choose(state.lesion - 1);
  $("auto-window").onclick = () => {
    state.drawing.setWindow();
    showWindow(state.drawing.niivue.volumes[0]);
  };
  const typed = () => {
    const [low, high] = [$("low").valueAsNumber, $("high").valueAsNumber];
    if (Number.isFinite(low) && Number.isFinite(high) && low < high) state.drawing.setWindow(low, high);
  };
  $("low").onchange = typed;
  $("high").onchange = typed;
  listenToTools();
}
