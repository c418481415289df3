//! Parts of a training recipe in whole runs of a few iterations.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_record::{Ending, Summary, read_events};
use lacuna_train::checkpoint::{self, Choice, State};
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::training::{Progress, train};
use safetensors::SafeTensors;
use tempfile::TempDir;

/// Two subjects of 24 x 20 x 6 voxels, of which the second validates.
struct Place {
    folder: TempDir,
    dataset: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let phantoms = PhantomConfig {
            subjects: 2,
            shape: [24, 20, 6],
            spacing: [2.0, 2.0, 4.0],
            foreground_share: 0.02,
            lesion_volume_mm3: [100.0, 800.0],
            seed: 3,
            ..PhantomConfig::default()
        };
        let dataset = write_cohort(&phantoms, &folder.path().join("cohort")).unwrap();
        Self { folder, dataset }
    }

    fn config(&self, text: &str) -> RunConfig {
        let text = format!(
            "dataset = {:?}\nnormalise.method = \"z-score\"\n\
             split = {{ train = [\"sub-01\"], validation = [\"sub-02\"] }}\n\
             model = {{ name = \"padded-unet\", width = 0.0625 }}\n\
             train.learning_rate = 2e-3\ntrain.checkpoint_every = 2\n{text}",
            self.dataset
        );
        RunConfig::parse(&text, &[], "run.toml", self.folder.path()).unwrap()
    }

    fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn train(
        &self,
        config: &RunConfig,
        name: &str,
        resume: bool,
    ) -> Result<(Summary, Vec<String>), String> {
        let device = DeviceName::Cpu.open().unwrap();
        let stop = AtomicBool::new(false);
        let mut told = Vec::new();
        let mut hear = |progress: Progress<'_>| match progress {
            Progress::Note(note) => told.push(note),
            Progress::Subject {
                purpose,
                number,
                total,
            } => told.push(format!("{purpose} {number} of {total}")),
            _ => {}
        };
        let trained = train(config, &self.run(name), resume, &device, &stop, &mut hear);
        let summary = trained.map_err(|error| error.to_string())?;
        Ok((summary, told))
    }
}

/// All values of a file of weights, tensors in the order of their names.
fn values(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut named: Vec<_> = tensors.iter().collect();
    named.sort_by_key(|(name, _)| (*name).to_owned());
    let bytes = named.iter().flat_map(|(_, tensor)| tensor.data());
    let bytes: Vec<u8> = bytes.copied().collect();
    let four = bytes.chunks_exact(4);
    four.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

const RECIPE: &str = "\
    patch.size = 16\n\
    patch.sampler = [{ components = 0.5 }, { errors = 0.5 }]\n\
    train.batch = 2\ntrain.accumulate = 2\ntrain.ema = 0.9\ntrain.validate_every = 3\n\
    train.clip_norm = 1.0\n";

/// The average of the weights, the places of errors and the best score go on too.
#[test]
fn an_interrupted_recipe_ends_with_the_bits_of_a_whole_one() {
    let place = Place::new();
    let ten = place.config(&format!("train.iterations = 10\n{RECIPE}"));
    let seven = place.config(&format!("train.iterations = 7\n{RECIPE}"));
    let (whole, told) = place.train(&ten, "whole", false).unwrap();
    let passes = told.iter().filter(|t| t.contains("are wrong")).count();
    assert_eq!(passes, 4, "{told:?}");
    // Asked after 1, 2, 4 and 5 of seven iterations, and after 2, 4, 6 and 8 of ten: a
    // run that was shorter has drawn other patches.
    place.train(&seven, "other", false).unwrap();
    // Stopped after every iteration.
    let stop = AtomicBool::new(true);
    let device = DeviceName::Cpu.open().unwrap();
    let run = place.run("parts");
    for resume in 0..12 {
        let mut hear = |progress: Progress<'_>| {
            let began = matches!(progress, Progress::Start { .. });
            let stepped = matches!(progress, Progress::Iteration(_));
            if began || stepped {
                stop.store(stepped, std::sync::atomic::Ordering::Relaxed);
            }
        };
        train(&ten, &run, resume > 0, &device, &stop, &mut hear).unwrap();
    }
    let (parts, _) = place.train(&ten, "parts", true).unwrap();
    assert_eq!(parts.iterations, 10);
    assert_eq!(parts.best_iteration, whole.best_iteration);
    for file in [
        "checkpoint-000010/weights.safetensors",
        "checkpoint-000010/average.safetensors",
        "checkpoint-000010/errors.json",
        "validation.jsonl",
        "validation/pictures.json",
    ] {
        let [whole, parts] = ["whole", "parts"].map(|run| {
            std::fs::read(place.run(run).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
        });
        assert!(whole == parts, "{file}");
    }
    // An optimiser's file has names that Burn draws for parameters.
    let [whole, parts] = ["whole", "parts"].map(|run| {
        let path = place.run(run).join("checkpoint-000010/state.json");
        let mut state: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(state["parts"]["optimiser.bin"].take().is_string());
        state
    });
    assert_eq!(whole, parts);
    let weights = "checkpoint-000010/weights.safetensors";
    let other = place
        .run("other")
        .join("checkpoint-000007/weights.safetensors");
    assert!(values(&place.run("whole").join(weights)) != values(&other));
}

/// After one iteration the decay is the smaller of 0.9 and (1 + 1) / (10 + 1), so that
/// the average lies 9/11 of the way from the first weights to the new ones; after a
/// second, 3/12 of it stay.
#[test]
fn the_average_follows_the_weights_by_hand() {
    let place = Place::new();
    let config = |iterations: u64| {
        let text = format!("train.iterations = {iterations}\npatch.size = 16\ntrain.ema = 0.9\n");
        let mut config = place.config(&text);
        config.train.checkpoint_every = 1;
        config
    };
    let file = |run: &str, at: u64, file: &str| {
        values(
            &place
                .run(run)
                .join(format!("checkpoint-{at:06}/{file}.safetensors")),
        )
    };
    place.train(&config(1), "one", false).unwrap();
    place.train(&config(2), "two", false).unwrap();
    let (first, average) = (file("two", 1, "weights"), file("two", 1, "average"));
    let (second, last) = (file("two", 2, "weights"), file("two", 2, "average"));
    assert!(first != average && second != last);
    for i in 0..first.len() {
        let expected = 0.25 * average[i] + 0.75 * second[i];
        assert!((last[i] - expected).abs() < 1e-6, "{i}");
    }
    // Where one value starts is told by the second run of one iteration.
    assert_eq!(first, file("one", 1, "weights"));
    // The average is what is predicted with.
    let (weights, state) = checkpoint::chosen(&place.run("two"), Choice::Last).unwrap();
    assert!(weights.ends_with("checkpoint-000002/average.safetensors"));
    assert_eq!(state.iteration, 2);
}

/// Gradients of two batches of two, averaged, are those of one batch of four, where the
/// loss is a mean over samples.
#[test]
fn accumulated_gradients_are_those_of_one_batch() {
    let place = Place::new();
    let config = |batch: usize, accumulate: usize| {
        let text = format!(
            "train.iterations = 1\npatch.size = 16\ntrain.optimiser = \"sgd\"\n\
             loss = {{ name = \"dice\", reduction = \"sample\" }}\n\
             train.batch = {batch}\ntrain.accumulate = {accumulate}\n"
        );
        place.config(&text)
    };
    place.train(&config(4, 1), "whole", false).unwrap();
    place.train(&config(2, 2), "parts", false).unwrap();
    let [whole, parts] = ["whole", "parts"]
        .map(|run| values(&place.run(run).join("checkpoint-000001/weights.safetensors")));
    let largest = |of: &dyn Fn(usize) -> f32| (0..whole.len()).map(of).fold(0.0, f32::max);
    assert!(largest(&|i| (whole[i] - parts[i]).abs()) < 1e-6);
    let events = ["whole", "parts"].map(|run| read_events(&place.run(run)).unwrap()[0]);
    assert!((events[0].loss - events[1].loss).abs() < 1e-6);
    assert_eq!(events[0].dsc, events[1].dsc);
}

/// A run whose batch did not fit goes on in the parts that it began with, also where the whole
/// batch would fit, and ends with the same bits.
#[test]
fn a_run_in_parts_goes_on_in_its_parts() {
    let place = Place::new();
    let config = |iterations: usize, batch: usize, accumulate: usize| {
        place.config(&format!(
            "train.iterations = {iterations}\npatch.size = 16\ntrain.batch = {batch}\n\
             train.accumulate = {accumulate}\ntrain.too_large = \"accumulate\"\n"
        ))
    };
    place.train(&config(2, 2, 2), "parts", false).unwrap();
    place.train(&config(4, 4, 1), "parts", true).unwrap();
    let text = std::fs::read_to_string(place.run("parts").join("run.toml")).unwrap();
    assert!(text.contains("batch = 2\naccumulate = 2\n"), "{text}");
    place.train(&config(4, 2, 2), "whole", false).unwrap();
    let [parts, whole] = ["parts", "whole"]
        .map(|run| values(&place.run(run).join("checkpoint-000004/weights.safetensors")));
    assert_eq!(parts, whole);
    // Other patches are another run.
    let Err(refused) = place.train(&config(6, 6, 1), "parts", true) else {
        panic!("6 patches in place of 4");
    };
    assert!(
        refused.to_string().contains("train.batch was 2, now 6"),
        "{refused}"
    );
}

/// The best of the validations is kept, and can be chosen beside the newest.
#[test]
fn the_best_checkpoint_is_that_of_the_best_validation() {
    let place = Place::new();
    let text = "train.iterations = 12\npatch.size = 16\ntrain.validate_every = 2\n";
    let config = place.config(text);
    let (summary, told) = place.train(&config, "run", false).unwrap();
    let asked = told.iter().filter(|t| **t == "validating 1 of 1").count();
    assert_eq!(asked, 6, "{told:?}");
    let run = place.run("run");
    let lines = std::fs::read_to_string(run.join("validation.jsonl")).unwrap();
    let (mut best, mut last) = ((0, f64::NEG_INFINITY), 0.0);
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let value = |key: &str| line[key].as_f64().unwrap();
        let score = (value("class_dsc") + value("lesion_f1")) / 2.0;
        last = score;
        if score > best.1 {
            best = (line["iteration"].as_u64().unwrap(), score);
        }
    }
    assert_eq!(summary.best_iteration, Some(best.0));
    let (weights, state) = checkpoint::chosen(&run, Choice::Best).unwrap();
    assert_eq!((state.iteration, state.score), (best.0, Some(best.1)));
    assert!(weights.ends_with(format!("best-{:06}/weights.safetensors", best.0)));
    // Two newest are kept; another is refused with those there are.
    assert!(checkpoint::chosen(&run, Choice::Iteration(10)).is_ok());
    let refused = checkpoint::chosen(&run, Choice::Iteration(5)).unwrap_err();
    let told = refused.to_string();
    assert!(
        told.contains("no checkpoint 5") && told.contains("10, 12, best"),
        "{told}"
    );
    // Cut off after a best that the newest checkpoint had not come to: it is forgotten.
    let [kept, stray] = [best.0, 12].map(|i| run.join(format!("best-{i:06}")));
    std::fs::rename(kept, &stray).unwrap();
    std::fs::remove_dir_all(run.join("checkpoint-000012")).unwrap();
    let state = serde_json::to_value(State {
        iteration: 12,
        score: Some(2.0),
        ..state
    });
    std::fs::write(stray.join("state.json"), state.unwrap().to_string()).unwrap();
    place.train(&config, "run", true).unwrap();
    let (_, state) = checkpoint::chosen(&run, Choice::Best).unwrap();
    assert_eq!((state.iteration, state.score), (12, Some(last)));
}

/// A budget chooses as many iterations as fit, writes them down, and the run they make
/// can be repeated to the last bit without it.
#[test]
fn a_budget_chooses_iterations_that_can_be_repeated() {
    let place = Place::new();
    let text = "patch.size = 16\ntrain.warm_up = 10\ntrain.schedule = \"cosine\"\n";
    let (summary, told) = place
        .train(
            &place.config(&format!("train.budget = \"4s\"\n{text}")),
            "timed",
            false,
        )
        .unwrap();
    assert!(summary.finished && summary.iterations > 10, "{told:?}");
    let written = RunConfig::read(&place.run("timed").join("run.toml"), &[]).unwrap();
    assert_eq!(written.train.iterations, summary.iterations);
    let note = format!("train.budget: {} iterations", summary.iterations);
    assert!(told.iter().any(|told| told.starts_with(&note)), "{told:?}");

    let repeated = place.config(&format!(
        "train.iterations = {}\n{text}",
        summary.iterations
    ));
    place.train(&repeated, "repeated", false).unwrap();
    let at = format!("checkpoint-{:06}/weights.safetensors", summary.iterations);
    let [timed, repeated] = ["timed", "repeated"].map(|run| values(&place.run(run).join(&at)));
    assert!(timed == repeated);
}

#[test]
fn a_collapse_is_told_and_the_training_begins_again() {
    let place = Place::new();
    // Missed foreground costs nothing.
    let text = "train.iterations = 140\npatch.size = 16\ntrain.batch = 1\n\
                loss = { name = \"cross-entropy\", class_weight = [1.0, 1e-6] }\n";
    let mut config = place.config(text);
    let (summary, told) = place.train(&config, "run", false).unwrap();
    assert_eq!(summary.ending, Some(Ending::Background));
    let notes = told.iter().filter(|t| t.contains("have collapsed")).count();
    assert_eq!(notes, 1, "{told:?}");

    config.train.restarts = 1;
    let (summary, told) = place.train(&config, "again", false).unwrap();
    assert_eq!(summary.restarts, 1);
    assert!(told.iter().any(|t| t.contains("begins again")), "{told:?}");
    let state = checkpoint::latest(&place.run("again")).unwrap().unwrap().1;
    assert_eq!((state.restarts, state.seed), (1, 1 << 32));
    assert_eq!(read_events(&place.run("again")).unwrap().len(), 140);
}

/// A run of other classes takes all but the last layer; one of the same classes all.
#[test]
fn a_training_starts_from_the_weights_of_another_run() {
    let place = Place::new();
    let text = "train.iterations = 1\npatch.size = 16\n";
    place.train(&place.config(text), "first", false).unwrap();
    let mut config = place.config(text);
    config.train.from = Some(place.run("first"));
    // So slow that the weights stay where they start.
    config.train.learning_rate = 1e-12;
    let (_, told) = place.train(&config, "second", false).unwrap();
    assert!(told.iter().any(|t| t.contains("starting from")), "{told:?}");
    let at = "checkpoint-000001/weights.safetensors";
    let [first, second] = ["first", "second"].map(|run| values(&place.run(run).join(at)));
    let far = |other: &[f32]| {
        let pairs = first.iter().zip(other);
        pairs.filter(|(a, b)| (*a - *b).abs() > 1e-6).count()
    };
    assert_eq!(far(&second), 0);

    // Cut off before its first checkpoint, it knows by itself what it started from.
    std::fs::remove_dir_all(place.run("second").join("checkpoint-000001")).unwrap();
    let mut unset = config.clone();
    unset.train.from = None;
    place.train(&unset, "second", true).unwrap();
    assert_eq!(far(&values(&place.run("second").join(at))), 0);

    let renamed = std::fs::read_to_string(&place.dataset).unwrap();
    let renamed = renamed.replace("\"lesion\"", "\"tumour\"");
    std::fs::write(&place.dataset, renamed).unwrap();
    let (_, told) = place.train(&config, "third", false).unwrap();
    let note = told.iter().find(|t| t.contains("begin anew")).unwrap();
    assert!(note.contains(".weight"), "{note}");
    let third = values(&place.run("third").join(at));
    let fresh = far(&third);
    assert!(
        fresh > 0 && fresh < first.len() / 10,
        "{fresh} of {}",
        first.len()
    );

    config.model.width = 0.125;
    let refused = place
        .train(&config, "fourth", false)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("other network"), "{refused}");
    assert!(!place.run("fourth").exists());
}
