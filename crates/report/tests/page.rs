//! The page as a reader gets it.

use lacuna_report::{
    Fact, IterationRow, MetricColumn, MetricTable, Picture, RunReport, SubjectRow, SummaryRow,
    render,
};

fn report() -> RunReport {
    // DSC of iteration i is i / 1000: the last 200 of 1000 are 0.801 to 1, whose
    // median is 0.9005 and quartiles 0.85075 and 0.95025.
    let row = |i: u64| IterationRow {
        iteration: i,
        loss: 1.0 - i as f64 / 1000.0,
        dsc: i as f64 / 1000.0,
        foreground_share: 0.25,
        empty_patches: u64::from(i.is_multiple_of(4)),
        seconds: 0.5,
    };
    RunReport {
        title: "Run <1> & \"more\"".to_owned(),
        subtitle: "A test".to_owned(),
        facts: vec![
            Fact::new("Network", "unet"),
            Fact::new("<script>", "alert('x')"),
        ],
        iterations: (1..=1000).map(row).collect(),
        patches_per_iteration: 2,
        sampler: String::new(),
        metrics: Some(MetricTable {
            columns: vec![MetricColumn {
                name: "DSC".to_owned(),
                convention: "both-empty=1".to_owned(),
            }],
            rows: vec![SubjectRow {
                subject: "sub-<02>".to_owned(),
                class: "lesion".to_owned(),
                values: vec![0.71234],
            }],
            summary: vec![SummaryRow {
                class: "lesion".to_owned(),
                metric: "DSC".to_owned(),
                subjects: 1,
                median: 0.71234,
                iqr: 0.0,
                mean: Some(0.71234),
                interval: Some([0.6, 0.8]),
            }],
            interval: "95 % percentile bootstrap".to_owned(),
        }),
        pictures: vec![Picture {
            title: "sub-02".to_owned(),
            caption: "A slice".to_owned(),
            png: vec![0x89, b'P', b'N', b'G'],
            size: [4, 3],
        }],
        notes: vec!["http://example.org is text, not a link".to_owned()],
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let mut report = report();
    report.notes.clear();
    let page = render(&report).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in [
        "http:", "https:", "//", "@import", "<script", "<link", "url(",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    for (i, _) in page.match_indices("src=\"") {
        assert!(page[i + 5..].starts_with("data:image/png;base64,iVBORw==\""));
    }
}

#[test]
fn text_is_never_markup() {
    let page = render(&report());
    assert!(page.contains("<title>Run &lt;1&gt; &amp; &quot;more&quot;</title>"));
    assert!(page.contains("<dt>&lt;script&gt;</dt><dd>alert(&#39;x&#39;)</dd>"));
    assert!(page.contains(">sub-&lt;02&gt;</th>"));
    assert!(page.contains("<p>http://example.org is text, not a link</p>"));
}

#[test]
fn numbers_are_those_of_the_run() {
    let page = render(&report());
    assert!(page.contains("DSC of the last 200 iterations</dt><dd>0.901 (0.0995)<small>median"));
    assert!(page.contains("Foreground share</dt><dd>25.0 %"));
    // 250 of 2000 patches.
    assert!(page.contains("Empty patches</dt><dd>12.5 %"));
    assert!(page.contains("Time</dt><dd>500 s<small>0.500 s per iteration"));
    assert!(page.contains("DSC<small>both-empty=1</small>"));
    assert!(
        page.contains("<td class=\"n\">0.712 (0)</td><td class=\"n\">0.712 [0.600, 0.800]</td>")
    );
    assert_eq!(page.matches("<svg").count(), 3);
}

#[test]
fn elements_are_closed_in_order() {
    let page = render(&report());
    let mut open: Vec<&str> = Vec::new();
    let body = &page[page.find("<body").unwrap()..];
    for tag in body.split('<').skip(1) {
        let tag = tag.split_once('>').unwrap().0;
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some("html") => {}
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') || name == "img" => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_run_that_has_not_started_has_a_page() {
    let page = render(&RunReport {
        title: "Empty".to_owned(),
        ..RunReport::default()
    });
    assert!(page.contains("<h1>Empty</h1>") && !page.contains("<svg"));
}

#[test]
fn rows_are_read_from_lines_of_events() {
    let line = r#"{"iteration":7,"loss":0.5,"dsc":0.25,"foreground_share":0.1,"empty_patches":1,
        "seconds":0.2,"wait_seconds":0.0,"wall_time":1.0}"#;
    let row: IterationRow = serde_json::from_str(line).unwrap();
    assert_eq!((row.iteration, row.dsc, row.empty_patches), (7, 0.25, 1));
}
