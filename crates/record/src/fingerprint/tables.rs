//! A fingerprint as tables.

use std::path::Path;

use super::Fingerprint;
use crate::RecordError;
use crate::table::write_table;

/// A row for each subject and foreground class.
pub(super) fn write_subjects(found: &Fingerprint, path: &Path) -> Result<(), RecordError> {
    let header = "subject,group,scanner,orientation,shape_x,shape_y,shape_z,spacing_x_mm,\
                  spacing_y_mm,spacing_z_mm,mask_voxels,inside_voxels,nonzero_box_share,\
                  crop_voxels,bytes,class,voxels,mm3,share_of_grid,share_inside,components,\
                  edge_min_mm,edge_median_mm,empty";
    let rows = found.subjects.iter().flat_map(|subject| {
        let mut own = vec![
            subject.id.clone(),
            subject.group.clone().unwrap_or_default(),
            subject.scanner.clone().unwrap_or_default(),
            subject.orientation.clone(),
        ];
        own.extend(subject.shape.map(|n| n.to_string()));
        own.extend(subject.spacing_mm.map(|mm| mm.to_string()));
        own.extend([
            or_nothing(subject.mask_voxels),
            subject.inside_voxels.to_string(),
            subject.nonzero_box_share.to_string(),
            subject.crop_voxels.to_string(),
            subject.bytes.to_string(),
        ]);
        subject.foreground.iter().map(move |class| {
            let mut row = own.clone();
            row.extend([
                class.class.clone(),
                class.voxels.to_string(),
                (class.voxels as f64 * subject.voxel_mm3).to_string(),
                class.share_of_grid.to_string(),
                class.share_inside.to_string(),
                class.components.len().to_string(),
                or_nothing(class.edge.map(|edge| edge.min_mm)),
                or_nothing(class.edge.map(|edge| edge.median_mm)),
                (class.voxels == 0).to_string(),
            ]);
            row
        })
    });
    write(path, header, rows)
}

/// A row for each component.
pub(super) fn write_components(found: &Fingerprint, path: &Path) -> Result<(), RecordError> {
    let header = "subject,class,component,voxels,mm3,extent_x_voxels,extent_y_voxels,\
                  extent_z_voxels,extent_x_mm,extent_y_mm,extent_z_mm";
    let classes = (found.subjects.iter())
        .flat_map(|subject| subject.foreground.iter().map(move |class| (subject, class)));
    let rows = classes.flat_map(|(subject, class)| {
        let numbered = (1..).zip(&class.components);
        numbered.map(move |(number, component): (usize, _)| {
            let mut row = vec![
                subject.id.clone(),
                class.class.clone(),
                number.to_string(),
                component.voxels.to_string(),
                component.mm3.to_string(),
            ];
            row.extend(component.extent_voxels.map(|n| n.to_string()));
            row.extend(component.extent_mm.map(|mm| mm.to_string()));
            row
        })
    });
    write(path, header, rows)
}

fn or_nothing(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

fn write(
    path: &Path,
    header: &str,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), RecordError> {
    let header = header.split(',').map(str::to_owned).collect();
    write_table(path, std::iter::once(header).chain(rows))
}
