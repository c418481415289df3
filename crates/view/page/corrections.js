// Correcting a label map: tools, what is unsaved, and saving.

import { LabelMap, component, drawn, inFileOrder } from "./brush.js";
import { draw, volumeOf } from "./layers.js";
import { $, load, state, tell } from "./shown.js";
import { listSubjects } from "./subjects.js";
import { CORRECTION, element, number } from "./words.js";

/** Diameters of the brush, in voxels. */
const SIZES = [1, 2, 3, 5, 7, 9, 13, 19, 27];

/** `map` is what is edited of the subject, `file` the volume that it came in. `wanted` holds for
    the subjects that are opened next, too. */
const edit = {
  wanted: false, map: null, file: null, tool: "look", value: 1, size: 3, ball: false,
  begun: false, last: null, saving: false, told: "",
};

const classes = () => state.detail.classes.slice(1);
const unsaved = () => Boolean(edit.map) && edit.map.changed > 0;

/** Whether the subject may be left; asks where something is unsaved. */
export async function mayLeave() {
  // What is drawn with the button still down belongs to this subject.
  endStroke();
  if (!unsaved()) return true;
  const dialog = $("leave");
  $("leave-told").textContent = `${voxels(edit.map.changed)} of ${state.detail.id} are changed and not saved.`;
  dialog.returnValue = "stay";
  dialog.showModal();
  await new Promise((done) => { dialog.addEventListener("close", done, { once: true }); });
  if (dialog.returnValue === "save") return save();
  return dialog.returnValue === "discard";
}

const voxels = (count) => `${number(count, 0)} voxel${count === 1 ? "" : "s"}`;

/** Of the subject that was just opened. */
export async function beginCorrections() {
  stop();
  const { correction } = state.detail;
  if (correction && (edit.wanted || correction.saves > 0)) await begin();
  list();
}

function stop() {
  Object.assign(edit, { map: null, file: null, told: "" });
  state.correcting = false;
  state.drawing.closeLabels();
}

async function begin() {
  const { number: index } = state;
  try {
    const bytes = await (await load(`volume/${index}/correction`)).arrayBuffer();
    const file = await state.drawing.read(bytes, {});
    if (state.number !== index) return;
    const [, ...shape] = file.dimsRAS;
    const edges = file.pixDimsRAS.slice(1, 4);
    edit.file = file;
    edit.map = new LabelMap(drawn(file), shape.slice(0, 3), edges);
    edit.value = Math.min(edit.value, classes().length);
    state.correcting = true;
  } catch (error) {
    if (state.number === index) tell(error.message);
  }
}

/** Switches correcting on, or off where nothing is unsaved. */
export async function toggleCorrecting() {
  if (!state.detail.correction) {
    $("how").showModal();
    return;
  }
  if (edit.map) {
    if (!await mayLeave()) return;
    edit.wanted = false;
    stop();
  } else {
    edit.wanted = true;
    edit.tool = "paint";
    await begin();
  }
  await draw();
  list();
}

/** Whether the voxels of the image that is shown are those that are edited. */
const fits = () => edit.map && state.drawing.hasVoxelsOf(edit.file);

/** Puts the edited labels over the layers. */
export function showLabels() {
  if (!edit.map) return;
  if (!fits()) {
    state.drawing.closeLabels();
  } else {
    const palette = classes().map((name, i) => ({
      value: i + 1, name, colour: CORRECTION[i % CORRECTION.length], hidden: false,
    }));
    state.drawing.showLabels(edit.map.voxels, palette, state.opacity);
  }
  list();
}

function changed() {
  state.drawing.refreshLabels();
  edit.told = "";
  list();
}

/** The name of the corrected class at the crosshair. */
export function correctedAt(vox) {
  if (!fits()) return "";
  const value = edit.map.voxels[edit.map.index(vox)];
  return value > 0 ? `corrected: ${classes()[value - 1]}` : "";
}

// Tools

export function pick(tool) {
  if (!edit.map) return;
  endStroke();
  edit.tool = tool;
  list();
}

export function resize(steps) {
  const at = SIZES.indexOf(edit.size) + steps;
  edit.size = SIZES[Math.min(Math.max(at, 0), SIZES.length - 1)];
  list();
}

export function toggleBall() {
  edit.ball = !edit.ball;
  list();
}

/** Radius of the brush in mm across an axis; 0 where nothing is painted. */
export function reach(axis) {
  if (!fits() || edit.tool === "look") return 0;
  return edit.map.radius(edit.size, edit.ball ? null : axis);
}

/** The pointer goes down: whether it draws. */
export function beginStroke() {
  if (!fits() || edit.tool === "look" || edit.saving) return false;
  edit.map.begin();
  Object.assign(edit, { begun: true, last: null });
  return true;
}

/** The pointer is over a voxel of the plane across `axis`. */
export function stroke(voxel, axis) {
  if (!edit.begun) return;
  edit.map.paint(edit.last ?? voxel, voxel, {
    value: edit.tool === "erase" ? 0 : edit.value, diameter: edit.size, axis: edit.ball ? null : axis,
  });
  edit.last = voxel;
  changed();
}

export function endStroke() {
  if (!edit.begun) return;
  edit.begun = false;
  edit.map.end();
  list();
}

/** Takes a step back, or forth again. */
export function undo(forth = false) {
  if (!edit.map || edit.saving) return;
  endStroke();
  if (!(forth ? edit.map.redo() : edit.map.undo())) return;
  changed();
  state.drawing.tellPlace();
}

function replace(indices, value) {
  edit.map.begin();
  for (const index of indices) edit.map.set(index, value);
  const any = edit.map.end();
  if (any) {
    changed();
    state.drawing.tellPlace();
  }
  return any;
}

const here = () => edit.map.index(state.drawing.voxel());

/** Deletes the component at the crosshair. */
export function removeComponent() {
  if (!fits() || edit.saving) return;
  const found = component(edit.map.voxels, edit.map.shape, here());
  if (replace(found, 0)) say(`deleted ${voxels(found.length)}`);
  else say("no component at the crosshair");
}

/** Adds the component of the prediction at the crosshair, or else that of the reference. */
export async function addComponent() {
  if (!fits() || edit.saving) return;
  const { map } = edit;
  const seed = here();
  for (const kind of ["prediction", "reference"]) {
    const source = await volumeOf(kind);
    if (edit.map !== map) return;
    if (!source || !state.drawing.hasVoxelsOf(source)) continue;
    const labels = drawn(source);
    const found = component(labels, map.shape, seed);
    if (found.length > 0 && replace(found, labels[seed])) {
      say(`added ${voxels(found.length)} of the ${kind}`);
      return;
    }
  }
  say("nothing to add at the crosshair");
}

function say(told) {
  edit.told = told;
  list();
}

// Saving

/** Whether it was saved. */
export async function save() {
  if (!edit.map || edit.saving) return false;
  endStroke();
  const { number: index, detail } = state;
  const { map, file } = edit;
  edit.saving = true;
  say("saving …");
  try {
    const response = await load(`correction/${index}?saves=${detail.correction.saves}`, {
      method: "PUT",
      headers: { "Content-Type": "application/octet-stream" },
      body: inFileOrder(file, map.voxels),
    });
    const saved = await response.json();
    map.kept();
    Object.assign(detail.correction, saved);
    state.subjects[index].corrected = true;
    tell(null);
    const than = { prediction: "the prediction", reference: "the reference", nothing: "no label" };
    const differs = saved.voxels_changed === null ? ""
      : `, ${voxels(saved.voxels_changed)} other than ${than[detail.correction.started_from]}`;
    edit.told = `saved ${saved.file}${differs}. To train on it: ${saved.manifest}`;
    document.body.dataset.saved = saved.saves;
    return true;
  } catch (error) {
    edit.told = "not saved";
    tell(error.message);
    return false;
  } finally {
    edit.saving = false;
    listSubjects();
    list();
  }
}

// What is seen of it

function list() {
  const { correction } = state.detail;
  const on = Boolean(edit.map);
  $("correct").setAttribute("aria-pressed", on);
  $("tools").hidden = !on;
  $("canvas").classList.toggle("brush", on && edit.tool !== "look");
  if (!on || edit.tool === "look") $("ring").hidden = true;
  $("judged").hidden = state.detail.rows.length === 0 || !(correction?.saves > 0 || unsaved());
  if (!on) {
    $("corrected").textContent = edit.told;
    document.body.dataset.changed = "";
    return;
  }
  for (const tool of ["look", "paint", "erase"]) {
    $(tool).setAttribute("aria-pressed", edit.tool === tool);
  }
  if ($("class").options.length !== classes().length || $("class").dataset.of !== state.detail.id) {
    $("class").replaceChildren(...classes().map((name, i) => new Option(name, i + 1)));
    $("class").dataset.of = state.detail.id;
  }
  $("class").hidden = classes().length < 2;
  $("class").value = edit.value;
  $("class-colour").style.background = CORRECTION[(edit.value - 1) % CORRECTION.length];
  $("size").textContent = edit.size;
  $("ball").checked = edit.ball;
  $("undo").disabled = edit.map.done.length === 0;
  $("redo").disabled = edit.map.undone.length === 0;
  $("save").classList.toggle("wanted", unsaved());
  $("save").disabled = edit.saving || !(unsaved() || correction.saves === 0);
  const parts = [edit.told];
  if (!fits()) parts.unshift(`show the image ${correction.image} to correct: this one has other voxels`);
  if (unsaved() && !edit.saving) parts.push(`${voxels(edit.map.changed)} unsaved`);
  const start = { prediction: "begun as the prediction", reference: "begun as the reference", nothing: "begun empty" };
  if (parts.every((part) => !part)) {
    parts.push(correction.saves > 0 ? `as saved in ${state.folder}` : start[correction.started_from]);
  }
  $("corrected").textContent = parts.filter(Boolean).join(" · ");
  document.body.dataset.changed = edit.map.changed;
}

export function listenToTools() {
  $("correct").onclick = toggleCorrecting;
  for (const tool of ["look", "paint", "erase"]) $(tool).onclick = () => pick(tool);
  $("smaller").onclick = () => resize(-1);
  $("larger").onclick = () => resize(1);
  $("ball").onchange = toggleBall;
  $("class").onchange = () => { edit.value = Number($("class").value); list(); };
  $("remove").onclick = removeComponent;
  $("add").onclick = addComponent;
  $("undo").onclick = () => undo();
  $("redo").onclick = () => undo(true);
  $("save").onclick = save;
  addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });
}
