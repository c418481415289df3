// The page: subjects, layers, lesions and keys. Ids and class names come from files, so they
// are set as text and never as HTML.

import { Drawing, canDraw } from "./drawing.js";
import {
  FAULTS, ORDERS, PREDICTION, REFERENCE, VERDICTS, element, number, swatch, volume,
} from "./words.js";

const $ = (id) => document.getElementById(id);

const OVERLAYS = ["faults", "reference", "prediction", "uncertainty", "probability"];

/** What is shown. `layers` maps the name of a layer to its volume, once it was loaded. */
const state = {
  subjects: [], number: -1, detail: null, row: 0, lesion: -1, image: null,
  layers: new Map(), on: new Set(["faults"]), hidden: new Set(), covered: true, opacity: 0.6,
};
let drawing;

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response;
}

function tell(problem) {
  $("problem").textContent = problem ?? "";
  $("problem").hidden = !problem;
}

// Subjects

function listSubjects() {
  const wanted = $("filter").value.toLowerCase();
  const order = ORDERS[$("order").value];
  const shown = state.subjects.filter(({ id }) => id.toLowerCase().includes(wanted));
  // Subjects without scores come last.
  if (order) shown.sort((a, b) => (a.dsc === null) - (b.dsc === null) || order[1](a, b) || 0);
  $("subjects").replaceChildren(...shown.map((subject) => {
    const button = element("button", subject.id);
    button.type = "button";
    button.setAttribute("aria-current", subject.number === state.number);
    if (subject.dsc !== null) {
      const told = `DSC ${number(subject.dsc, 3)} · ${subject.missed} missed · ${subject.false} false`;
      button.append(element("small", told));
    }
    button.onclick = () => open(subject.number);
    return element("li", null, button);
  }));
}

/** The subject so many places further in the list that is seen. */
function neighbour(steps) {
  const buttons = [...$("subjects").querySelectorAll("button")];
  const at = buttons.findIndex((button) => button.getAttribute("aria-current") === "true");
  buttons[Math.min(Math.max(at + steps, 0), buttons.length - 1)]?.click();
}

async function open(index) {
  state.number = index;
  const { id } = state.subjects[index];
  $("subject").textContent = id;
  document.title = `${id} – Lacuna`;
  delete document.body.dataset.drawn;
  tell(null);
  listSubjects();
  // Never the picture of one subject under the name of another.
  $("stage").classList.add("busy", "other");
  try {
    const detail = await (await load(`subject/${index}`)).json();
    if (state.number !== index) return;
    Object.assign(state, { detail, lesion: -1, layers: new Map() });
    state.row = Math.min(state.row, Math.max(detail.rows.length - 1, 0));
    drawing.begin();
    listImages();
    listRows();
    tell(detail.problem);
    const kinds = available();
    if (state.on.size > 0 && kinds.length > 0 && !kinds.some((kind) => state.on.has(kind))) {
      state.on.add(kinds[0]);
    }
    await draw();
    if (state.number !== index) return;
    if (lesions().length > 0) choose(0);
    else drawing.goToMiddle();
    document.body.dataset.drawn = id;
  } catch (error) {
    if (state.number === index) tell(error.message);
  } finally {
    if (state.number === index) $("stage").classList.remove("busy");
  }
}

// Layers

function listImages() {
  const images = state.detail.layers.filter(({ kind }) => kind === "image");
  if (!images.some(({ title }) => title === state.image)) {
    state.image = (images.find(({ title }) => /flair/i.test(title)) ?? images[0]).title;
  }
  $("image").replaceChildren(...images.map(({ title }) => new Option(title, title)));
  $("image").value = state.image;
}

/** The layer of a kind that is shown: that of the row, or of its first class. */
function layer(kind) {
  const found = state.detail.layers.filter((one) => one.kind === kind);
  if (kind === "image") return found.find(({ title }) => title === state.image);
  const row = state.detail.rows[state.row]?.name;
  return found.find(({ title }) => title === row) ?? found[0];
}

function available() {
  return OVERLAYS.filter((kind) => layer(kind));
}

/** The kinds that are seen, from the lowest to the topmost. */
function seen() {
  if (!state.covered) return [];
  return available().filter((kind) => state.on.has(kind)).reverse();
}

function colours(kind) {
  if (kind === "faults") {
    return FAULTS.map((fault) => ({ ...fault, hidden: state.hidden.has(fault.value) }));
  }
  const palette = kind === "reference" ? REFERENCE : PREDICTION;
  return state.detail.classes.slice(1).map((name, i) => ({
    value: i + 1, name: `${kind}: ${name}`, colour: palette[i % palette.length], hidden: false,
  }));
}

function listLayers() {
  const made = available().map((kind) => {
    const box = element("input", null);
    box.type = "checkbox";
    box.checked = state.covered && state.on.has(kind);
    box.onchange = () => toggle(kind);
    const key = OVERLAYS.indexOf(kind) + 1;
    const name = kind === "faults" ? "errors" : kind;
    const label = element("label", null, box);
    if (kind === "reference") label.append(swatch(REFERENCE[0]));
    if (kind === "prediction") label.append(swatch(PREDICTION[0]));
    label.append(`${name}`);
    label.className = "layer";
    label.title = `Show or hide (${key})`;
    return label;
  });
  if (available().length > 0) {
    const range = element("input", null);
    Object.assign(range, { type: "range", min: 0.1, max: 1, step: 0.05, value: state.opacity });
    range.setAttribute("aria-label", "Opacity of the layers");
    range.title = "Opacity of the layers";
    range.onchange = () => { state.opacity = Number(range.value); draw(); };
    made.push(range);
  }
  if (seen().includes("faults")) {
    const below = element("span", "");
    below.className = "break";
    made.push(below, ...FAULTS.map(({ value, name, colour }) => {
      const box = element("input", null);
      box.type = "checkbox";
      box.checked = !state.hidden.has(value);
      box.onchange = () => {
        if (!state.hidden.delete(value)) state.hidden.add(value);
        draw();
      };
      const label = element("label", null, box, swatch(colour), name);
      label.className = "layer";
      return label;
    }));
  }
  $("layers").replaceChildren(...made);
}

function toggle(kind) {
  if (!layer(kind)) return;
  if (!state.covered) state.on.clear();
  if (!state.on.delete(kind) || !state.covered) state.on.add(kind);
  state.covered = true;
  draw();
}

/** How values are coloured; labels have tables. */
const OPTIONS = {
  image: { colormap: "gray" },
  uncertainty: { colormap: "inferno" },
  probability: { colormap: "warm", cal_min: 0.05, cal_max: 1 },
};

/** The volume of a layer, loaded when it is first wanted. */
async function volumeOf(kind) {
  const { name } = layer(kind);
  // Those of another subject may take their place while this one loads.
  const { layers } = state;
  if (!layers.has(name)) {
    const response = await load(`volume/${state.number}/${name}`);
    const bytes = await response.arrayBuffer();
    layers.set(name, await drawing.read(bytes, OPTIONS[kind] ?? {}));
  }
  const loaded = layers.get(name);
  if (kind === "uncertainty") {
    loaded.cal_max = loaded.global_max;
    loaded.cal_min = 0.05 * loaded.global_max;
  }
  if (!OPTIONS[kind]) drawing.colour(loaded, colours(kind));
  if (kind !== "image") loaded.opacity = state.opacity;
  return loaded;
}

/** Draws the image and the layers that are switched on. */
async function draw() {
  listLayers();
  const { number: index } = state;
  $("stage").classList.add("busy");
  try {
    const kinds = ["image", ...seen()];
    const volumes = await Promise.all(kinds.map(volumeOf));
    // Meanwhile the user may have gone on.
    if (state.number !== index || kinds.join() !== ["image", ...seen()].join()) return;
    flat(volumes[0]);
    drawing.show(volumes);
    $("stage").classList.remove("other");
    showWindow(volumes[0]);
  } catch (error) {
    if (state.number === index) tell(error.message);
  } finally {
    if (state.number === index) $("stage").classList.remove("busy");
  }
}

/** A picture has one plane. */
function flat(image) {
  const [, , , depth] = image.dimsRAS;
  const single = depth === 1;
  $("planes").disabled = single;
  if (single) $("planes").value = "axial";
  else if (state.single) $("planes").value = "multi";
  if (single !== Boolean(state.single)) drawing.setPlanes($("planes").value);
  state.single = single;
  // All shades of a picture, until another window is asked for.
  if (single && !image.begun) [image.cal_min, image.cal_max] = [image.global_min, image.global_max];
  image.begun = true;
}

function showWindow(image) {
  const short = (value) => Number(value.toPrecision(5));
  $("low").value = short(image.cal_min);
  $("high").value = short(image.cal_max);
}

// Findings

function lesions() {
  return state.detail.rows[state.row]?.lesions ?? [];
}

function listRows() {
  const { rows } = state.detail;
  $("row").hidden = rows.length < 2;
  $("row").replaceChildren(...rows.map(({ name }, i) => new Option(name, i)));
  $("row").value = state.row;
  listScores();
  listLesions();
}

function listScores() {
  const row = state.detail.rows[state.row];
  const pairs = [];
  if (row?.scores) {
    const s = row.scores;
    const truth = row.lesions.filter(({ verdict }) => verdict !== "false").length;
    const share = (of, value) => (of > 0 ? number(value, 2) : "–");
    pairs.push(
      ["DSC", number(s.dsc, 3)], ["HD95 mm", number(s.hd95_mm, 1)],
      ["sensitivity", share(s.reference_mm3, s.sensitivity)],
      ["precision", share(s.prediction_mm3, s.precision)],
      ["lesion recall", share(truth, s.lesion_recall)],
      ["lesion prec.", share(s.predicted_lesions, s.lesion_precision)],
      ["lesion F1", number(s.lesion_f1, 2)], ["NSD 1 mm", number(s.nsd, 2)],
      ["ref. mm³", volume(s.reference_mm3)], ["pred. mm³", volume(s.prediction_mm3)],
    );
  }
  $("scores").replaceChildren(
    ...pairs.flatMap(([name, value]) => [element("dt", name), element("dd", value)]),
  );
}

function listLesions() {
  const list = lesions();
  const count = (verdict) => list.filter((one) => one.verdict === verdict).length;
  const parts = Object.entries(VERDICTS).filter(([verdict]) => count(verdict) > 0)
    .map(([verdict, { word }]) => `${count(verdict)} ${word}`);
  const nothing = state.detail.rows.length > 0 ? "no lesions" : "";
  $("lesion-count").textContent = parts.join(", ") || nothing;
  $("lesions").replaceChildren(...list.map((lesion, i) => {
    const { word, colour } = VERDICTS[lesion.verdict];
    const [x, y, z] = lesion.at_mm.map((mm) => number(mm, 1));
    const judged = lesion.verdict === "found";
    const line = element("tr", null,
      element("td", null, swatch(colour)), element("td", `${i + 1} ${word}`),
      element("td", volume(lesion.mm3)),
      element("td", judged ? `${number(100 * lesion.covered, 0)} %` : "–"));
    line.tabIndex = 0;
    line.title = `${lesion.voxels} voxels at ${x}, ${y}, ${z} mm`
      + (judged ? `, DSC ${number(lesion.dsc, 2)}` : "");
    line.onclick = () => choose(i);
    line.onkeydown = (event) => { if (event.key === "Enter") choose(i); };
    return line;
  }));
}

/** Goes to a lesion of the table. */
function choose(index) {
  const list = lesions();
  if (list.length === 0) return;
  state.lesion = (index + list.length) % list.length;
  [...$("lesions").rows].forEach((line, i) => line.setAttribute("aria-selected", i === state.lesion));
  const line = $("lesions").rows[state.lesion];
  const list_box = $("lesion-list");
  // Within its list: the page itself must not jump.
  const [top, bottom] = [line.offsetTop, line.offsetTop + line.offsetHeight];
  if (top < list_box.scrollTop + 30) list_box.scrollTop = top - 30;
  if (bottom > list_box.scrollTop + list_box.clientHeight) list_box.scrollTop = bottom - list_box.clientHeight;
  drawing.goTo(list[state.lesion].at_mm);
  document.body.dataset.lesion = state.lesion + 1;
}

function moved({ mm, values }) {
  const place = [0, 1, 2].map((axis) => number(mm[axis], 1)).join(", ");
  const [image, ...others] = values;
  const words = others.map(({ value }, i) => {
    const kind = seen()[i];
    if (!kind || OPTIONS[kind]) return kind ? `${kind} ${number(value, 3)}` : "";
    return value > 0 ? colours(kind).find((label) => label.value === value)?.name : "";
  });
  const intensity = image ? `${state.image} ${Number(image.value.toPrecision(5))}` : "";
  $("place").textContent = [`${place} mm`, intensity, ...words].filter(Boolean).join(" · ");
}

// Controls and keys

function cycle(id) {
  const list = $(id);
  if (list.disabled || list.options.length === 0) return;
  list.selectedIndex = (list.selectedIndex + 1) % list.options.length;
  list.dispatchEvent(new Event("change"));
}

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
  ["+", "zoom in on the crosshair", () => drawing.zoomBy(1.5)],
  ["-", "zoom out", () => drawing.zoomBy(1 / 1.5)],
  ["PageUp", "slice above", () => drawing.step([0, 0, 1])],
  ["PageDown", "slice below", () => drawing.step([0, 0, -1])],
  ["ArrowLeft", "crosshair left", () => drawing.step([$("radiological").checked ? 1 : -1, 0, 0])],
  ["ArrowRight", "crosshair right", () => drawing.step([$("radiological").checked ? -1 : 1, 0, 0])],
  ["ArrowUp", "crosshair up", () => drawing.step([0, 1, 0])],
  ["ArrowDown", "crosshair down", () => drawing.step([0, -1, 0])],
  ["?", "this help", () => $("help").showModal()],
];

function listen() {
  addEventListener("keydown", (event) => {
    // The focus may stay in a dialog that is closed.
    if (event.target.matches("input:not([type=checkbox]), select, dialog[open], dialog[open] *")) return;
    if (event.ctrlKey || event.metaKey || event.altKey || !state.detail) return;
    const found = KEYS.find(([key]) => key === event.key || (key === "+" && event.key === "="));
    // NiiVue has keys of its own on the canvas.
    if (event.target === $("canvas")) event.stopPropagation();
    if (!found) return;
    event.preventDefault();
    found[2]();
  }, { capture: true });
  $("keys").replaceChildren(...KEYS.map(([key, told]) => element("tr", null,
    element("td", null, element("kbd", key)), element("td", told))));
  $("help-button").onclick = () => $("help").showModal();
  $("filter").oninput = listSubjects;
  $("order").onchange = listSubjects;
  $("image").onchange = () => { state.image = $("image").value; draw(); };
  $("planes").onchange = () => drawing.setPlanes($("planes").value);
  $("row").onchange = () => {
    state.row = Number($("row").value);
    listScores();
    listLesions();
    draw().then(() => choose(0));
  };
  $("radiological").onchange = () => drawing.setRadiological($("radiological").checked);
  $("smooth").onchange = () => drawing.setSmooth($("smooth").checked);
  $("zoom-in").onclick = () => drawing.zoomBy(1.5);
  $("zoom-out").onclick = () => drawing.zoomBy(1 / 1.5);
  $("next").onclick = () => choose(state.lesion + 1);
  $("previous").onclick = () => choose(state.lesion - 1);
  $("auto-window").onclick = () => {
    drawing.setWindow();
    showWindow(drawing.niivue.volumes[0]);
  };
  const typed = () => {
    const [low, high] = [$("low").valueAsNumber, $("high").valueAsNumber];
    if (Number.isFinite(low) && Number.isFinite(high) && low < high) drawing.setWindow(low, high);
  };
  $("low").onchange = typed;
  $("high").onchange = typed;
}

async function start() {
  // The secret in the address is now a cookie.
  history.replaceState(null, "", "/");
  if (!canDraw()) {
    tell("This browser cannot draw with WebGL 2. Switch hardware acceleration on in its settings, "
      + "or open the address in another browser.");
    document.body.dataset.drawn = "cannot";
    return;
  }
  drawing = new Drawing({ moved, windowed: showWindow });
  await drawing.attach($("canvas"));
  const overview = await (await load("subjects")).json();
  $("dataset").textContent = overview.dataset;
  state.subjects = overview.subjects.map((subject, i) => ({ ...subject, number: i }));
  const scored = state.subjects.some(({ dsc }) => dsc !== null);
  const orders = Object.keys(ORDERS).filter((order) => scored || order === "id");
  $("order").replaceChildren(...orders.map((order) => new Option(ORDERS[order][0], order)));
  listen();
  await open(0);
}

start().catch((error) => tell(error.message));
