//! Places of bands, lines and marks by hand arithmetic.

use super::*;
use crate::chart::checks::sound;

fn isolines(points: &[[f64; 3]]) -> Isolines {
    let point = |&[x, y, value]: &[f64; 3]| Measured { x, y, value };
    Isolines {
        title: "DSC & more".to_owned(),
        x_label: "Effective patch".to_owned(),
        y_label: "Learning rate".to_owned(),
        value_label: "DSC".to_owned(),
        rows: vec![IsolineRow {
            title: "UNet".to_owned(),
            panels: vec![IsolinePanel {
                title: "GDL <v>".to_owned(),
                points: points.iter().map(point).collect(),
            }],
        }],
    }
}

/// Area within one outline of a path, by the shoelace formula.
fn area(outline: &str) -> f64 {
    let numbers = outline.split(['M', 'L', ' ']).filter(|n| !n.is_empty());
    let numbers: Vec<f64> = numbers.map(|n| n.parse().unwrap()).collect();
    let corners: Vec<&[f64]> = numbers.chunks(2).collect();
    let next = |i: usize| corners[(i + 1) % corners.len()];
    let twice = corners.iter().enumerate();
    0.5 * twice
        .map(|(i, c)| c[0] * next(i)[1] - next(i)[0] * c[1])
        .sum::<f64>()
        .abs()
}

/// The panel as a picture.
fn panel(points: &[[f64; 3]]) -> String {
    let svg = isolines(points).panels().rows[0].panels[0].1.svg();
    sound(&svg);
    svg
}

#[test]
fn isolines_cross_where_the_value_is_the_level() {
    // x 16 to 48 over 51 to 163, y 1e-5 to 1e-3 over 133 to 29. The value goes
    // from 0.05 to 0.25 along x: 0.1 at a quarter, 51 + 28; 0.2 at three.
    let columns = [[16.0, 0.05], [32.0, 0.15], [48.0, 0.25]];
    let points = columns.map(|[x, value]| [1e-5, 1e-4, 1e-3].map(|y| [x, y, value]));
    let svg = panel(points.as_flattened());
    assert!(
        svg.contains("M79 133L79 29\"") || svg.contains("M79 29L79 133\""),
        "{svg}"
    );
    assert!(
        svg.contains("M135 133L135 29\"") || svg.contains("M135 29L135 133\""),
        "{svg}"
    );
    assert!(svg.contains("<title>0.1</title>") && !svg.contains("<title>0.3</title>"));
    // Bands 0, 1 and 2 are filled, the first everywhere.
    let fills = svg
        .matches(&format!("fill=\"{}\"/>", css(CIVIDIS[2])))
        .count();
    assert_eq!(fills, 1);
    assert!(!svg.contains(&css(CIVIDIS[3])));
    assert!(svg.contains("<title>Effective patch 16, Learning rate 1e-5: DSC 0.0500</title>"));
    // Ticks at what was measured.
    assert!(svg.contains(">48</text>") && svg.contains(">1e-3</text>"));
}

#[test]
fn a_grid_with_a_hole_has_no_bands_there() {
    // 3 x 3 with the middle missing: four triangles at the corners.
    let mut points = Vec::new();
    for x in [10.0, 20.0, 30.0] {
        for y in [1e-5, 1e-4, 1e-3] {
            let value = if x == 20.0 && y == 1e-4 {
                f64::NAN
            } else {
                0.5
            };
            points.push([x, y, value]);
        }
    }
    let svg = panel(&points);
    // Middles of the sides at 107 and 81: the hole is the diamond between
    // them, half of 112 x 104.
    let base = svg
        .split(&format!("\" fill=\"{}\"/>", css(CIVIDIS[0])))
        .next()
        .unwrap();
    let base = base.rsplit("d=\"").next().unwrap();
    let area: f64 = base.split('Z').map(area).sum();
    assert!((area - 0.5 * 112.0 * 104.0).abs() < 1e-9, "{base}");
    for corner in ["51 81", "107 29", "163 81", "107 133"] {
        assert!(base.contains(corner), "{base}");
    }
    assert!(svg.contains("m-4 -4l8 8"));
    assert!(svg.contains("DSC n/a</title>"));
}

#[test]
fn one_patch_size_is_a_strip_with_values() {
    let svg = panel(&[[24.0, 1e-5, 0.31], [24.0, 1e-4, 0.8], [24.0, 1e-3, 0.77]]);
    // The middle of 51 to 163 is 107: the strip is 87 to 127.
    assert!(svg.contains("L127 ") && svg.contains("87 133"), "{svg}");
    for value in ["0.31", "0.80", "0.77"] {
        assert!(svg.contains(&format!(">{value}</text>")));
    }
    let svg = panel(&[[10.0, 1e-4, 0.31], [20.0, 1e-4, 0.8]]);
    assert!(svg.contains(">0.31</text>") && !svg.contains("<title>0.4</title>"));
}

#[test]
fn four_points_are_discs_with_values_and_no_lines() {
    let svg = panel(&[
        [16.0, 1e-5, 0.05],
        [48.0, 1e-5, 0.25],
        [16.0, 1e-3, 0.05],
        [48.0, 1e-3, 0.95],
    ]);
    assert!(!svg.contains("<title>0.1</title>"), "{svg}");
    for (value, colour) in [
        ("0.05", CIVIDIS[0]),
        ("0.25", CIVIDIS[2]),
        ("0.95", CIVIDIS[9]),
    ] {
        assert!(svg.contains(&format!(">{value}</text>")));
        assert!(svg.contains(&format!("fill=\"{}\" stroke=", css(colour))));
    }
}

#[test]
fn points_alone_are_coloured() {
    let svg = panel(&[[24.0, 1e-4, 0.85]]);
    assert!(svg.contains(&format!(
        "fill=\"{}\" stroke=\"currentColor\"",
        css(CIVIDIS[8])
    )));
    assert!(svg.contains(">0.85</text>"));
    panel(&[]);
    panel(&[[24.0, 0.0, 0.5], [f64::NAN, 1.0, 0.5]]);
}

#[test]
fn panels_share_a_bar_and_are_escaped() {
    let svg = isolines(&[[1.0, 1.0, 0.5]]).svg();
    sound(&svg);
    assert!(svg.contains("<title>DSC &amp; more</title>"));
    assert!(svg.contains(">GDL &lt;v&gt;</text>"));
    for &colour in &CIVIDIS {
        assert!(svg.contains(&css(colour)));
    }
}
