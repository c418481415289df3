//! Descriptions of datasets: manifests, those of other programs, tables of subjects, folds.

use std::path::Path;

use lacuna_data::discover::{described as read_dataset_json, from_list};
use lacuna_data::manifest::Manifest;
use lacuna_data::split::{Member, read_splits as folds};

use super::{Outcome, goldens};
use crate::input::Input;

const MANIFESTS: [&str; 3] = [
    r#"name = "brats2015"
modalities = ["FLAIR", "T1c"]
classes = ["background", "tumour"]
label_values = { 0 = "background", 1 = "tumour", 4 = "tumour" }
grid = "T1c"
[[subject]]
id = "pat0003"
group = "patient-3"
scanner = "A"
images = { FLAIR = "pat0003/FLAIR.nii.gz", T1c = "pat0003/T1c.nii.gz" }
label = "pat0003/tumour.nii.gz"       # absent for subjects to predict
mask = "pat0003/brain_mask.nii.gz"
[[subject]]
id = "pat0004"
images = { FLAIR = "pat0004/4d.nii.gz#0", T1c = "pat0004/4d.nii.gz#1" }
white_matter = "pat0004/wm.nii.gz"
weight = "../weights/pat0004.nii.gz"
"#,
    "name = 'pictures'\nmodalities = ['grey']\nclasses = ['background', 'spot']\n\
     spacing = [0.01, 0.02]\n[[subject]]\nid = 'a'\nspacing = [0.5, 0.25]\n\
     images.grey = 'a.png'\n[[subject]]\nid = 'b'\nimages = { grey = '''b.png''' }\n",
    "name = \"a\"\nmodalities = [\"x.y\"]\nclasses = [\"\\u0061\", \"b\"]\n\
     subject = [{ id = \"=1\", images = { \"x.y\" = \"a\" } }]\n",
];

pub fn manifests() -> Vec<Input> {
    MANIFESTS
        .map(|text| Input::new("dataset.toml", text))
        .to_vec()
}

/// A manifest is what it is written as.
pub fn read_manifest(folder: &Path, input: &Input) -> Outcome {
    let path = folder.join(input.name());
    let manifest = match Manifest::read(&path) {
        Ok(manifest) => manifest,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let again = folder.join("again.toml");
    let text = match manifest.to_toml() {
        Ok(text) => text,
        Err(error) => return Outcome::Wrong(format!("it cannot be written: {error}")),
    };
    std::fs::write(&again, &text).expect("the folder takes files");
    let read = Manifest::read(&again).and_then(|again| again.to_toml());
    std::fs::remove_file(&again).expect("it was written");
    match read {
        Ok(again) if again == text => Outcome::Decoded,
        Ok(_) => Outcome::Wrong("written and read, it is another".to_owned()),
        Err(error) => Outcome::Wrong(format!("written, it is refused: {error}")),
    }
}

const NNUNET: &str = r#"{"channel_names": {"0": "FLAIR", "1": "T1"}, "labels":
 {"background": 0, "lesion": 1, "whole": [2, 3]}, "numTraining": 1, "file_ending": ".nii"}"#;
const LISTED: &str = r#"{"name": "x", "channel_names": {"0": "FLAIR"}, "labels":
 {"background": 0, "lesion": 1}, "numTraining": 1, "file_ending": ".nii", "dataset":
 {"a": {"images": ["imagesTr/a_0000.nii"], "label": "labelsTr/a.nii"}}}"#;
const DECATHLON: &str = r#"{"name": "Hippocampus", "modality": {"0": "MRI"}, "labels":
 {"0": "background", "1": "Anterior", "2": "Posterior"}, "numTraining": 1, "training":
 [{"image": "./imagesTr/a.nii", "label": "./labelsTr/a.nii"}], "test": ["./imagesTs/b.nii"]}"#;

pub fn described() -> Vec<Input> {
    let nifti = goldens("nifti", &["u8_le.nii"]).remove(0).1;
    let with = |json: &str, files: &[&str]| {
        let input = Input::new("dataset.json", json);
        files
            .iter()
            .fold(input, |input, file| input.with(*file, nifti.clone()))
    };
    let label = "labelsTr/a.nii";
    vec![
        with(
            NNUNET,
            &["imagesTr/a_0000.nii", "imagesTr/a_0001.nii", label],
        ),
        with(LISTED, &["imagesTr/a_0000.nii", label]),
        with(DECATHLON, &["imagesTr/a.nii", label, "imagesTs/b.nii"]),
    ]
}

pub fn read_described(folder: &Path, _: &Input) -> Outcome {
    Outcome::of(read_dataset_json(folder, &folder.join("out.toml")))
}

pub fn tables() -> Vec<Input> {
    let label = goldens("formats", &["mask.png"]).remove(0).1;
    let table = "id,group,scanner,FLAIR,T1,label,mask\n\
                 a,p1,A,a.nii.gz#0,a.nii.gz#1,mask.png,\n\"b, c\",,,b.nii,\"b \"\"1\"\".nii\",,m.nii\n\
                 '=1+1,'-x,+5,c,d,mask.png,mask.png\n";
    let tabs = table.replace(',', "\t");
    vec![
        Input::new("list.csv", table).with("mask.png", label.clone()),
        Input::new("list.tsv", tabs).with("mask.png", label.clone()),
        Input::new(
            "list.csv",
            format!("\u{feff}{}", table.replace('\n', "\r\n")),
        )
        .with("mask.png", label),
    ]
}

pub fn read_table(folder: &Path, input: &Input) -> Outcome {
    let path = folder.join(input.name());
    Outcome::of(from_list(&path, &[], &folder.join("out.toml")))
}

pub fn splits() -> Vec<Input> {
    let text = r#"[{"train": ["a", "b"], "val": ["c"]}, {"train": ["c", "a"], "val": ["b"]}]"#;
    vec![Input::new("splits_final.json", text)]
}

pub fn read_splits(folder: &Path, input: &Input) -> Outcome {
    let member = |id: &str| Member {
        id: id.to_owned(),
        group: None,
    };
    Outcome::of(folds(
        &folder.join(input.name()),
        &["a", "b", "c", "d"].map(member),
    ))
}
