//! What a command may write over, and what it takes away.

mod harness;

use harness::Place;

#[test]
fn an_evaluation_takes_its_former_pictures_away_and_no_others() {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=1");
    place.ok("predict run --dataset cohort/dataset.toml --out pred");
    let evaluate = "evaluate --dataset cohort/dataset.toml --predictions pred --out eval";
    place.ok(evaluate);
    place.write("eval/overlays/mine.png", "mine");
    assert_eq!(
        place.names("eval/overlays"),
        ["mine.png", "sub-01.png", "sub-02.png"]
    );
    // A list that names a file elsewhere does not make it a picture.
    place.write("notes.txt", "notes");
    place.edit("eval/summary.json", "overlays/sub-01.png", "../notes.txt");
    place.ok(&format!("{evaluate} --subjects sub-02"));
    assert_eq!(place.text("notes.txt"), "notes");
    place.ok(evaluate);
    place.ok(&format!("{evaluate} --subjects sub-02"));
    assert_eq!(place.names("eval/overlays"), ["mine.png", "sub-02.png"]);
}

#[test]
fn a_folder_that_takes_no_files_and_the_folder_of_a_run() {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=1");
    let names = place.names("run");
    place.refused(
        "losses plot dice --out run/dice.svg",
        &["run", "run.toml", "--out"],
    );
    assert_eq!(place.names("run"), names);
    #[cfg(target_os = "linux")]
    for out in ["/proc/x", "/proc/x/y"] {
        let said = place.refused(
            &format!("predict run --dataset cohort/dataset.toml --out {out}"),
            &[
                &format!("cannot write into {out}: /proc takes no files"),
                "--out",
            ],
        );
        assert!(!said.error().contains("lacuna"), "{said}");
    }
}

#[test]
fn the_check_says_what_is_background() {
    let place = Place::new();
    let said = place.ok("check cohort/dataset.toml");
    // Each subject has a mask.
    assert!(!said.stdout.contains("background without"), "{said}");
    let manifest = place.text("cohort/dataset.toml");
    let maskless: Vec<&str> = (manifest.lines())
        .filter(|line| !line.starts_with("mask"))
        .collect();
    place.write("cohort/dataset.toml", maskless.join("\n"));
    let said = place.ok("check cohort/dataset.toml");
    for modality in ["T1", "T2", "FLAIR"] {
        let line = format!("{modality}: background without a mask: 0, in all 2 images");
        assert!(said.stdout.contains(&line), "{said}");
    }
    let found = place.ok("check cohort/dataset.toml --json").json();
    assert_eq!(found["subjects"][0]["images"][0]["background"], "zero");

    // As in CT: air of -1024 where there was 0.
    let path = place.path("cohort/sub-01/T1.nii.gz");
    let reference = lacuna_io::read_reference(&path).unwrap();
    let image = lacuna_io::read_image(&path).unwrap();
    let image = image.map(|v| if *v == 0.0 { -1024.0 } else { *v });
    lacuna_io::write_image(&path, &image, &reference).unwrap();
    let said = place.run("check cohort/dataset.toml");
    let line = "T1: background without a mask: 0 in 1 images, none in 1";
    assert!(said.stdout.contains(line), "{said}");
}
