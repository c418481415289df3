//! The checks of where a subject's voxels lie: edges, axes, and whether its files
//! show the same place.

use std::path::Path;

use lacuna_volume::{
    Grid, Orientation, Points, SAME_GRID_VOXELS, corner_displacement_mm, corner_displacement_voxels,
};

use super::report::{GridReport, Severity};
use super::subject::SubjectCheck;

/// Largest distance of a corner of one field of view from that of the other.
fn apart_mm(reference: &Grid, grid: &Grid) -> String {
    // Axes may go the other way: from each corner to the nearest.
    let corners = Points::new(reference.corners().to_vec());
    let distances = grid.corners().map(|corner| corners.distance(corner));
    format!("{:.1}", distances.into_iter().fold(0.0, f64::max))
}

/// Affines stored as 32-bit quaternions and as rows differ by a smaller share of
/// a voxel.
const ROUNDING_VOXELS: f64 = 1e-3;
/// Voxel edges (mm) beyond these are a mistake of units more likely than a scan.
const PLAUSIBLE_EDGE_MM: std::ops::RangeInclusive<f64> = 0.002..=30.0;

impl SubjectCheck<'_> {
    /// Compares a grid with that of the first image.
    pub(super) fn grid(&mut self, role: &str, file: &str, grid: &Grid) -> GridReport {
        let mut displacement = None;
        if let Some((reference, modality)) = self.reference.clone() {
            let apart = corner_displacement_mm(&reference, grid);
            let voxels = corner_displacement_voxels(&reference, grid);
            let moves =
                self.manifest.grid.is_some() && self.manifest.modalities.iter().any(|m| m == role);
            if moves && !reference.shows_the_voxels_of(grid) {
                let finding = format!(
                    "{role} lies on another grid than {modality} (corners up to {} mm apart) and is \
                     brought onto it by linear interpolation",
                    apart_mm(&reference, grid)
                );
                let remedy = "nothing where the two are registered; else register them first";
                self.add(Severity::Note, file, finding, remedy);
            } else if grid.shape != reference.shape {
                let finding = format!(
                    "{role} has the shape {:?}, expected {:?} as {modality}",
                    grid.shape, reference.shape
                );
                let remedy = "resample it onto the grid of the first modality, or name the modality of \
                              whose grid all should be in the manifest: grid = \"...\"";
                self.add(Severity::Error, file, finding, remedy);
            } else {
                displacement = Some(apart);
                self.judge_displacement(role, file, &modality, (apart, voxels));
            }
        }
        GridReport {
            shape: grid.shape,
            spacing_mm: grid.spacing().0,
            orientation: Orientation::of(&grid.affine).codes(),
            corner_displacement_mm: displacement,
        }
    }

    /// What the voxels' edges and axes of the first image tell.
    pub(super) fn judge_geometry(&mut self, file: &str, grid: &Grid) {
        let spacing = grid.spacing();
        if !spacing.0.iter().all(|e| PLAUSIBLE_EDGE_MM.contains(e)) {
            let finding = format!(
                "voxels of {spacing}, expected edges of {} to {} mm",
                PLAUSIBLE_EDGE_MM.start(),
                PLAUSIBLE_EDGE_MM.end()
            );
            let remedy = "correct the unit (xyzt_units) or the voxel sizes in the header";
            self.add(Severity::Warning, file, finding, remedy);
        }
        if grid.affine.is_sheared() {
            let degrees = grid.affine.shear_degrees();
            let finding = format!(
                "the voxel axes are sheared by {degrees:.1} degrees, as by a tilted gantry; \
                 volumes and distances account for it, a network sees the sheared voxels"
            );
            let remedy = "nothing, or resample all files of the subject to perpendicular axes";
            self.add(Severity::Warning, file, finding, remedy);
        }
    }

    /// Notes when a file places its voxels twice, and differently.
    pub(super) fn judge_placements(&mut self, file: &str, path: &Path) {
        // A file that cannot be read is a problem already.
        let Ok(reference) = lacuna_io::read_reference(path) else {
            return;
        };
        let Some(apart) = reference.placements_apart_mm() else {
            return;
        };
        let edges = reference.grid().spacing().0;
        let smallest = edges.into_iter().fold(f64::INFINITY, f64::min);
        if apart > SAME_GRID_VOXELS * smallest {
            let finding = format!(
                "sform and qform differ: the corners lie up to {apart:.2} mm apart; the sform is used"
            );
            let remedy = "nothing where that is meant: predictions carry both";
            self.add(Severity::Note, file, finding, remedy);
        }
    }

    fn judge_displacement(
        &mut self,
        role: &str,
        file: &str,
        modality: &str,
        (apart, voxels): (f64, f64),
    ) {
        let finding = |expected: &str| {
            format!(
                "the corners of {role} lie up to {apart:.4} mm from those of {modality}{expected}"
            )
        };
        if voxels > SAME_GRID_VOXELS {
            let finding = finding(&format!(
                " ({voxels:.2} voxels), expected at most {SAME_GRID_VOXELS} voxels"
            ));
            let remedy = "register and resample it, or correct the header's sform and qform";
            self.add(Severity::Error, file, finding, remedy);
        } else if voxels > ROUNDING_VOXELS {
            let remedy = "nothing: the grid of the first modality is used";
            self.add(Severity::Note, file, finding(""), remedy);
        }
    }
}
