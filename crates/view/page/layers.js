// The image and the layers over it: which there are, which are seen, and their colours.

import { showLabels } from "./corrections.js";
import { $, load, state, tell } from "./shown.js";
import { FAULTS, PREDICTION, REFERENCE, element, number, swatch } from "./words.js";

const OVERLAYS = ["faults", "reference", "prediction", "uncertainty", "probability"];

/** How values are coloured; labels have tables. */
const OPTIONS = {
  image: { colormap: "gray" },
  uncertainty: { colormap: "inferno" },
  probability: { colormap: "warm", cal_min: 0.05, cal_max: 1 },
};

export function listImages() {
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

export function available() {
  return OVERLAYS.filter((kind) => layer(kind));
}

const switchedOn = () => (state.correcting ? state.beneath : state.on);

/** The kinds that are seen, from the lowest to the topmost. */
export function seen() {
  if (!state.covered) return [];
  return available().filter((kind) => switchedOn().has(kind)).reverse();
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
    box.checked = state.covered && switchedOn().has(kind);
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
  const range = element("input", null);
  Object.assign(range, { type: "range", min: 0.1, max: 1, step: 0.05, value: state.opacity });
  range.setAttribute("aria-label", "Opacity of the layers");
  range.title = "Opacity of the layers";
  range.onchange = () => { state.opacity = Number(range.value); draw(); };
  if (available().length > 0) made.push(range);
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

export function toggle(kind) {
  if (!layer(kind)) return;
  const on = switchedOn();
  if (!state.covered) on.clear();
  if (!on.delete(kind) || !state.covered) on.add(kind);
  state.covered = true;
  draw();
}

/** The volume of a layer, loaded when it is first wanted; null where there is none. */
export async function volumeOf(kind) {
  const name = layer(kind)?.name;
  if (!name) return null;
  // Those of another subject may take their place while this one loads.
  const { layers } = state;
  if (!layers.has(name)) {
    const response = await load(`volume/${state.number}/${name}`);
    const bytes = await response.arrayBuffer();
    layers.set(name, await state.drawing.read(bytes, OPTIONS[kind] ?? {}));
  }
  const loaded = layers.get(name);
  if (kind === "uncertainty") {
    loaded.cal_max = loaded.global_max;
    loaded.cal_min = 0.05 * loaded.global_max;
  }
  if (!OPTIONS[kind]) state.drawing.colour(loaded, colours(kind));
  if (kind !== "image") loaded.opacity = state.opacity;
  return loaded;
}

/** Draws the image and the layers that are switched on. */
export async function draw() {
  listLayers();
  const { number: index } = state;
  $("stage").classList.add("busy");
  try {
    const kinds = ["image", ...seen()];
    const volumes = await Promise.all(kinds.map(volumeOf));
    // Meanwhile the user may have gone on.
    if (state.number !== index || kinds.join() !== ["image", ...seen()].join()) return;
    flat(volumes[0]);
    state.drawing.show(volumes);
    showLabels();
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
  if (single !== Boolean(state.single)) state.drawing.setPlanes($("planes").value);
  state.single = single;
  // All shades of a picture, until another window is asked for.
  if (single && !image.begun) [image.cal_min, image.cal_max] = [image.global_min, image.global_max];
  image.begun = true;
}

export function showWindow(image) {
  const short = (value) => Number(value.toPrecision(5));
  $("low").value = short(image.cal_min);
  $("high").value = short(image.cal_max);
}

/** Tells what is at the crosshair. */
export function showPlace({ mm, values }, corrected) {
  const place = [0, 1, 2].map((axis) => number(mm[axis], 1)).join(", ");
  const [image, ...others] = values;
  const words = others.map(({ value }, i) => {
    const kind = seen()[i];
    if (!kind || OPTIONS[kind]) return kind ? `${kind} ${number(value, 3)}` : "";
    return value > 0 ? colours(kind).find((label) => label.value === value)?.name : "";
  });
  const intensity = image ? `${state.image} ${Number(image.value.toPrecision(5))}` : "";
  const all = [`${place} mm`, intensity, ...words, corrected];
  $("place").textContent = all.filter(Boolean).join(" · ");
}
