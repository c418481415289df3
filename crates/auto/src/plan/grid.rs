//! The grid that networks work on: each subject's own, a common one, or one of twice the voxel
//! edge where what is looked for does not fit into a patch.

use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::{Component, Extents};

use super::Decision;
use super::configuration::written;
use super::shape::Scene;
use crate::structure::Preset;

/// Share of subjects off the median spacing from which all are brought to one grid.
const MOST_OFF: f64 = 0.2;
/// Voxels that the median component keeps across on a common grid.
const LEAST_ACROSS: f64 = 2.0;
/// Edge of a voxel where components do not fit into a patch, over that of the finest axis.
const COARSE: f64 = 2.0;
/// Voxels of that edge from which a component is drawn well enough by them, along each axis.
const LEAST_WIDE: f64 = 8.0;
/// Share of each class's volume that such components have where that edge is taken.
const LEAST_BULK: f64 = 0.99;

/// Which grid, and what the subjects are on it.
pub(super) struct Grid {
    /// Voxel edges in mm along x, y, z to which all subjects are brought; `None` where each
    /// keeps its own.
    pub spacing: Option<[f64; 3]>,
    /// Lesions keep a voxel there, whatever the majority is.
    pub keep_lesions: bool,
    /// What patch and network are chosen by.
    pub scene: Scene,
}

impl Grid {
    pub fn of(
        fingerprint: &Fingerprint,
        preset: Option<&Preset>,
        decisions: &mut Vec<Decision>,
    ) -> Self {
        let mut say = |what: &str, value: String, reason: &str, figure: String| {
            decisions.push(Decision::new(what, value, reason, figure));
        };
        let median = fingerprint.spacing_mm.median;
        let smallest = (extents(fingerprint).map(|e| e.p50_mm))
            .reduce(|a, b| std::array::from_fn(|i| f64::min(a[i], b[i])));
        let off = fingerprint.off_median_spacing;
        let kept = preset.is_some_and(|p| p.native_grid);
        let common: [f64; 3] = std::array::from_fn(|axis| {
            let most = smallest.map_or(f64::INFINITY, |e| e[axis] / LEAST_ACROSS);
            // Never finer than any subject: that would invent voxels.
            median[axis].min(most.max(fingerprint.spacing_mm.min[axis]))
        });
        let fine = match kept || off <= MOST_OFF {
            true => None,
            false => Some(common),
        };
        let scene = seen_on(fingerprint, preset, fine.unwrap_or(median));
        if preset.is_none()
            && let Some((coarse, figure)) = coarser(&scene, fingerprint)
        {
            say(
                "grid",
                format!("{} mm", written(&coarse)),
                "components do not fit into a patch of 64^3 voxels: one of twice the voxel edge \
                 sees what is around them",
                figure,
            );
            return Self {
                spacing: Some(coarse),
                keep_lesions: false,
                scene: seen_on(fingerprint, preset, coarse),
            };
        }
        let (value, reason) = match (kept, fine) {
            (true, _) => (
                "each subject's own".to_owned(),
                "the preset keeps native grids: resampling loses what is a voxel wide",
            ),
            (false, None) => (
                "each subject's own".to_owned(),
                "nearly all have the same, and resampling loses what is a voxel wide",
            ),
            (false, Some(common)) => (
                format!("{} mm", written(&common)),
                "the median, unless the median component would be under 2 voxels across",
            ),
        };
        let off = format!(
            "{:.0} % of subjects are off the median spacing by > 20 %",
            100.0 * off
        );
        say("grid", value, reason, off);
        let small = smallest.is_some_and(|e| (0..3).any(|a| e[a] < 3.0 * scene.spacing_mm[a]));
        let keep_lesions = fine.is_some() && small;
        if fine.is_some() {
            say(
                "labels on that grid",
                match keep_lesions {
                    true => "keep-lesions".to_owned(),
                    false => "majority".to_owned(),
                },
                "lesions under 3 voxels across would vanish by majority",
                format!(
                    "median component {} mm",
                    smallest.map_or_else(String::new, |e| written(&e))
                ),
            );
        }
        Self {
            spacing: fine,
            keep_lesions,
            scene,
        }
    }
}

fn extents(fingerprint: &Fingerprint) -> impl Iterator<Item = &Extents> {
    (fingerprint.foreground.iter()).filter_map(|class| class.extents.as_ref())
}

/// The median subject on a grid of voxel edges `spacing_mm`.
fn seen_on(fingerprint: &Fingerprint, preset: Option<&Preset>, spacing_mm: [f64; 3]) -> Scene {
    let largest = (extents(fingerprint).map(|e| e.p95_mm))
        .reduce(|a, b| std::array::from_fn(|i| f64::max(a[i], b[i])));
    let median = fingerprint.spacing_mm.median;
    let on = |voxels: [f64; 3]| std::array::from_fn(|a| voxels[a] * median[a] / spacing_mm[a]);
    Scene {
        spacing_mm,
        shape: on(fingerprint.crop_shape.median),
        grid: on(fingerprint.shape.median),
        component_mm: largest.unwrap_or([0.0; 3]),
        preset_mm: preset.map(|p| p.patch_mm),
    }
}

/// Voxel edges twice those of the finest axis, and the figure that they come from, where a patch
/// on the grid of `scene` does not hold the components of the 95th percentile and nearly all of
/// each class is so wide that coarse voxels draw it. In BRATS that is so (docs/auto.md).
fn coarser(scene: &Scene, fingerprint: &Fingerprint) -> Option<([f64; 3], String)> {
    let patch: [f64; 3] = {
        let voxels = scene.shape().patch;
        std::array::from_fn(|a| voxels[a] as f64 * scene.spacing_mm[a])
    };
    let holds = (0..3).all(|a| patch[a] >= scene.component_mm[a]);
    if holds || scene.is_plane() {
        return None;
    }
    let finest = scene.spacing_mm.into_iter().fold(f64::INFINITY, f64::min);
    let coarse = scene.spacing_mm.map(|mm| mm.max(COARSE * finest));
    let is_wide = |c: &&Component| (0..3).all(|a| c.extent_mm[a] >= LEAST_WIDE * coarse[a]);
    let bulk = (0..fingerprint.foreground.len()).map(|class| {
        let components =
            || (fingerprint.subjects.iter()).flat_map(|s| &s.foreground[class].components);
        let all: f64 = components().map(|c| c.mm3).sum();
        components().filter(is_wide).map(|c| c.mm3).sum::<f64>() / all
    });
    let least = bulk.fold(1.0, f64::min);
    let figure = format!(
        "components {} mm, a patch {} mm; {:.1} % of the foreground is in components at least {} \
         mm wide",
        written(&scene.component_mm),
        written(&patch),
        100.0 * least,
        written(&coarse.map(|mm| LEAST_WIDE * mm)),
    );
    (least >= LEAST_BULK).then_some((coarse, figure))
}

#[cfg(test)]
mod tests {
    use lacuna_record::fingerprint::AxisRange;

    use super::*;
    use crate::plan::tests::phantoms;
    use crate::structure::Structure;

    /// Brains of 160 mm with a component of so many mm, and a speck, in each.
    fn brains(component_mm: f64, speck_mm: f64) -> Fingerprint {
        let (_folder, mut fingerprint) = phantoms(4);
        let fixed = |of: &mut AxisRange, value: f64| {
            (of.median, of.min, of.max) = ([value; 3], [value; 3], [value; 3]);
        };
        fixed(&mut fingerprint.spacing_mm, 1.0);
        fixed(&mut fingerprint.shape, 240.0);
        fixed(&mut fingerprint.crop_shape, 160.0);
        fingerprint.foreground.truncate(1);
        fingerprint.foreground[0].extents = Some(Extents {
            p50_mm: [speck_mm; 3],
            p95_mm: [component_mm; 3],
            p50_voxels: [speck_mm; 3],
            p95_voxels: [component_mm; 3],
        });
        let cube = |mm: f64| Component {
            voxels: mm.powi(3) as usize,
            mm3: mm.powi(3),
            extent_voxels: [mm as usize; 3],
            extent_mm: [mm; 3],
        };
        for subject in &mut fingerprint.subjects {
            subject.foreground.truncate(1);
            subject.foreground[0].components = vec![cube(component_mm), cube(speck_mm)];
        }
        fingerprint
    }

    fn grid(fingerprint: &Fingerprint) -> (Grid, Vec<Decision>) {
        let mut decisions = Vec::new();
        let grid = Grid::of(fingerprint, None, &mut decisions);
        (grid, decisions)
    }

    /// A patch of 64 mm does not hold 80 mm, one of 128 mm does.
    #[test]
    fn what_does_not_fit_into_a_patch_is_seen_on_a_coarser_grid() {
        let (coarse, decisions) = grid(&brains(80.0, 2.0));
        assert_eq!(coarse.spacing, Some([2.0; 3]));
        assert!(!coarse.keep_lesions);
        assert_eq!(coarse.scene.shape, [80.0; 3]);
        assert_eq!(coarse.scene.grid, [120.0; 3]);
        let shape = coarse.scene.shape();
        assert_eq!(shape.patch, [64; 3]);
        // The brain nearly fits; the grid, of which a uniform sampler draws, does not.
        assert!(!shape.whole);
        assert_eq!(decisions.len(), 1);
        assert!(decisions[0].figure.contains("100.0 %"), "{decisions:?}");

        // Slices of 5 mm stay: a patch of 109 x 109 x 109 mm does not hold 120 mm.
        let mut thick = brains(120.0, 2.0);
        thick.spacing_mm.median[2] = 5.0;
        thick.spacing_mm.min[2] = 5.0;
        thick.shape.median[2] = 32.0;
        thick.crop_shape.median[2] = 32.0;
        assert_eq!(grid(&thick).0.spacing, Some([2.0, 2.0, 5.0]));
    }

    #[test]
    fn what_fits_or_is_small_keeps_its_grid() {
        assert_eq!(grid(&brains(60.0, 2.0)).0.spacing, None);
        // 14^3 of 80^3 mm are half a per cent, 18 mm are wide enough, 15^3 of 65^3 are 1.2 %.
        assert_eq!(grid(&brains(80.0, 14.0)).0.spacing, Some([2.0; 3]));
        assert_eq!(grid(&brains(65.0, 18.0)).0.spacing, Some([2.0; 3]));
        assert_eq!(grid(&brains(65.0, 15.0)).0.spacing, None);
        // What a preset is for is small.
        let preset = Structure::Metastasis.preset();
        let kept = Grid::of(&brains(80.0, 2.0), Some(&preset), &mut Vec::new());
        assert_eq!(kept.spacing, None);
    }
}
