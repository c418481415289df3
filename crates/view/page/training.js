// The page of a run. It asks how the run stands, and takes the report in anew when that has grown.

const $ = (id) => document.getElementById(id);

/** Between two questions, in ms. */
const PAUSE = 3000;

const shown = { stamp: null, page: 0 };

const WORDS = {
  "at-work": "training",
  finished: "finished",
  stopped: "stopped before its end",
  interrupted: "interrupted: it was killed or has died",
  silent: "nothing was written for a while, and whether it is at work is not known",
};

async function ask(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response;
}

const duration = (seconds) => {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const [unit, name] = parts.find(([unit]) => seconds >= unit) ?? parts[3];
  return `${Math.floor(seconds / unit)} ${name}`;
};

function showState(run) {
  const told = [run.name, WORDS[run.state]];
  if (run.iterations > 0) told.push(`iteration ${run.iterations.toLocaleString("en")}`);
  if (run.seconds_per_iteration !== null) told.push(`${run.seconds_per_iteration.toPrecision(2)} s each`);
  if (run.last !== null && run.state !== "finished") told.push(`the last ${duration(Math.max(run.now - run.last, 0))} ago`);
  $("state").textContent = told.join(" · ");
  $("state").dataset.state = run.state;
  $("subjects").hidden = !run.subjects;
  document.title = `${run.name} – Lacuna`;
  document.body.dataset.iterations = run.iterations;
}

/** The server has made the report of text that it escaped; no script of it would run here. */
function showReport(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const part of page.querySelectorAll("[data-style]")) part.style.cssText = part.dataset.style;
  $("report").replaceChildren(...page.body.childNodes);
  shown.page += 1;
  document.body.dataset.page = shown.page;
}

async function look() {
  let pause = PAUSE;
  try {
    const run = await (await ask("run")).json();
    showState(run);
    if (run.stamp !== shown.stamp) {
      const begun = performance.now();
      showReport(await (await ask("run/page")).text());
      shown.stamp = run.stamp;
      // A long run's page takes a while to make: most of the time is the training's.
      pause = Math.max(PAUSE, 10 * (performance.now() - begun));
    }
    $("problem").hidden = true;
  } catch (error) {
    const gone = error instanceof TypeError;
    $("problem").textContent = gone ? "lacuna view does not answer any more: start it again." : error.message;
    $("problem").hidden = false;
  }
  setTimeout(look, pause);
}

// The secret in the address is now a cookie.
history.replaceState(null, "", location.pathname);
look();
