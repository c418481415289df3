// The list of subjects, and going from one to another.

import { beginCorrections, mayLeave } from "./corrections.js";
import { choose, lesions, listRows } from "./findings.js";
import { available, draw, listImages } from "./layers.js";
import { $, load, state, tell } from "./shown.js";
import { ORDERS, element, number } from "./words.js";

export function listSubjects() {
  const wanted = $("filter").value.toLowerCase();
  const order = ORDERS[$("order").value];
  const shown = state.subjects.filter(({ id }) => id.toLowerCase().includes(wanted));
  // Subjects without scores come last.
  if (order) shown.sort((a, b) => (a.dsc === null) - (b.dsc === null) || order[1](a, b) || 0);
  $("subjects").replaceChildren(...shown.map((subject) => {
    const button = element("button", subject.id);
    button.type = "button";
    button.setAttribute("aria-current", subject.number === state.number);
    const told = [];
    if (subject.dsc !== null) {
      told.push(`DSC ${number(subject.dsc, 3)}`, `${subject.missed} missed`, `${subject.false} false`);
    }
    if (subject.corrected) told.push("corrected");
    if (told.length > 0) button.append(element("small", told.join(" · ")));
    button.onclick = () => open(subject.number);
    return element("li", null, button);
  }));
}

/** The subject so many places further in the list that is seen. */
export function neighbour(steps) {
  const buttons = [...$("subjects").querySelectorAll("button")];
  const at = buttons.findIndex((button) => button.getAttribute("aria-current") === "true");
  buttons[Math.min(Math.max(at + steps, 0), buttons.length - 1)]?.click();
}

export async function open(index) {
  if (!await mayLeave()) return;
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
    state.drawing.begin();
    listImages();
    listRows();
    tell(detail.problem);
    const kinds = available();
    if (state.on.size > 0 && kinds.length > 0 && !kinds.some((kind) => state.on.has(kind))) {
      state.on.add(kinds[0]);
    }
    await beginCorrections();
    if (state.number !== index) return;
    await draw();
    if (state.number !== index) return;
    if (lesions().length > 0) choose(0);
    else state.drawing.goToMiddle();
    document.body.dataset.drawn = id;
  } catch (error) {
    if (state.number === index) tell(error.message);
  } finally {
    if (state.number === index) $("stage").classList.remove("busy");
  }
}
