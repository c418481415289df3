// The page of subjects. Ids and class names come from files, so they are set as text and never
// as HTML.

import { listen } from "./controls.js";
import { beginStroke, correctedAt, endStroke, reach, stroke } from "./corrections.js";
import { Drawing, canDraw } from "./drawing.js";
import { showPlace, showWindow } from "./layers.js";
import { $, load, state, tell } from "./shown.js";
import { open } from "./subjects.js";
import { ORDERS } from "./words.js";

async function start() {
  // The secret in the address is now a cookie.
  history.replaceState(null, "", location.pathname);
  if (!canDraw()) {
    tell("This browser cannot draw with WebGL 2. Switch hardware acceleration on in its settings, "
      + "or open the address in another browser.");
    document.body.dataset.drawn = "cannot";
    return;
  }
  state.drawing = new Drawing({
    moved: (place) => showPlace(place, correctedAt(place.vox)),
    windowed: showWindow,
    pressed: beginStroke, drawn: stroke, released: endStroke, reach,
  });
  await state.drawing.attach($("canvas"));
  const overview = await (await load("subjects")).json();
  $("dataset").textContent = overview.dataset;
  $("training").hidden = !overview.training;
  state.folder = overview.corrections;
  state.subjects = overview.subjects.map((subject, i) => ({ ...subject, number: i }));
  const scored = state.subjects.some(({ dsc }) => dsc !== null);
  const orders = Object.keys(ORDERS).filter((order) => scored || order === "id");
  $("order").replaceChildren(...orders.map((order) => new Option(ORDERS[order][0], order)));
  listen();
  await open(0);
}

start().catch((error) => tell(error.message));
