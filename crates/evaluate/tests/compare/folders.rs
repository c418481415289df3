//! What folders may hold and what is refused.

use super::*;

#[test]
fn an_evaluation_stands_for_its_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let mut case = case(folder.path(), &["a", "b"]);
    let maps = case.compare(&["b"]).unwrap();
    let subjects = ["s1", "s2"].map(str::to_owned);
    let request = Request {
        manifest: &case.manifest,
        predictions: &folder.path().join("a"),
        out: &folder.path().join("evaluated"),
        subjects: &subjects,
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    evaluate(&request, &mut |_, _| ()).unwrap();
    case.folders[0] = folder.path().join("evaluated");
    case.out = folder.path().join("other");
    let scores = case.compare(&["b"]).unwrap();
    assert!(scores.predictions[0].evaluation && !scores.predictions[1].evaluation);
    assert_eq!(scores.pairs[0].metrics, maps.pairs[0].metrics);
    assert_eq!(scores.pairs[0].strata, maps.pairs[0].strata);
    assert_eq!(scores.pairs[0].lesions.len(), 4);
    assert_eq!(scores.pictures.len(), 2);
    // Without its label maps, what needs them is not told.
    std::fs::remove_dir_all(folder.path().join("a")).unwrap();
    let scores = case.compare(&["b"]).unwrap();
    assert_eq!(scores.pairs[0].metrics, maps.pairs[0].metrics);
    assert_eq!(
        (scores.pairs[0].lesions.len(), scores.pictures.len()),
        (3, 0)
    );
    assert!(
        scores
            .notes
            .iter()
            .any(|n| n.contains("are gone or have changed"))
    );
    assert!(
        !case.out.join("pictures/s1.png").exists(),
        "a stale picture stays"
    );
    // Of another reference: two lesions of subject s2 are three.
    write(
        &folder.path().join("labels/s2.nii.gz"),
        &labels(&[SMALL, MIDDLE, LARGE], 7),
    );
    let error = case.compare(&["b"]).unwrap_err().to_string();
    assert!(
        error.contains("subject `s2`") && error.contains("(3 and 2 lesions"),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut case = case(folder.path(), &["a", "b"]);
    let refused = |case: &Case, label_values: &[&str], expected: &str| {
        let error = case.compare(label_values).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(
        &case,
        &[],
        "holds the value 7, expected class indices 0 to 1",
    );
    refused(
        &case,
        &["c"],
        "--label-values c: there is no such prediction; expected of a, b",
    );
    assert!(!case.out.exists(), "nothing is written");
    let names = ["x".to_owned()];
    let request = CompareRequest {
        names: &names,
        ..case.request(&[])
    };
    let error = compare(&request, &mut |_, _| ()).unwrap_err().to_string();
    assert!(error.contains("1 name(s) for 2 folders"), "{error}");
    // Another's files.
    std::fs::create_dir(&case.out).unwrap();
    std::fs::write(case.out.join("lesions.csv"), "mine").unwrap();
    refused(&case, &["b"], "lesions.csv is there already");
    std::fs::remove_file(case.out.join("lesions.csv")).unwrap();
    case.compare(&["b"]).unwrap();
    case.compare(&["b"]).unwrap();
    case.folders.push(path("a"));
    case.folders.remove(1);
    refused(&case, &[], "not from a comparison of these folders");
    case.folders = vec![path("a"), path("nowhere")];
    refused(&case, &[], "there is no such folder");
    case.folders = vec![path("a"), path("out")];
    refused(
        &case,
        &[],
        "holds no <id>.nii.gz (or of another format) of a subject",
    );
    case.folders = vec![path("a")];
    refused(&case, &[], "give two or more");
    // A former comparison is no reason to write over what is read.
    std::fs::create_dir(path("c")).unwrap();
    write(&path("c/s4.nii.gz"), &labels(&[LARGE], 1));
    case.folders = vec![path("a"), path("c")];
    refused(&case, &[], "no labelled subject");
}
