//! What a run records of its dataset.

use lacuna_data::split::Split;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a trained network needs to know of its dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// Name in the manifest.
    pub name: String,
    /// Input channels, in order.
    pub modalities: Vec<String>,
    /// Output classes, in order; the first is background.
    pub classes: Vec<String>,
    /// The subjects of each part.
    pub split: Split,
    /// Smallest and largest voxel edges of the training subjects' first images in mm,
    /// along right, anterior and superior; version 0.1.0 did not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[[f64; 3]; 2]>,
    /// Class name of every label value; version 0.1.0 did not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_values: Option<BTreeMap<i32, String>>,
}

/// Voxel edges that are smaller or larger than in training by more than this factor
/// are worth a warning.
pub const UNLIKE_SPACING: f64 = 1.5;

impl DatasetFacts {
    /// What to warn of when voxels of these edges (mm, along right, anterior and
    /// superior) are predicted: that they differ from those of training by more than
    /// [`UNLIKE_SPACING`].
    pub fn unlike_spacing(&self, spacing: [f64; 3]) -> Option<String> {
        let [smallest, largest] = self.spacing_mm?;
        let unlike = |axis: usize| {
            spacing[axis] * UNLIKE_SPACING < smallest[axis]
                || spacing[axis] > UNLIKE_SPACING * largest[axis]
        };
        (0..3).any(unlike).then(|| {
            let edges = |e: [f64; 3]| e.map(|v| format!("{v:.2}")).join(" x ");
            format!(
                "voxels of {} mm differ by more than a factor of {UNLIKE_SPACING} from those of \
                 the training, {} to {} mm: the prediction may be worth little",
                edges(spacing),
                edges(smallest),
                edges(largest)
            )
        })
    }

    /// What differs from `now`, with both values.
    pub fn differences(&self, now: &Self) -> Vec<(String, String, String)> {
        let lists = |facts: &Self| {
            let Split {
                train,
                validation,
                test,
            } = facts.split.clone();
            [
                ("modalities", facts.modalities.clone()),
                ("classes", facts.classes.clone()),
                ("train subjects", train),
                ("validation subjects", validation),
                ("test subjects", test),
            ]
        };
        let mut differences: Vec<_> = (lists(self).into_iter().zip(lists(now)))
            .filter(|(before, now)| before != now)
            .map(|((key, before), (_, now))| {
                (key.to_owned(), format!("{before:?}"), format!("{now:?}"))
            })
            .collect();
        if let (Some(before), Some(now)) = (&self.label_values, &now.label_values)
            && before != now
        {
            let values = "label_values".to_owned();
            differences.push((values, format!("{before:?}"), format!("{now:?}")));
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacings_are_unlike_beyond_the_factor() {
        let facts = DatasetFacts {
            name: String::new(),
            modalities: Vec::new(),
            classes: Vec::new(),
            split: Split::default(),
            spacing_mm: Some([[1.0, 1.0, 3.0], [1.2, 1.2, 6.0]]),
            label_values: None,
        };
        // 1.2 * 1.5 = 1.8 and 3 / 1.5 = 2 are the limits.
        for (spacing, unlike) in [
            ([1.0, 1.0, 4.0], false),
            ([1.79, 0.67, 2.01], false),
            ([1.81, 1.0, 4.0], true),
            ([1.0, 0.66, 4.0], true),
            ([1.0, 1.0, 1.99], true),
            ([1.0, 1.0, 9.1], true),
        ] {
            let found = facts.unlike_spacing(spacing);
            assert_eq!(found.is_some(), unlike, "{spacing:?}: {found:?}");
        }
        let unknown = DatasetFacts {
            spacing_mm: None,
            ..facts
        };
        assert_eq!(unknown.unlike_spacing([99.0; 3]), None);
    }
}
