//! How far a loss depends on its setting, as `studies/robustness.toml` found.

use anyhow::Context;
use lacuna_report::study::loss_name;
use serde::{Deserialize, Serialize};

/// The study's table; a test of `lacuna-report` keeps it in step with the runs.
const TABLE: &str = include_str!("../../../../../docs/results/robustness/tables/robustness.csv");

/// A row of the table.
#[derive(Debug, Serialize, Deserialize)]
pub struct Robustness {
    /// The loss with its options, or the terms of a sum.
    #[serde(rename(deserialize = "Loss"))]
    pub form: String,
    /// Runs over rates and seeds.
    #[serde(rename(deserialize = "Runs"))]
    pub runs: usize,
    /// Share of them within .05 of the best of all losses.
    #[serde(rename(deserialize = "Near the best"))]
    pub near_the_best: f64,
    /// Median DSC on whole test volumes.
    #[serde(rename(deserialize = "Median DSC"))]
    pub median_dsc: f64,
    /// DSC at the loss's own best rate.
    #[serde(rename(deserialize = "Best setting"))]
    pub best_setting: f64,
}

impl Robustness {
    /// What was found of the forms of a loss; best first.
    pub fn of(loss: &str) -> anyhow::Result<Vec<Self>> {
        let name = loss_name(loss);
        let options = format!("{name} ");
        let is = |form: &str| match form.contains(" + ") {
            true => loss == "sum",
            false => form == name || form.starts_with(&options),
        };
        let rows = csv::Reader::from_reader(TABLE.as_bytes()).into_deserialize::<Self>();
        let rows: Vec<Self> = rows.collect::<Result<_, _>>().context("robustness.csv")?;
        Ok(rows.into_iter().filter(|row| is(&row.form)).collect())
    }

    /// In one line.
    pub fn text(&self) -> String {
        format!(
            "{}: near the best in {:.0} % of {} runs over rates and seeds, median DSC {:.3}, at its \
             best rate {:.3}",
            self.form,
            100.0 * self.near_the_best,
            self.runs,
            self.median_dsc,
            self.best_setting
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_losses::guide::GUIDES;

    #[test]
    fn every_loss_was_tried_in_the_study() {
        let mut rows = 0;
        for guide in GUIDES {
            let found = Robustness::of(guide.name).unwrap();
            assert!(!found.is_empty(), "{}", guide.name);
            rows += found.len();
        }
        assert_eq!(
            rows,
            GUIDES.len() + 1,
            "sensitivity-specificity has two forms"
        );
    }
}
