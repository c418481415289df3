//! Components of a label map that are removed.

use lacuna_record::CleanedClass;
use lacuna_volume::{Components, Connectivity, LabelMap, Volume, label_components};

use super::{Postprocess, Rules};

/// What becomes of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    TooSmall,
    TooFaint,
    NotTheLargest,
}

impl Postprocess {
    /// Removes components of `labels`, class by class, and says how many of each class that
    /// has a rule for them. `painted` is the probability of each voxel's class, on the
    /// same grid.
    ///
    /// # Panics
    /// Without `painted` where peaks are asked for.
    pub(crate) fn clean(
        &self,
        labels: &mut LabelMap,
        painted: Option<&Volume<f32>>,
    ) -> Vec<CleanedClass> {
        let mut cleaned = Vec::new();
        for (class, name) in (0..=u8::MAX).zip(&self.classes).skip(1) {
            let rules = self.rules(name);
            if rules.of_components() {
                cleaned.push(clean_class(labels, painted, class, name, rules));
            }
        }
        cleaned
    }
}

fn clean_class(
    labels: &mut LabelMap,
    painted: Option<&Volume<f32>>,
    class: u8,
    name: &str,
    rules: Rules,
) -> CleanedClass {
    let of_class = labels.map(|label| *label == class);
    let found = label_components(&of_class, Connectivity::TwentySix);
    let fates = fates(&found, labels.affine().voxel_mm3(), painted, rules);
    for (label, component) in labels.data_mut().iter_mut().zip(found.labels.data()) {
        if *component != 0 && fates[*component as usize - 1] != Fate::Stays {
            *label = 0;
        }
    }
    let count = |fate| fates.iter().filter(|found| **found == fate).count();
    let stay = found.sizes.iter().zip(&fates);
    CleanedClass {
        class: name.to_owned(),
        components: found.count,
        removed_by_volume: count(Fate::TooSmall),
        removed_by_peak: count(Fate::TooFaint),
        removed_beside_largest: count(Fate::NotTheLargest),
        voxels_before: found.sizes.iter().sum(),
        voxels_after: stay
            .filter(|(_, fate)| **fate == Fate::Stays)
            .map(|(size, _)| size)
            .sum(),
    }
}

fn fates(
    found: &Components,
    voxel_mm3: f64,
    painted: Option<&Volume<f32>>,
    rules: Rules,
) -> Vec<Fate> {
    let mut fates = vec![Fate::Stays; found.count];
    if let Some(least) = rules.min_volume_mm3 {
        // Spacings are stored in 32 bits: a volume of just the least is not below it.
        let below = |size: usize| (size as f64 * voxel_mm3) < least * (1.0 - 1e-6);
        for (fate, size) in fates.iter_mut().zip(&found.sizes) {
            if below(*size) {
                *fate = Fate::TooSmall;
            }
        }
    }
    if let Some(least) = rules.min_peak_probability {
        let painted = painted.expect("kept where a peak is asked for");
        for (fate, peak) in fates.iter_mut().zip(peaks(found, painted)) {
            if *fate == Fate::Stays && peak < least as f32 {
                *fate = Fate::TooFaint;
            }
        }
    }
    if rules.largest_component == Some(true) {
        let staying = (0..found.count).filter(|i| fates[*i] == Fate::Stays);
        // The last of equal elements is the largest, so the first comes last.
        let largest = staying.rev().max_by_key(|i| found.sizes[*i]);
        for (i, fate) in fates.iter_mut().enumerate() {
            if *fate == Fate::Stays && Some(i) != largest {
                *fate = Fate::NotTheLargest;
            }
        }
    }
    fates
}

/// The highest value of each component.
fn peaks(found: &Components, values: &Volume<f32>) -> Vec<f32> {
    let mut peaks = vec![0.0_f32; found.count];
    for (component, value) in found.labels.data().iter().zip(values.data()) {
        if *component != 0 {
            let peak = &mut peaks[*component as usize - 1];
            *peak = peak.max(*value);
        }
    }
    peaks
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::{Affine, Spacing};
    use std::path::Path;

    /// A row of 12 voxels of 1 x 2 x 3 = 6 mm³: components of class 1 with 1, 2 and 3
    /// voxels (6, 12 and 18 mm³) and peaks 0.9, 0.6 and 0.7, and one of class 2.
    const LABELS: [u8; 12] = [1, 0, 1, 1, 0, 1, 1, 1, 0, 2, 2, 0];
    const PAINTED: [f32; 12] = [0.9, 0.0, 0.6, 0.5, 0.0, 0.5, 0.7, 0.5, 0.0, 0.3, 0.3, 0.0];

    fn row<T>(values: [T; 12]) -> Volume<T> {
        let affine = Affine::from_spacing(Spacing([1.0, 2.0, 3.0]));
        Volume::new([12, 1, 1], affine, values.into()).unwrap()
    }

    /// The labels that are left, and the row of class `a`: components, removed by volume,
    /// by peak and beside the largest, voxels before and after.
    fn cleaned(rules: &str) -> (Vec<u8>, Option<[usize; 6]>) {
        let text = format!("classes = [\"background\", \"a\", \"b\"]\n{rules}\n");
        let file = Postprocess::parse(&text, Path::new("postprocess.toml")).unwrap();
        let mut labels = row(LABELS);
        let rows = file.clean(&mut labels, Some(&row(PAINTED)));
        let row = rows.iter().find(|row| row.class == "a").map(|row| {
            [
                row.components,
                row.removed_by_volume,
                row.removed_by_peak,
                row.removed_beside_largest,
                row.voxels_before,
                row.voxels_after,
            ]
        });
        (labels.into_data(), row)
    }

    #[test]
    fn components_smaller_than_a_volume_go() {
        let (labels, row) = cleaned("[class.a]\nmin_volume_mm3 = 12");
        // 12 mm³ are not smaller than 12 mm³.
        assert_eq!(labels, [0, 0, 1, 1, 0, 1, 1, 1, 0, 2, 2, 0]);
        assert_eq!(row, Some([3, 1, 0, 0, 6, 5]));
        let (labels, row) = cleaned("[class.a]\nmin_volume_mm3 = 12.1");
        assert_eq!(labels, [0, 0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 0]);
        assert_eq!(row, Some([3, 2, 0, 0, 6, 3]));
    }

    #[test]
    fn components_with_a_low_peak_go() {
        let (labels, row) = cleaned("[class.a]\nmin_peak_probability = 0.7");
        // 0.7 is not below 0.7, in 32 bits either.
        assert_eq!(labels, [1, 0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 0]);
        assert_eq!(row, Some([3, 0, 1, 0, 6, 4]));
    }

    #[test]
    fn the_largest_is_that_of_what_the_other_rules_leave() {
        let (labels, row) = cleaned("[class.a]\nlargest_component = true");
        assert_eq!(labels, [0, 0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 0]);
        assert_eq!(row, Some([3, 0, 0, 2, 6, 3]));
        // The smallest is too small and would be too faint for nobody; the largest is too
        // faint, as is the second: nothing is left.
        let all = "[class.a]\nmin_volume_mm3 = 7\nmin_peak_probability = 0.8\n\
                   largest_component = true";
        assert_eq!(cleaned(all).1, Some([3, 1, 2, 0, 6, 0]));
        let some = "[class.a]\nmin_peak_probability = 0.8\nlargest_component = true";
        assert_eq!(cleaned(some).0[..4], [1, 0, 0, 0]);
    }

    #[test]
    fn the_foreground_is_each_class_by_itself() {
        let (labels, _) = cleaned("[foreground]\nlargest_component = true");
        assert_eq!(labels, [0, 0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 0]);
        let (labels, _) = cleaned("[foreground]\nmin_peak_probability = 0.5");
        assert_eq!(labels, [1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0]);
        let (labels, row) = cleaned("[class.b]\nmin_volume_mm3 = 100");
        assert_eq!(labels, [1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(row, None);
    }

    #[test]
    fn corners_touch_and_of_equal_components_the_first_stays() {
        let rules = "classes = [\"background\", \"a\"]\n[class.a]\nlargest_component = true\n";
        let file = Postprocess::parse(rules, Path::new("p.toml")).unwrap();
        let volume =
            |values: [u8; 8]| Volume::new([4, 2, 1], Affine::identity(), values.to_vec()).unwrap();
        let mut diagonal = volume([1, 0, 0, 0, 0, 1, 0, 1]);
        file.clean(&mut diagonal, None);
        assert_eq!(diagonal.data(), [1, 0, 0, 0, 0, 1, 0, 0]);
        let mut equal = volume([1, 0, 1, 0, 1, 0, 1, 0]);
        file.clean(&mut equal, None);
        assert_eq!(equal.data(), [1, 0, 0, 0, 1, 0, 0, 0]);
    }
}
