//! Every run: where it stands and what it found.

use lacuna_record::{Ending, RunResult, State, StudyResults};

use super::{SITE_CONVENTION, SiteColumns};
use crate::study::cells::Cells;
use crate::study::names::{self, duration, score};
use crate::study::table::{Cell, Column, StudyTable};

const CONVENTION: &str = "State: of the last attempt. {Last}: median (IQR) of the training DSC of \
    {last}, of runs that have done them all. Test: mean foreground DSC over the \
    test subjects. Ended: what the network predicts at the end, see the collapsed runs. Time: \
    training and test.";

/// All runs in the order of the plan.
pub(crate) fn runs(results: &StudyResults, cells: &Cells) -> StudyTable {
    let sites: Vec<_> = cells.sites.iter().collect();
    let site_columns = SiteColumns::of(&sites);
    let folds = results.runs.iter().any(|r| r.plan.fold.is_some());
    let mut columns = vec![Column::words("Run")];
    columns.extend(site_columns.columns());
    columns.push(Column::words("Loss"));
    columns.push(Column::numbers("Seed"));
    if folds {
        columns.push(Column::numbers("Fold"));
    }
    columns.extend(["State", "Why"].map(Column::words));
    let last = cells.last();
    let heading = last.heading();
    columns.extend(["Attempts", "Iterations done", &heading, "Test"].map(Column::numbers));
    columns.extend([Column::words("Ended"), Column::numbers("Time")]);
    let row = |run: &RunResult| {
        let mut row: Vec<Cell> = vec![run.plan.name.as_str().into()];
        if let Some(site) = cells.site_of(run) {
            row.extend(site_columns.cells(site));
        }
        row.push(names::loss(&run.plan.loss).into());
        row.push(run.plan.seed.into());
        if folds {
            row.push(
                run.plan
                    .fold
                    .map_or("–".to_owned(), |f| f.to_string())
                    .into(),
            );
        }
        row.extend(found(run));
        row
    };
    StudyTable {
        id: "runs".to_owned(),
        title: "All runs".to_owned(),
        rows: results.runs.iter().map(row).collect(),
        columns,
        convention: format!("{} {SITE_CONVENTION}", last.told(CONVENTION)),
    }
}

fn found(run: &RunResult) -> [Cell; 8] {
    let dash = || "–".to_owned();
    let last = run.trained().map(|t| &t.last);
    let ended = match run.final_ending() {
        Ending::Segments => "segments",
        Ending::Background => "background only",
        Ending::Foreground => "foreground only",
        Ending::Checkerboard => "checkerboard",
        Ending::Unknown => "–",
    };
    let seconds = run
        .outcome
        .as_ref()
        .map(|o| o.train_seconds + o.test_seconds);
    let done = run.training.as_ref().map_or(0, |t| t.iterations);
    [
        run.status.state.to_string().into(),
        match run.status.state {
            State::Done => dash(),
            _ => run.status.message.clone().unwrap_or_else(dash),
        }
        .into(),
        run.status.attempts.into(),
        format!("{done} of {}", run.plan.iterations).into(),
        last.map_or_else(dash, |l| format!("{} ({})", score(l.median), score(l.iqr)))
            .into(),
        run.mean_test_dsc().map_or_else(dash, score).into(),
        ended.into(),
        seconds.map_or_else(dash, duration).into(),
    ]
}
