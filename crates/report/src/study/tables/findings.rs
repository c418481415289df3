//! What the study says of the paper's findings.

use crate::study::cells::{Cells, Site};
use crate::study::findings::{self, verify};
use crate::study::table::{Column, StudyTable};
use lacuna_metrics::mean;
use lacuna_record::RunResult;

/// The cells of the study that have been trained, as the findings are checked on.
pub fn finding_cells(cells: &Cells) -> Vec<findings::Cell> {
    let mut found = Vec::new();
    for site in &cells.sites {
        let mut patches: Vec<f64> = (cells.sites.iter())
            .filter(|s| s.network == site.network)
            .map(|s| s.effective_patch.mean_edge())
            .collect();
        patches.sort_unstable_by(f64::total_cmp);
        patches.dedup();
        for loss in &cells.losses {
            let runs: Vec<&RunResult> = cells.runs(site, loss).collect();
            let trained = || runs.iter().filter_map(|r| r.trained());
            let (Some(last_dsc_median), Some(foreground_share)) = (
                mean(trained().map(|t| t.last.median)),
                mean(trained().map(|t| t.foreground_share)),
            ) else {
                continue;
            };
            let judged: Vec<bool> = runs.iter().filter_map(|r| r.collapsed()).collect();
            let collapsed = judged.iter().filter(|c| **c).count();
            found.push(findings::Cell {
                network: site.network.clone(),
                loss: loss.clone(),
                effective_patch: site.effective_patch,
                patch_rank: patches.partition_point(|p| *p < site.effective_patch.mean_edge()),
                batch: site.batch,
                learning_rate: site.learning_rate,
                phantom_share: site.share,
                further: further(cells, site),
                foreground_share,
                last_dsc_median,
                test_dsc: mean(runs.iter().filter_map(|r| r.mean_test_dsc())),
                collapsed_share: collapsed as f64 / judged.len().max(1) as f64,
            });
        }
    }
    found
}

/// What sets a site apart from others of its network beyond the fields of a cell.
fn further(cells: &Cells, site: &Site) -> String {
    let mut others = cells.sites.iter().filter(|s| s.network == site.network);
    match others.any(|s| s.iterations != site.iterations) {
        true => format!("{} iterations {}", site.iterations, site.variant),
        false => site.variant.clone(),
    }
}

/// A row for each finding of the paper.
pub(crate) fn findings(cells: &Cells) -> StudyTable {
    let found = verify(&finding_cells(cells));
    let row = |f: &findings::Finding| {
        let texts = [f.claim.as_str(), f.verdict.text(), &f.numbers, &f.rule];
        texts.map(Into::into).to_vec()
    };
    StudyTable {
        id: "findings".to_owned(),
        title: "The paper's findings on this study".to_owned(),
        columns: ["Claim", "Verdict", "Numbers", "Reproduced when"].map(Column::words).to_vec(),
        rows: found.iter().map(row).collect(),
        convention: "Each claim of Sudre et al. 2017 is checked by one rule with fixed thresholds on \
                     the cells that have been trained. Not testable: the study lacks the cells named."
            .to_owned(),
    }
}
