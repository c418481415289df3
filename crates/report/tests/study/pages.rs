//! Pages, figures and the files beside them.

use crate::synthetic::{self, plan, status, write_study};
use crate::{report, table, two_losses};
use lacuna_record::Inputs;
use lacuna_record::{State, StudyFolder};
use lacuna_report::study::{StudyReport, StudyResults, html, latex, markdown, write};

#[test]
fn a_folder_that_is_no_study_or_is_corrupt_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let none = StudyResults::read(&StudyFolder(folder.path().to_owned())).unwrap_err();
    assert!(none.to_string().contains("holds no study.json"), "{none}");
    let study = two_losses(folder.path());
    let path = study.run("g0").join("test/summary.json");
    std::fs::write(&path, "{\"subjects\": [").unwrap();
    let corrupt = StudyResults::read(&study).unwrap_err().to_string();
    assert!(corrupt.contains(&path.display().to_string()), "{corrupt}");
}

#[test]
fn every_figure_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let networks = ["unet", "high-res-3d-net"];
    let study = synthetic::write_whole_study(folder.path(), &networks, 2, &[0.1, 1e-3]);
    let results = StudyResults::read(&study).unwrap();
    let report = StudyReport::of(&results, &synthetic::example).unwrap();
    let out = folder.path().join("report");
    write(&report, &out, false, &Inputs::default()).unwrap();
    let page = html(&report);
    let charts = [
        "figure-1",
        "figure-2",
        "isolines-test-2d",
        "isolines-test-3d",
        "figure-3",
        "collapse-rate",
        "curves",
        "shares-dsc",
        "reliability",
    ];
    for id in charts {
        let svg = std::fs::read_to_string(out.join(format!("figures/{id}.svg"))).unwrap();
        assert!(
            svg.starts_with("<svg xmlns=") && svg.contains("<path"),
            "{id}"
        );
        assert!(page.contains(&format!("<figure id=\"{id}\">")), "{id}");
    }
    // A gallery for each network and share, five losses each.
    for gallery in 1..=4 {
        for loss in 1..=5 {
            let png = std::fs::read(out.join(format!("figures/figure-4-{gallery}-{loss}.png")));
            assert_eq!(&png.unwrap()[1..4], b"PNG");
        }
    }
    for table in [
        "findings",
        "stops",
        "lesions",
        "calibration",
        "time",
        "comparison-3d",
    ] {
        assert!(!self::table(&report, table).rows.is_empty(), "{table}");
    }
    // Every entry of the contents leads somewhere.
    for (i, _) in page.match_indices("href=\"#") {
        let id = page[i + 7..].split('"').next().unwrap();
        assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
    }
}

#[test]
fn an_example_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let results = StudyResults::read(&two_losses(folder.path())).unwrap();
    let error = StudyReport::of(&results, &|_, _| Err("no such image".into())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "subject `b` of run `g0` cannot be drawn: no such image"
    );
}

#[test]
fn all_formats_hold_the_same_cells() {
    let folder = tempfile::tempdir().unwrap();
    let study = two_losses(folder.path());
    let report = report(&study);
    let out = folder.path().join("report");
    std::fs::create_dir_all(out.join("tables")).unwrap();
    std::fs::write(out.join("tables/old.csv"), "left by an earlier report").unwrap();
    std::fs::write(out.join("files.json"), r#"{"files": ["tables/old.csv"]}"#).unwrap();
    write(&report, &out, false, &Inputs::default()).unwrap();
    assert!(!out.join("tables/old.csv").exists());
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("report.html"), html(&report));
    assert_eq!(read("report.md"), markdown(&report));
    assert_eq!(read("report.tex"), latex(&report));
    let plain = |text: &str| {
        let text = text.replace("\\dag{}", "†").replace("\\textendash{}", "–");
        let text = text.replace("\\textbf", "");
        text.replace(['\\', '{', '}', '*'], "")
            .replace('\u{A0}', " ")
    };
    let (page, md, tex) = (
        plain(&read("report.html")),
        plain(&read("report.md")),
        plain(&read("report.tex")),
    );
    for table in report.tables() {
        let mut csv = csv::Reader::from_path(out.join(format!("tables/{}.csv", table.id))).unwrap();
        assert_eq!(csv.headers().unwrap().len(), table.columns.len());
        for (row, record) in table.rows.iter().zip(csv.records()) {
            let texts: Vec<&str> = row.iter().map(|c| c.text.as_str()).collect();
            assert_eq!(record.unwrap(), texts);
            if texts.iter().any(|t| t.contains(['<', '>', '\''])) {
                continue;
            }
            assert!(md.contains(&texts.join(" | ")), "{texts:?}");
            assert!(tex.contains(&texts.join(" & ")), "{texts:?}");
            for text in texts {
                assert!(page.contains(&format!(">{text}<")), "{text}");
            }
        }
    }
}

#[test]
fn only_what_an_earlier_report_listed_is_removed_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let study = two_losses(folder.path());
    let report = report(&study);
    let out = folder.path().join("report");
    for mine in ["tables/mine.csv", "figures/mine.png", "notes.md"] {
        std::fs::create_dir_all(out.join(mine).parent().unwrap()).unwrap();
        std::fs::write(out.join(mine), "mine").unwrap();
    }
    write(&report, &out, false, &Inputs::default()).unwrap();
    write(&report, &out, false, &Inputs::default()).unwrap();
    for mine in ["tables/mine.csv", "figures/mine.png", "notes.md"] {
        assert_eq!(std::fs::read(out.join(mine)).unwrap(), b"mine");
    }
    // Every file but the list is in the list.
    let list: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("files.json")).unwrap()).unwrap();
    let listed = list["files"].as_array().unwrap();
    assert!(
        listed
            .iter()
            .all(|f| out.join(f.as_str().unwrap()).is_file())
    );
    assert!(listed.iter().any(|f| f == "report.html"));
    assert!(!listed.iter().any(|f| f == "tables/mine.csv"));

    // A page that no report wrote stays, unless it is to be replaced.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("report.md"), "mine").unwrap();
    let refused = write(&report, &other, false, &Inputs::default())
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("report.md is there") && refused.contains("--force"),
        "{refused}"
    );
    assert!(!other.join("report.html").exists());
    assert_eq!(std::fs::read(other.join("report.md")).unwrap(), b"mine");
    write(&report, &other, true, &Inputs::default()).unwrap();
    assert_ne!(std::fs::read(other.join("report.md")).unwrap(), b"mine");

    // A list that leads out of the folder is none.
    std::fs::write(other.join("files.json"), r#"{"files": ["../precious"]}"#).unwrap();
    std::fs::write(folder.path().join("precious"), "mine").unwrap();
    let refused = write(&report, &other, true, &Inputs::default())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("files.json"), "{refused}");
    assert!(folder.path().join("precious").exists());
}

#[test]
fn names_are_never_markup_and_nothing_is_loaded_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let name = "<script src='x'>&\"|*_$%\\input{x}";
    let mut runs = vec![plan("run", name, name)];
    runs[0].loss = format!("{name} {name}");
    let study = write_study(folder.path(), name, runs.clone());
    status(&study, &runs[0], State::Failed, Some(name));
    let report = report(&study);
    let page = html(&report).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in [
        "http:", "https:", "//", "@import", "<script", "<link", "url(", "src='",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("&lt;script src=&#39;x&#39;&gt;"));
    let tex = latex(&report);
    assert!(!tex.contains("\\input{x}") && tex.contains("\\textbackslash{}input\\{x\\}"));
    assert!(tex.contains("\\_\\$\\%"));
    let md = markdown(&report);
    assert!(!md.contains("<script") && md.contains("\\|\\*\\_"));
}
