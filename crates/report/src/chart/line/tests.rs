//! Coordinates by hand arithmetic.

use super::*;
use crate::chart::checks::{elements, sound};
use crate::chart::{Decades, Marker};
use crate::colour::BLUE;

fn chart(points: Vec<[f64; 2]>, y_range: Option<[f64; 2]>) -> LineChart {
    LineChart {
        title: "Loss < 1 & falling".to_owned(),
        x_label: "Iteration".to_owned(),
        y_label: "Loss".to_owned(),
        x_scale: Scale::Linear,
        y_range,
        legend: false,
        series: vec![Series::strong("a \"b\"", points, Look::plain(BLUE))],
    }
}

#[test]
fn points_lie_where_the_axes_say() {
    // x: 0 to 100 over 66 to 462; y: 0 to 1 over 178 to 14.
    // (50, 0.25) -> 66 + 198, 178 - 41.
    let svg = chart(
        vec![[0.0, 1.0], [50.0, 0.25], [100.0, 0.0]],
        Some([0.0, 1.0]),
    )
    .svg();
    assert!(svg.contains("d=\"M66 14L264 137L462 178\""), "{svg}");
    assert!(svg.contains("stroke=\"#0072B2\""));
    // Ticks every 20 and every 0.2: 66 + 396 / 5 and 178 - 164 / 5.
    assert!(svg.contains("<path d=\"M145.2 178v5\""));
    assert!(svg.contains(">20</text>") && svg.contains(">0.2</text>"));
    assert!(svg.contains("y=\"145.2\" text-anchor=\"end\" fill=\"currentColor\" dy=\"0.35em\""));
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
fn values_that_are_not_finite_leave_a_gap() {
    let svg = chart(
        vec![[0.0, 0.0], [1.0, 1.0], [2.0, f64::NAN], [4.0, 1.0]],
        Some([0.0, 1.0]),
    )
    .svg();
    assert!(svg.contains("d=\"M66 178L165 14M462 14\""), "{svg}");
    assert!(!svg.contains("NaN"));
}

#[test]
fn charts_without_data_or_of_one_value_have_axes() {
    for points in [vec![], vec![[1.0, 0.0]], vec![[3.0, 7.0], [4.0, 7.0]]] {
        let svg = chart(points, None).svg();
        sound(&svg);
    }
}

#[test]
fn a_long_series_keeps_its_spikes() {
    let mut points: Vec<[f64; 2]> = (0..100_000).map(|i| [f64::from(i), 0.5]).collect();
    points[54_321][1] = 9.0;
    let kept = thinned(&points);
    assert!(kept.len() <= 960);
    assert!(kept.contains(&[54_321.0, 9.0]));
    assert!(kept.is_sorted_by(|a, b| a[0] <= b[0]));
}

#[test]
fn a_band_goes_there_and_back_and_breaks_at_gaps() {
    // x: 0 to 4 over 66 to 462, 99 a unit; y: 0 to 1 over 178 to 14.
    let mut chart = chart(vec![[0.0, 0.5], [4.0, 0.5]], Some([0.0, 1.0]));
    chart.series[0].band = vec![
        [0.0, 0.25, 0.5],
        [1.0, 0.5, 1.0],
        [2.0, f64::NAN, 1.0],
        [4.0, 0.0, 0.25],
    ];
    let svg = chart.svg();
    sound(&svg);
    assert!(svg.contains("d=\"M66 96L165 14L165 96L66 137Z\""), "{svg}");
    assert!(svg.contains("d=\"M462 137L462 178Z\""), "{svg}");
}

#[test]
fn a_log_axis_spaces_factors_equally() {
    // Learning rates 1e-5, 1e-4 and 1e-3 over 66 to 462: 198 a decade. The
    // point at zero has no place on the axis.
    let points = vec![[0.0, 0.0], [1e-5, 0.0], [1e-4, 1.0], [1e-3, 0.0]];
    let mut chart = chart(points, Some([0.0, 1.0]));
    chart.x_scale = Scale::Log(Decades::Power);
    let svg = chart.svg();
    sound(&svg);
    assert!(svg.contains("d=\"M66 178L264 14L462 178\""), "{svg}");
    assert!(svg.contains(">1e-4</text>"));
}

#[test]
fn series_have_marks_and_a_legend_when_asked() {
    let mut chart = chart(vec![[0.0, 0.0], [1.0, 1.0]], Some([0.0, 1.0]));
    let bare = chart.drawing();
    assert!(!bare.svg().contains("stroke-dasharray"));
    chart.legend = true;
    chart.series[0].look = Look::nth(1);
    let with = chart.drawing();
    assert_eq!(with.size[1], bare.size[1] + TEXT + 5.0 + 4.0);
    let svg = with.svg();
    assert!(elements(&svg).len() > elements(&bare.svg()).len());
    assert_eq!(chart.series[0].look.marker, Some(Marker::Square));
    // Dashed in the plot and in the legend; two points and one sample marked.
    assert_eq!(svg.matches("stroke-dasharray=\"7 3\"").count(), 2);
    assert_eq!(svg.matches("h6.96v6.96").count(), 2);
    assert!(svg.contains(">a &quot;b&quot;</text>"));
}
