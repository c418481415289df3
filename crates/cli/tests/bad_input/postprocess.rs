//! Postprocess files that cannot be used.

use crate::trained;

#[test]
fn a_file_that_is_wrong_or_for_another_dataset() {
    let place = trained();
    let classes = "classes = [\"background\", \"lesion\"]\n";
    let name = place.json("run/dataset.json")["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let words = "predict run --dataset cohort/dataset.toml --out pred --postprocess rules.toml";
    place.refused(words, &["postprocess file rules.toml"]);
    for (text, parts) in [
        (
            "classes = [\"background\", \"tumour\"]\n[foreground]\nthreshold = 0.5\n".to_owned(),
            vec![
                "rules.toml is a postprocess file of another dataset",
                "tumour",
                "run",
                "lesion",
            ],
        ),
        (
            format!("dataset = \"brats\"\n{classes}[foreground]\nthreshold = 0.5\n"),
            vec![
                "rules.toml is a postprocess file of another dataset",
                "\"brats\"",
                &name,
            ],
        ),
        (
            format!("{classes}[foreground]\nmin_volume = 5\n"),
            vec![
                "rules.toml",
                "`foreground.min_volume`",
                "did you mean `min_volume_mm3`?",
            ],
        ),
        (
            format!("{classes}[class.lesions]\nthreshold = 0.5\n"),
            vec!["rules.toml", "[class.lesions]", "did you mean `lesion`?"],
        ),
        (
            format!("{classes}[class.lesion]\nthreshold = 1.5\n"),
            vec![
                "rules.toml",
                "`class.lesion.threshold` is 1.5",
                "above 0, at most 1",
            ],
        ),
        (
            format!("{classes}[foreground]\nthreshold = \"high\"\n"),
            vec!["rules.toml", "line 3", "\"high\""],
        ),
        (
            classes.to_owned(),
            vec!["rules.toml", "asks for nothing", "[class.NAME]"],
        ),
    ] {
        place.write("rules.toml", text);
        place.refused(words, &parts);
        assert!(!place.path("pred").exists(), "something was written");
    }
    // A table that nobody here made is left alone.
    place.write(
        "rules.toml",
        format!("dataset = \"{name}\"\n{classes}[foreground]\nthreshold = 0.5\n"),
    );
    place.write("pred/postprocess.csv", "theirs");
    place.refused(words, &["pred/postprocess.csv is there already", "--force"]);
    assert_eq!(place.names("pred"), ["postprocess.csv"]);
    place.ok(&format!("{words} --force"));
}
