//! `lacuna losses plot`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use lacuna_losses::probe::Scene;
use lacuna_losses::{LossConfig, PatchGrid};
use lacuna_record::{check_file, check_no_run};
use lacuna_report::chart::{
    Decades, Drawing, HeatMap, LineChart, Look, PanelRow, Panels, Scale, Series,
};
use rayon::prelude::*;

use super::configured;
use crate::terminal::Progress;

/// Cells along each axis of a map.
const CELLS: usize = 21;
/// Edge of the cube of the maps.
const EDGE: usize = 24;
/// Edge of the cube in which prevalence falls to one voxel in 110,592.
const LARGE_EDGE: usize = 48;
/// One voxel in so many.
const PREVALENCES: [usize; 11] = [
    2, 5, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000,
];

#[derive(clap::Args)]
pub struct Arguments {
    /// Losses; options follow a colon, as in tversky:alpha=0.1,beta=0.9
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Share of the lesion in the cube of the maps, from 1/13824 to 1/2
    #[arg(long, default_value_t = 0.01)]
    prevalence: f64,
    /// Where to write the picture; the numbers go beside it as CSV
    #[arg(long, default_value = "losses.svg", value_name = "FILE.svg")]
    out: PathBuf,
}

/// False positives go up to this many times the lesion's volume.
const MOST_FALSE: f64 = 4.0;

/// Value and size of the gradient over (found share, false share), row by row.
struct Maps {
    /// The largest false share.
    most_false: f64,
    value: Vec<Vec<f64>>,
    gradient: Vec<Vec<f64>>,
}

/// One prevalence: the share, and the pulls on lesion and background.
type Pull = [f64; 3];

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        names,
        prevalence,
        out,
    } = arguments;
    if out.extension().is_none_or(|e| e != "svg") {
        bail!(
            "--out {}: expected a file name that ends in .svg",
            out.display()
        );
    }
    super::super::check_folder_of(out)?;
    let numbers = out.with_extension("csv");
    let pulls_file = out.with_extension("prevalence.csv");
    for file in [out, &numbers, &pulls_file] {
        check_file(file)?;
    }
    check_no_run(out.parent().unwrap_or(Path::new("")))?;
    let count = EDGE * EDGE * EDGE;
    let lesion = (prevalence * count as f64).round() as usize;
    if !(0.0..=0.5).contains(prevalence) || lesion == 0 {
        bail!("--prevalence {prevalence}: expected a share from 1/{count} to 1/2");
    }
    let configs: Vec<(String, LossConfig)> = names
        .iter()
        .map(|name| {
            let (loss, options) = name.split_once(':').unwrap_or((name, ""));
            let options = split_options(options);
            Ok((name.clone(), configured(loss, &options)?))
        })
        .collect::<anyhow::Result<_>>()?;
    let scene = Scene::new(PatchGrid::millimetres(EDGE, 3), &[lesion]);
    let mut bar = Progress::new("losses", 0, configs.len() as u64);
    let mut csv = String::from("loss,found_share,false_share,value,gradient\n");
    let mut pulls_csv = String::from("loss,prevalence,lesion_pull,background_pull\n");
    let mut measured = Vec::new();
    for (number, (name, config)) in configs.iter().enumerate() {
        let maps = maps(config, &scene)?;
        let pulls = pulls(config)?;
        write_csv(name, &maps, &pulls, &mut csv, &mut pulls_csv);
        measured.push((maps, pulls));
        bar.at(number as u64 + 1, name);
    }
    bar.finish();
    // One scale for all losses, so that colours can be compared.
    let values = measured
        .iter()
        .flat_map(|(maps, _)| maps.value.iter().flatten());
    let gradients = (measured.iter()).flat_map(|(maps, _)| maps.gradient.iter().flatten());
    let scales = [HeatMap::scale_of(values), HeatMap::scale_of(gradients)];
    let row = |(name, (maps, pulls)): (&String, &(Maps, Vec<Pull>))| PanelRow {
        title: name.clone(),
        panels: panels(name, maps, pulls, scales),
    };
    let rows = names.iter().zip(&measured).map(row).collect();
    let picture = Panels {
        title: format!("Losses at a prevalence of {prevalence}"),
        key: None,
        columns: 3,
        rows,
    };
    lacuna_io::atomic::write_bytes(out, picture.svg().as_bytes())?;
    lacuna_io::atomic::write_bytes(&numbers, csv.as_bytes())?;
    lacuna_io::atomic::write_bytes(&pulls_file, pulls_csv.as_bytes())?;
    super::super::print(&format!(
        "{}\n{}\n{}\n",
        out.display(),
        numbers.display(),
        pulls_file.display()
    ))
}

/// Commas divide options, but for those inside brackets.
fn split_options(text: &str) -> Vec<String> {
    let mut options = vec![String::new()];
    let mut depth = 0_i32;
    for c in text.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        match (c, depth) {
            (',', 0) => options.push(String::new()),
            _ => options.last_mut().expect("one at least").push(c),
        }
    }
    options.retain(|option| !option.is_empty());
    options
}

fn maps(config: &LossConfig, scene: &Scene) -> anyhow::Result<Maps> {
    let lesion = scene.lesion_volume() as f64;
    let background = scene.labels.len() as f64 - lesion;
    let most_false = (MOST_FALSE * lesion / background).min(1.0);
    let cells: Vec<[f64; 2]> = (0..CELLS * CELLS)
        .into_par_iter()
        .map(|cell| {
            let logits = scene.partly(share(cell % CELLS), most_false * share(cell / CELLS));
            let response = scene.response(config, &logits)?;
            let size = response.lesion_pull.abs() + response.background_pull.abs();
            Ok([response.value, size])
        })
        .collect::<anyhow::Result<_>>()?;
    let rows = |which: usize| {
        let row = |row: &[[f64; 2]]| row.iter().map(|cell| cell[which]).collect();
        cells.chunks(CELLS).map(row).collect()
    };
    Ok(Maps {
        most_false,
        value: rows(0),
        gradient: rows(1),
    })
}

/// Of an axis, at its cell `i`.
fn share(i: usize) -> f64 {
    i as f64 / (CELLS - 1) as f64
}

fn pulls(config: &LossConfig) -> anyhow::Result<Vec<Pull>> {
    let grid = PatchGrid::millimetres(LARGE_EDGE, 3);
    let count = LARGE_EDGE * LARGE_EDGE * LARGE_EDGE;
    PREVALENCES
        .iter()
        .map(|one_in| {
            let lesion = (count / one_in).max(1);
            let scene = Scene::new(grid, &[lesion]);
            let response = scene.response(config, &scene.undecided())?;
            let share = lesion as f64 / count as f64;
            Ok([share, response.lesion_pull, response.background_pull])
        })
        .collect()
}

fn panels(
    name: &str,
    maps: &Maps,
    pulls: &[Pull],
    scales: [[f64; 2]; 2],
) -> Vec<(String, Drawing)> {
    let heat = |what: &str, rows: &Vec<Vec<f64>>, scale: [f64; 2]| {
        HeatMap {
            title: format!("{what} of {name} over the share of the lesion found and of the background called lesion"),
            x_label: "share of the lesion found".into(),
            y_label: "share of the background".into(),
            ends: [[0.0, 1.0], [0.0, maps.most_false]],
            rows: rows.clone(),
            scale,
        }
        .drawing()
    };
    let series = |number: usize, name: &str, which: usize| {
        let mut points: Vec<[f64; 2]> = pulls
            .iter()
            .map(|pull| [pull[0], pull[which].abs().log10()])
            .filter(|point| point[1].is_finite())
            .collect();
        points.reverse();
        Series::strong(name, points, Look::nth(number))
    };
    let lines = LineChart {
        title: format!("Gradient of {name} on lesion and background, by prevalence"),
        x_label: "prevalence, every probability 1/2".into(),
        y_label: "log10 of the sum of |dL/dz|".into(),
        x_scale: Scale::Log(Decades::Power),
        y_range: None,
        legend: true,
        series: vec![series(0, "lesion", 1), series(1, "background", 2)],
    };
    vec![
        ("value".into(), heat("Value", &maps.value, scales[0])),
        (
            "sum of |dL/dz|".into(),
            heat("Size of the gradient", &maps.gradient, scales[1]),
        ),
        ("gradient by prevalence".into(), lines.drawing()),
    ]
}

fn write_csv(name: &str, maps: &Maps, pulls: &[Pull], csv: &mut String, pulls_csv: &mut String) {
    use std::fmt::Write;
    let name = format!("\"{}\"", name.replace('"', "\"\""));
    for (row, (values, gradients)) in maps.value.iter().zip(&maps.gradient).enumerate() {
        for (column, (value, gradient)) in values.iter().zip(gradients).enumerate() {
            let (found, falsely) = (share(column), maps.most_false * share(row));
            let _ = writeln!(csv, "{name},{found},{falsely},{value},{gradient}");
        }
    }
    for [prevalence, lesion, background] in pulls {
        let _ = writeln!(pulls_csv, "{name},{prevalence},{lesion},{background}");
    }
}
