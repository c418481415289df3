//! `predict --postprocess`: what is written is what the rules leave of the probabilities,
//! by components that are found here in another way.

mod harness;

use harness::Place;
use lacuna_io::{read, read_labels};

const SHAPE: [usize; 3] = [40, 44, 10];
/// 2 x 2.5 x 4 mm.
const VOXEL_MM3: f64 = 20.0;

/// A run `run`, and the probability of a lesion in each voxel of `sub-02`.
fn trained(set: &str) -> (Place, Vec<f32>) {
    let place = Place::new();
    place.ok(&format!("train run.toml --out run {set}"));
    place.ok(&predict("--out plain --probabilities"));
    let file = place.path("plain/sub-02.probabilities.nii.gz");
    let lesion = read(file).unwrap().volumes.pop().unwrap();
    assert_eq!(lesion.shape(), SHAPE);
    (place, lesion.into_data())
}

fn predict(options: &str) -> String {
    format!("predict run --dataset cohort/dataset.toml --split test {options}")
}

fn labels(place: &Place, folder: &str) -> Vec<i32> {
    let file = place.path(format!("{folder}/sub-02.nii.gz"));
    read_labels(file).unwrap().into_data()
}

fn rules(place: &Place, rules: &str) {
    let classes = "classes = [\"background\", \"lesion\"]";
    place.write("rules.toml", format!("{classes}\n{rules}\n"));
}

/// The voxels of each component, found by walking from voxel to touching voxel.
fn components(inside: &[bool]) -> Vec<Vec<usize>> {
    let [nx, ny, nz] = SHAPE;
    let mut left = inside.to_vec();
    let mut found = Vec::new();
    for start in 0..left.len() {
        let mut component = Vec::new();
        let mut reached = vec![start];
        while let Some(here) = reached.pop() {
            if !std::mem::take(&mut left[here]) {
                continue;
            }
            component.push(here);
            let [x, y, z] = [here % nx, here / nx % ny, here / nx / ny];
            let around = |at: usize, end: usize| at.saturating_sub(1)..(at + 2).min(end);
            for z in around(z, nz) {
                for y in around(y, ny) {
                    reached.extend(around(x, nx).map(|x| x + nx * (y + ny * z)));
                }
            }
        }
        if !component.is_empty() {
            found.push(component);
        }
    }
    found
}

/// The middle of some values.
fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

/// Labels as the rules leave them, and the row of the table.
fn expected(probabilities: &[f32], threshold: f32, voxels: usize, peak: f32) -> (Vec<i32>, String) {
    let painted: Vec<bool> = probabilities.iter().map(|p| *p >= threshold).collect();
    let mut labels = vec![0; painted.len()];
    let found = components(&painted);
    let (mut small, mut faint) = (0, 0);
    for component in &found {
        let highest = component.iter().map(|i| probabilities[*i]);
        if component.len() < voxels {
            small += 1;
        } else if highest.fold(0.0, f32::max) < peak {
            faint += 1;
        } else {
            component.iter().for_each(|i| labels[*i] = 1);
        }
    }
    assert!(
        small > 0 && faint > 0 && labels.contains(&1),
        "{small} {faint}: a rule is not tried"
    );
    let before = painted.iter().filter(|p| **p).count();
    let after: i32 = labels.iter().sum();
    let row = format!(
        "sub-02,lesion,{},{small},{faint},0,{before},{after}",
        found.len()
    );
    (labels, row)
}

/// Probabilities that come from windows, from a file's volumes, and by interpolation.
#[test]
fn components_that_are_too_small_or_too_faint_are_removed() {
    for set in ["", "--set geometry.spacing=[3,3,5]"] {
        let (place, probabilities) = trained(set);
        // The threshold leaves a tenth of what is inside the mask, in scattered pieces.
        let mut inside: Vec<f32> = probabilities.iter().copied().filter(|p| *p > 0.0).collect();
        inside.sort_by(f32::total_cmp);
        let threshold = inside[inside.len() * 9 / 10];
        let painted: Vec<bool> = probabilities.iter().map(|p| *p >= threshold).collect();
        let found = components(&painted);
        let highest = |component: &Vec<usize>| {
            let values = component.iter().map(|i| probabilities[*i]);
            values.fold(0.0, f32::max)
        };
        let voxels = median(found.iter().map(|c| c.len() as f32).collect()) as usize + 1;
        let large = found.iter().filter(|c| c.len() >= voxels);
        let peak = median(large.map(highest).collect());
        let (labels_expected, row) = expected(&probabilities, threshold, voxels, peak);
        rules(
            &place,
            &format!(
                "[foreground]\nthreshold = {threshold}\nmin_volume_mm3 = {}\n\
                 [class.lesion]\nmin_peak_probability = {peak}",
                voxels as f64 * VOXEL_MM3
            ),
        );
        for (out, options) in [("streamed", ""), ("kept", "--probabilities")] {
            place.ok(&predict(&format!(
                "--postprocess rules.toml --out {out} {options}"
            )));
            assert_eq!(labels(&place, out), labels_expected, "{set} {out}");
            let table = place.text(format!("{out}/postprocess.csv"));
            assert_eq!(table.lines().nth(1), Some(row.as_str()), "{set} {out}");
        }
        // Probabilities stay as they are.
        let files = ["plain", "kept"].map(|out| format!("{out}/sub-02.probabilities.nii.gz"));
        let volumes = files.map(|file| read(place.path(file)).unwrap().volumes);
        assert_eq!(volumes[0][1].data(), volumes[1][1].data());
    }
}

#[test]
fn the_largest_component_stays() {
    let (place, _) = trained("");
    let found = components(
        &labels(&place, "plain")
            .iter()
            .map(|l| *l == 1)
            .collect::<Vec<_>>(),
    );
    assert!(
        found.len() > 1,
        "one component, of which nothing can be removed"
    );
    let mut largest = &found[0];
    for component in &found {
        if component.len() > largest.len() {
            largest = component;
        }
    }
    rules(&place, "[class.lesion]\nlargest_component = true");
    place.ok(&predict("--postprocess rules.toml --out p"));
    let left = labels(&place, "p");
    assert_eq!(left.iter().filter(|l| **l == 1).count(), largest.len());
    assert!(largest.iter().all(|i| left[*i] == 1));

    // One subject alone tells the same in a line.
    let images = ["T1", "T2", "FLAIR"].map(|m| format!("--image {m}=cohort/sub-02/{m}.nii.gz"));
    let told = place.ok(&format!(
        "predict run {} --mask cohort/sub-02/brain_mask.nii.gz --postprocess rules.toml \
         --out seg.nii.gz",
        images.join(" ")
    ));
    let line = format!(
        "lesion: {} components, of which removed: 0 by volume, 0 by peak, {} beside the largest",
        found.len(),
        found.len() - 1
    );
    assert!(told.stdout.contains(&line), "{told}");
    assert_eq!(read_labels(place.path("seg.nii.gz")).unwrap().data(), left);
}

#[test]
fn the_rules_are_recorded_and_other_rules_are_another_maker() {
    let (place, _) = trained("--set train.iterations=1");
    rules(&place, "[foreground]\nthreshold = 0.4\nmin_volume_mm3 = 60");
    place.ok(&predict("--postprocess rules.toml --out p"));
    let list = place.json("p/predictions.json");
    assert_eq!(
        list["postprocess"],
        serde_json::json!({
            "classes": ["background", "lesion"],
            "foreground": { "threshold": 0.4, "min_volume_mm3": 60.0 },
            "class": {},
        })
    );
    // A comment is no other rule.
    rules(
        &place,
        "# small ones go\n[foreground]\nthreshold = 0.4\nmin_volume_mm3 = 60",
    );
    place.ok(&predict("--postprocess rules.toml --out p --skip-existing"));
    let maker = ["p holds predictions", "another postprocess file", "--force"];
    place.refused(&predict("--out p --skip-existing"), &maker);
    rules(&place, "[foreground]\nthreshold = 0.5");
    place.refused(&predict("--postprocess rules.toml --out p"), &maker);
    place.ok(&predict("--out p --force"));
    assert_eq!(place.names("p"), ["predictions.json", "sub-02.nii.gz"]);
    // The mean of runs has rules too.
    place.ok("train run.toml --out other --set train.iterations=1 --set seed=5");
    place
        .ok(&predict("--postprocess rules.toml --out q")
            .replace("predict run", "predict run other"));
    assert_eq!(
        place.json("q/predictions.json")["ensemble"]["runs"][1]["run"],
        "other"
    );
    assert!(place.path("q/postprocess.csv").exists());
}
