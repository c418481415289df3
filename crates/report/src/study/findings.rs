//! Whether a study finds what Sudre et al. 2017 found.
//!
//! [`verify`] applies one rule to the cells of a study for each finding of the
//! paper. Each looks at the direction of an effect, but for the cells of the
//! paper's tables that can be read, which are compared number by number. A
//! rule that the study has no cells for is not testable, and says which are
//! missing. Training DSC is the median of the last 200 iterations, as in the
//! paper's Tables 2 and 3, mean over seeds.
//!
//! The thresholds follow Table 1 of the paper: patches of its 2-D task hold 0.15 to
//! 0.52 foreground, those of its 3-D task mostly 0.02 and less.

mod checks;
mod comparisons;
mod grid;

use lacuna_volume::PatchSize;
use serde::{Deserialize, Serialize};

/// A setting trained with one loss and learning rate; runs that differ only in
/// seed or fold are one cell. No two cells agree in all of `network`, `loss`,
/// `effective_patch`, `batch`, `learning_rate`, `phantom_share` and `further`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// As in `model.name`.
    pub network: String,
    /// Name of the loss, then the options that set it apart.
    pub loss: String,
    /// Voxels of the effective patch.
    pub effective_patch: PatchSize,
    /// Place of the patch among those of the network, 0 for the smallest.
    pub patch_rank: usize,
    /// Patches per iteration.
    pub batch: usize,
    /// Constant learning rate.
    pub learning_rate: f64,
    /// Lesion voxels as a share of all, when the study makes the dataset.
    pub phantom_share: Option<f64>,
    /// Whatever else sets the cell apart, in words; may be empty.
    pub further: String,
    /// Mean share of foreground that the effective patches had.
    pub foreground_share: f64,
    /// Training DSC: median of the last 200 iterations, mean over seeds.
    pub last_dsc_median: f64,
    /// DSC of whole test volumes, mean over subjects and seeds.
    pub test_dsc: Option<f64>,
    /// Share of the seeds that ended predicting one class alone.
    pub collapsed_share: f64,
}

/// What a study says of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its rule holds.
    Reproduced,
    /// Its rule does not hold.
    NotReproduced,
    /// The study has no cells for its rule.
    NotTestable,
}

/// A finding of the paper, and what a study says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name.
    pub name: String,
    /// What the paper says, and where.
    pub claim: String,
    /// What the study says.
    pub verdict: Verdict,
    /// The figures behind the verdict, or what is missing.
    pub numbers: String,
    /// When the finding counts as reproduced.
    pub rule: String,
}

/// Checks all findings of the paper on the cells of a study.
pub fn verify(cells: &[Cell]) -> Vec<Finding> {
    let grid = grid::Grid::of(cells);
    let mut findings = vec![
        checks::mild_imbalance(&grid),
        checks::cross_entropy_fails(&grid),
        checks::sensitivity_specificity_degrades(&grid),
        checks::dice_holds_at_low_rates(&grid),
        checks::dice_fails_at_fast_rate(&grid),
        checks::two_path_cnn_at_fast_rate(&grid),
        comparisons::generalised_dice_in_training(&grid),
        comparisons::generalised_dice_on_test(&grid),
        comparisons::best_rate(&grid),
        comparisons::small_patches(&grid),
    ];
    findings.extend(comparisons::legible_cells(&grid));
    findings
}

/// What a rule gives: whether it holds with the figures, or what is missing.
type Outcome = Result<(bool, String), String>;

impl Finding {
    fn new(name: &str, claim: &str, rule: String, outcome: Outcome) -> Self {
        let (verdict, numbers) = match outcome {
            Ok((true, numbers)) => (Verdict::Reproduced, numbers),
            Ok((false, numbers)) => (Verdict::NotReproduced, numbers),
            Err(missing) => (Verdict::NotTestable, missing),
        };
        Self {
            name: name.to_owned(),
            claim: claim.to_owned(),
            verdict,
            numbers,
            rule,
        }
    }
}

impl Verdict {
    /// The verdict in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not reproduced",
            Self::NotTestable => "not testable",
        }
    }
}

/// The findings as a table of plain text, verdict first; their number by verdict last.
pub fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for f in findings {
        let verdict = f.verdict.text();
        out += &format!("{verdict:<14}  {:<width$}  {}\n", f.name, f.numbers);
        out += &format!(
            "{:14}  claim: {}\n{:14}  rule: {}\n\n",
            "", f.claim, "", f.rule
        );
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    out + &format!(
        "{} findings: {} reproduced, {} not reproduced, {} not testable\n",
        findings.len(),
        count(Verdict::Reproduced),
        count(Verdict::NotReproduced),
        count(Verdict::NotTestable)
    )
}

/// The findings as indented JSON, a list.
pub fn json(findings: &[Finding]) -> String {
    // Strings and unit variants alone always serialise.
    serde_json::to_string_pretty(findings).expect("findings are plain strings")
}

#[cfg(test)]
mod tests;
