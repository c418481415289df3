//! Free-response receiver operating characteristic: sensitivity against the number of
//! false positives per scan (Bunch et al. 1978; the seven points and their mean as in
//! LUNA16, Setio et al., Med Image Anal 42, 2017).

use lacuna_volume::{Connectivity, Volume, label_components};
use serde::{Deserialize, Serialize};

use crate::MetricsError;
use crate::lesion::overlaps;

/// A predicted component with a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// How sure the prediction is of it; finite.
    pub score: f64,
    /// The reference lesions of its subject that it hits, counted from 0; a false
    /// positive hits none.
    pub hits: Vec<usize>,
}

/// What a subject adds to a [`Froc`]; no volume needs to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectCandidates {
    /// Its candidates, in any order.
    pub candidates: Vec<Candidate>,
    /// Its lesions, hit or not.
    pub reference_lesions: usize,
}

impl SubjectCandidates {
    /// The candidates of a map of probabilities: components of the voxels of at least
    /// `threshold`, each with its largest probability. A lesion is hit by any shared
    /// voxel. The threshold is low, as components that it joins stay joined; 26-connected
    /// is usual.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn find(
        reference: &Volume<bool>,
        probability: &Volume<f32>,
        threshold: f32,
        connectivity: Connectivity,
    ) -> Result<Self, MetricsError> {
        if reference.shape() != probability.shape() {
            return Err(MetricsError::Shape {
                reference: reference.shape(),
                prediction: probability.shape(),
            });
        }
        let lesions = label_components(reference, connectivity);
        let found = label_components(&probability.map(|p| *p >= threshold), connectivity);
        let mut candidates = vec![
            Candidate {
                score: f64::from(threshold),
                hits: Vec::new(),
            };
            found.count
        ];
        for (&label, &p) in found.labels.data().iter().zip(probability.data()) {
            if label > 0 {
                let score = &mut candidates[label as usize - 1].score;
                *score = score.max(f64::from(p));
            }
        }
        for [lesion, candidate] in overlaps(&lesions, &found).into_keys() {
            candidates[candidate].hits.push(lesion);
        }
        Ok(Self {
            candidates,
            reference_lesions: lesions.count,
        })
    }
}

/// Sensitivity at one number of false positives per scan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrocPoint {
    /// False positives per scan that are allowed.
    pub false_positives_per_scan: f64,
    /// The largest share of the lesions that a threshold with no more finds; 0 where no
    /// threshold has so few, and 1 if there are no lesions.
    pub sensitivity: f64,
    /// The least score that counts there; absent where no candidate may count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// Sensitivity at several numbers of false positives per scan, the lesions of all
/// subjects pooled. Each point is that of a threshold, without interpolation between
/// thresholds (LUNA16 interpolates).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Froc {
    /// Subjects, with lesions or without.
    pub subjects: usize,
    /// Their lesions.
    pub reference_lesions: usize,
    /// Their candidates.
    pub candidates: usize,
    /// At [`Self::FALSE_POSITIVES`].
    pub points: Vec<FrocPoint>,
    /// Mean sensitivity of the points (competition performance metric).
    pub cpm: f64,
}

impl Froc {
    /// False positives per scan of the points.
    pub const FALSE_POSITIVES: [f64; 7] = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

    /// The curve of several subjects.
    ///
    /// # Errors
    /// When there are no subjects.
    pub fn of(subjects: &[SubjectCandidates]) -> Result<Self, MetricsError> {
        if subjects.is_empty() {
            return Err(MetricsError::NoSubjects);
        }
        let mut hit: Vec<Vec<bool>> = (subjects.iter())
            .map(|s| vec![false; s.reference_lesions])
            .collect();
        let mut candidates: Vec<(usize, &Candidate)> = (subjects.iter().enumerate())
            .flat_map(|(i, s)| s.candidates.iter().map(move |candidate| (i, candidate)))
            .collect();
        candidates.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
        let reference_lesions: usize = subjects.iter().map(|s| s.reference_lesions).sum();
        let sensitivity = |found: usize| match reference_lesions {
            0 => 1.0,
            all => found as f64 / all as f64,
        };
        let mut points = Self::FALSE_POSITIVES.map(|rate| FrocPoint {
            false_positives_per_scan: rate,
            sensitivity: sensitivity(0),
            score: None,
        });
        let (mut found, mut false_positives) = (0, 0);
        // Candidates of one score count together or not at all.
        for equal in candidates.chunk_by(|a, b| a.1.score == b.1.score) {
            for (subject, candidate) in equal {
                false_positives += usize::from(candidate.hits.is_empty());
                for &lesion in &candidate.hits {
                    if let Some(hit) = hit[*subject].get_mut(lesion) {
                        found += usize::from(!std::mem::replace(hit, true));
                    }
                }
            }
            let rate = false_positives as f64 / subjects.len() as f64;
            let within = |point: &&mut FrocPoint| rate <= point.false_positives_per_scan;
            for point in points.iter_mut().filter(within) {
                point.sensitivity = sensitivity(found);
                point.score = Some(equal[0].1.score);
            }
        }
        Ok(Self {
            subjects: subjects.len(),
            reference_lesions,
            candidates: candidates.len(),
            cpm: points.iter().map(|p| p.sensitivity).sum::<f64>() / points.len() as f64,
            points: points.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::{Affine, Volume};

    fn subject(lesions: usize, candidates: &[(f64, &[usize])]) -> SubjectCandidates {
        let candidate = |&(score, hits): &(f64, &[usize])| Candidate {
            score,
            hits: hits.to_vec(),
        };
        SubjectCandidates {
            candidates: candidates.iter().map(candidate).collect(),
            reference_lesions: lesions,
        }
    }

    /// Two scans, four lesions. By falling score: 0.9 hits one; 0.8 a false one (0.5 per
    /// scan); 0.7 one more, the first again beside it; 0.6 two false ones (1.5 per scan)
    /// and a hit of the same score; 0.5 a false one (2 per scan). The last lesion is
    /// never hit.
    #[test]
    fn by_hand() {
        let one = subject(3, &[(0.9, &[0]), (0.7, &[0, 1]), (0.6, &[]), (0.6, &[2])]);
        let two = subject(1, &[(0.8, &[]), (0.6, &[]), (0.5, &[])]);
        let found = Froc::of(&[one, two]).unwrap();
        let sensitivities: Vec<f64> = found.points.iter().map(|p| p.sensitivity).collect();
        assert_eq!(sensitivities, [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.75]);
        assert_eq!(found.cpm, 3.75 / 7.0);
        assert_eq!(found.points[2].score, Some(0.7));
        assert_eq!(found.points[6].score, Some(0.5));
        assert_eq!((found.reference_lesions, found.candidates), (4, 7));
    }

    #[test]
    fn without_lesions_candidates_or_subjects() {
        let none = Froc::of(&[subject(0, &[(0.9, &[])])]).unwrap();
        assert_eq!(none.cpm, 1.0);
        let missed = Froc::of(&[subject(2, &[])]).unwrap();
        assert_eq!((missed.cpm, missed.points[0].score), (0.0, None));
        // A false one in one scan is too many for all points below 1.
        let late = Froc::of(&[subject(1, &[(0.9, &[]), (0.8, &[0])])]).unwrap();
        assert_eq!(late.cpm, 4.0 / 7.0);
        assert!(Froc::of(&[]).is_err());
    }

    #[test]
    fn candidates_of_a_map() {
        let line = |values: &[f32]| {
            Volume::new([values.len(), 1, 1], Affine::identity(), values.to_vec()).unwrap()
        };
        let p = line(&[0.1, 0.3, 0.9, 0.05, 0.2, 0.1, 0.0, 0.7, f32::NAN]);
        let reference = line(&[1., 0., 1., 0., 0., 0., 1., 0., 0.]).map(|v| *v > 0.0);
        let six = Connectivity::Six;
        let found = SubjectCandidates::find(&reference, &p, 0.1, six).unwrap();
        let expected: [(f32, &[usize]); 3] = [(0.9, &[0, 1]), (0.2, &[]), (0.7, &[])];
        let expected = expected.map(|(score, hits)| (f64::from(score), hits));
        assert_eq!(found, subject(3, &expected));
        let short = line(&[0.0]);
        assert!(SubjectCandidates::find(&reference, &short, 0.1, six).is_err());
    }
}
