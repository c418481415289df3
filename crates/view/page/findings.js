// Scores and lesions of the subject.

import { $, state } from "./shown.js";
import { VERDICTS, element, number, swatch, volume } from "./words.js";

export function lesions() {
  return state.detail.rows[state.row]?.lesions ?? [];
}

export function listRows() {
  const { rows } = state.detail;
  $("row").hidden = rows.length < 2;
  $("row").replaceChildren(...rows.map(({ name }, i) => new Option(name, i)));
  $("row").value = state.row;
  listFindings();
}

export function listFindings() {
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
export function choose(index) {
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
  state.drawing.goTo(list[state.lesion].at_mm);
  document.body.dataset.lesion = state.lesion + 1;
}
