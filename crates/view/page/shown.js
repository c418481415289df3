// What is shown, and what all parts of the page need.

export const $ = (id) => document.getElementById(id);

/** What is shown. `layers` maps the name of a layer to its volume, once it was loaded. */
export const state = {
  subjects: [], number: -1, detail: null, row: 0, lesion: -1, image: null,
  layers: new Map(), hidden: new Set(), covered: true, opacity: 0.6,
  /** The layers that are switched on, and those below labels that are corrected: what began as a
      copy of the prediction hides what is taken away of it. */
  on: new Set(["faults"]), beneath: new Set(), correcting: false,
  /** Where corrections are saved; null where none are taken. */
  folder: null,
  /** The pictures. */
  drawing: null,
};

export async function load(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response;
}

export function tell(problem) {
  $("problem").textContent = problem ?? "";
  $("problem").hidden = !problem;
}
