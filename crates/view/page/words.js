// Colours, words and orders of the page, and the elements that they are put into.

// Okabe and Ito's colours, as in Lacuna's reports: reference sky blue, prediction orange.
export const FAULTS = [
  { value: 4, name: "missed lesion", colour: "#D55E00" },
  { value: 5, name: "false lesion", colour: "#CC79A7" },
  { value: 3, name: "missed voxels", colour: "#56B4E9" },
  { value: 2, name: "false voxels", colour: "#F0E442" },
  { value: 1, name: "hit", colour: "#009E73" },
];
export const REFERENCE = ["#56B4E9", "#0072B2", "#009E73", "#CC79A7", "#F0E442"];
export const PREDICTION = ["#E69F00", "#D55E00", "#F0E442", "#CC79A7", "#009E73"];
export const CORRECTION = ["#B6F02C", "#FF8FD8", "#5CE1E6", "#FFB347", "#C9A7FF"];
export const VERDICTS = {
  missed: { word: "missed", colour: "#D55E00" },
  false: { word: "false", colour: "#CC79A7" },
  found: { word: "found", colour: "#009E73" },
  unjudged: { word: "not judged", colour: "#a3a9b2" },
};
export const ORDERS = {
  dsc: ["worst DSC first", (a, b) => a.dsc - b.dsc],
  f1: ["worst lesion F1 first", (a, b) => a.lesion_f1 - b.lesion_f1],
  missed: ["most missed first", (a, b) => b.missed - a.missed],
  false: ["most false first", (a, b) => b.false - a.false],
  id: ["by name", (a, b) => a.id.localeCompare(b.id, undefined, { numeric: true })],
};

export function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

export function swatch(colour) {
  const made = element("span", "");
  made.className = "swatch";
  made.style.background = colour;
  return made;
}

export const number = (value, digits) => value.toLocaleString("en", {
  minimumFractionDigits: digits, maximumFractionDigits: digits,
});
export const volume = (mm3) => number(mm3, mm3 < 100 ? 1 : 0);
