//! Coordinates by hand arithmetic.

use super::*;
use crate::colour::BLUE;

fn chart(points: Vec<[f64; 2]>, y_range: Option<[f64; 2]>) -> LineChart {
    LineChart {
        title: "Loss < 1 & falling".to_owned(),
        x_label: "Iteration".to_owned(),
        y_label: "Loss".to_owned(),
        y_range,
        series: vec![Series {
            name: "a \"b\"".to_owned(),
            points,
            colour: BLUE,
            stroke: Stroke::Strong,
        }],
    }
}

/// The opened elements, all of which must be closed in order.
fn elements(svg: &str) -> Vec<String> {
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag that ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!text.contains('>'), "{text}");
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None => {
                seen.push(name.trim_end_matches('/').to_owned());
                if !tag.ends_with('/') {
                    open.push(name.to_owned());
                }
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

#[test]
fn points_lie_where_the_axes_say() {
    // x: 0 to 100 over 64 to 626; y: 0 to 1 over 216 to 14.
    // (50, 0.25) -> 64 + 281, 216 - 50.5.
    let svg = chart(
        vec![[0.0, 1.0], [50.0, 0.25], [100.0, 0.0]],
        Some([0.0, 1.0]),
    )
    .svg();
    assert!(svg.contains("d=\"M64 14L345 165.5L626 216\""), "{svg}");
    assert!(svg.contains("stroke=\"#0072B2\""));
    // Ticks every 20 and every 0.2: 64 + 562 / 5 and 216 - 202 / 5.
    assert!(svg.contains("<path d=\"M176.4 216v5\""));
    assert!(svg.contains(">20</text>") && svg.contains(">0.2</text>"));
    assert!(svg.contains("y=\"175.6\" dy=\"0.35em\""));
}

#[test]
fn the_picture_is_well_formed_and_escaped() {
    let svg = chart(vec![[1.0, 2.0], [2.0, 3.0]], None).svg();
    let seen = elements(&svg);
    assert_eq!(seen[0], "svg");
    assert!(svg.contains("<title>Loss &lt; 1 &amp; falling</title>"));
    assert!(svg.contains("<title>a &quot;b&quot;</title>"));
}

#[test]
fn axes_are_widened_to_ticks() {
    // 0.13 to 0.92: a fifth is 0.158, so ticks every 0.2 from 0 to 1.
    let axis = Axis::over([0.92, 0.13].into_iter(), None, 0.0, 100.0);
    assert_eq!((axis.low, axis.high, axis.step), (0.0, 1.0, 0.2));
    assert_eq!(axis.place(0.5), 50.0);
    let ticks: Vec<String> = axis.ticks().map(|t| axis.tick_text(t)).collect();
    assert_eq!(ticks, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
}

#[test]
fn values_that_are_not_finite_leave_a_gap() {
    let svg = chart(
        vec![[0.0, 0.0], [1.0, 1.0], [2.0, f64::NAN], [4.0, 1.0]],
        Some([0.0, 1.0]),
    )
    .svg();
    assert!(svg.contains("d=\"M64 216L204.5 14M626 14\""), "{svg}");
    assert!(!svg.contains("NaN"));
}

#[test]
fn charts_without_data_or_of_one_value_have_axes() {
    for points in [vec![], vec![[1.0, 0.0]], vec![[3.0, 7.0], [4.0, 7.0]]] {
        let svg = chart(points, None).svg();
        elements(&svg);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn the_median_runs_over_the_neighbourhood() {
    // Windows of three: {5,1} {5,1,9} {1,9,2} {9,2,2} {2,2}.
    assert_eq!(
        running_median(&[5.0, 1.0, 9.0, 2.0, 2.0], 3),
        [3.0, 5.0, 2.0, 2.0, 2.0]
    );
    assert_eq!(running_median(&[1.0, f64::NAN, 3.0], 3), [1.0, 2.0, 3.0]);
    assert!(running_median(&[f64::NAN], 3)[0].is_nan());
    assert_eq!(running_median(&[4.0, 8.0], 1), [4.0, 8.0]);
}

#[test]
fn a_long_series_keeps_its_spikes() {
    let mut points: Vec<[f64; 2]> = (0..100_000).map(|i| [f64::from(i), 0.5]).collect();
    points[54_321][1] = 9.0;
    let kept = thinned(&points);
    assert!(kept.len() <= 1280);
    assert!(kept.contains(&[54_321.0, 9.0]));
    assert!(kept.is_sorted_by(|a, b| a[0] <= b[0]));
}
