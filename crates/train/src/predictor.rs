//! One trained run or the mean of several applied to subjects: load, predict, return to
//! the input's grid, write.

mod alike;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lacuna_data::manifest::{ImageRef, Manifest, Subject, value_of_each};
use lacuna_data::subject::Case;
use lacuna_record::CleanedClass;
use lacuna_volume::Volume;

use crate::apply::{Files, PredictedSubject, TrainedRun};
use crate::checkpoint::Choice;
use crate::config::{PredictConfig, PredictOverrides};
use crate::dataset::load_unlabelled;
use crate::device::PrecisionName;
use crate::outputs::Outputs;
use crate::postprocess::Postprocess;
use crate::predict::{
    Average, Averaged, Blend, Mirrored, Prediction, Session, WindowModel, predict_case,
};
use crate::run::RunError;

/// What subjects are predicted with: a run, or the mean of several that are alike in
/// all that the mean depends on.
pub struct Predictor {
    /// At least one.
    pub(crate) runs: Vec<TrainedRun>,
    /// How it predicts unless a session says otherwise.
    pub predict: PredictConfig,
    pub(crate) postprocess: Option<Postprocess>,
    outputs: Outputs,
}

impl From<TrainedRun> for Predictor {
    fn from(run: TrainedRun) -> Self {
        Self {
            outputs: run.model.outputs().clone(),
            predict: run.config.predict.clone(),
            postprocess: None,
            runs: vec![run],
        }
    }
}

impl Predictor {
    /// Opens the `runs`, each with its checkpoint of that `choice` on `device`, to compute
    /// in `precision` or else in the one it was trained in.
    ///
    /// # Errors
    /// Those of [`TrainedRun::open`] and of [`Self::of`].
    pub fn open(
        runs: &[PathBuf],
        choice: Choice,
        device: &Device,
        precision: Option<PrecisionName>,
        overrides: PredictOverrides,
    ) -> Result<Self, RunError> {
        let open = |run: &PathBuf| TrainedRun::open(run, choice, device, precision);
        Self::of(runs.iter().map(open).collect::<Result<_, _>>()?, overrides)
    }

    /// The mean of `runs`, predicted as the first says but for the `overrides`.
    ///
    /// # Errors
    /// [`RunError::NoRuns`] without a run, [`RunError::RunTwice`],
    /// [`RunError::RunsUnlike`] for two that differ in classes, regions, modalities,
    /// normalisation, spacing, plane, rank or border, or in the activation where logits
    /// are averaged.
    pub fn of(runs: Vec<TrainedRun>, overrides: PredictOverrides) -> Result<Self, RunError> {
        let first = runs.first().ok_or(RunError::NoRuns)?;
        let outputs = first.model.outputs().clone();
        let predict = first.config.predict.with(overrides);
        alike::check(&runs, predict.average)?;
        Ok(Self {
            runs,
            predict,
            postprocess: None,
            outputs,
        })
    }

    /// The same with probabilities and labels by the temperature, thresholds and rules of a
    /// file.
    ///
    /// # Errors
    /// When the file is for other classes, or for another dataset.
    pub fn with_postprocess(self, postprocess: Postprocess) -> Result<Self, RunError> {
        for run in &self.runs {
            postprocess.check_run(run)?;
        }
        Ok(Self {
            outputs: postprocess.outputs(&self.outputs),
            postprocess: Some(postprocess),
            ..self
        })
    }

    /// A session as the first run and the overrides say, labels only, warnings unheard.
    pub fn session<'a>(&'a self, stop: &'a AtomicBool) -> Session<'a> {
        Session {
            windows: self.predict.windows(),
            mirror: &self.predict.mirror,
            ..Session::new(stop)
        }
    }

    /// The runs, at least one.
    pub fn runs(&self) -> &[TrainedRun] {
        &self.runs
    }

    /// The first run, with which the others agree in classes, regions and modalities.
    pub fn first(&self) -> &TrainedRun {
        &self.runs[0]
    }

    /// What the channels of the probabilities are.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    pub(crate) fn model<'a>(&'a self, outputs: &'a Outputs) -> Averaged<'a> {
        let networks = self.runs.iter().map(|run| &run.model).collect();
        let model = Averaged::new(networks, outputs, self.predict.average);
        model.expect("the runs were compared when they were put together")
    }

    /// Refuses a manifest whose modalities are not those of the runs, in order.
    ///
    /// # Errors
    /// [`RunError::Modalities`]
    pub fn check_modalities(&self, manifest: &Manifest) -> Result<(), RunError> {
        let run = self.first();
        if manifest.modalities == run.facts.modalities {
            return Ok(());
        }
        Err(RunError::Modalities {
            path: manifest.path.clone(),
            run: run.path.clone(),
            found: manifest.modalities.clone(),
            expected: run.facts.modalities.clone(),
        })
    }

    /// Refuses windows that a network cannot take, and axes that it cannot be mirrored
    /// along; warns of those that it was never shown mirrored.
    ///
    /// # Errors
    /// [`RunError::Window`], [`RunError::Mirror`], [`RunError::NoSpread`]
    pub fn check_session(&self, session: &Session) -> Result<(), RunError> {
        let model = self.model(&self.outputs);
        session.windows.check(&model.architecture())?;
        Mirrored::new(&model, session.mirror)?;
        if session.spread && self.runs.len() == 1 {
            return Err(RunError::NoSpread {
                run: self.first().path.clone(),
            });
        }
        for run in &self.runs {
            for axis in run.unseen(session.mirror) {
                (session.warn)(&format!(
                    "{}: the network was not trained on images mirrored along {axis} (transform \
                     flip), and may be wrong about them; without --mirror they are not asked for",
                    run.path.display()
                ));
            }
        }
        Ok(())
    }

    /// A manifest of one subject with an image for each modality of the runs.
    /// `origin` stands for the manifest's path in errors.
    ///
    /// # Errors
    /// When a modality is unknown, missing or given twice.
    pub fn one_subject(
        &self,
        origin: &str,
        images: impl IntoIterator<Item = (String, String)>,
        mask: Option<PathBuf>,
    ) -> Result<Manifest, RunError> {
        let mut subject = Subject {
            id: "image".to_owned(),
            mask,
            ..Subject::default()
        };
        for (modality, file) in images {
            let image = ImageRef::parse(&file);
            if subject.images.insert(modality.clone(), image).is_some() {
                return Err(RunError::ModalityTwice { modality });
            }
        }
        let facts = &self.first().facts;
        let label_values = (0..).zip(facts.classes.iter().cloned()).collect();
        Ok(Manifest::new(
            Path::new(origin),
            facts.name.clone(),
            facts.modalities.clone(),
            facts.classes.clone(),
            label_values,
            vec![subject],
        )?)
    }

    /// The label value of each class: in the dataset of `manifest`, or else in the one
    /// that the runs were trained on.
    ///
    /// # Errors
    /// [`RunError::NoLabelValues`], [`RunError::ClassWithoutValue`],
    /// [`RunError::RunsUnlike`] for runs whose own values differ.
    pub fn label_values(&self, manifest: Option<&Manifest>) -> Result<Vec<u16>, RunError> {
        let of_run = |run: &TrainedRun| {
            let (from, known) = match (manifest, &run.facts.label_values) {
                (Some(manifest), _) => (&manifest.path, &manifest.label_values),
                (None, Some(known)) => (&run.path, known),
                (None, None) => {
                    return Err(RunError::NoLabelValues {
                        run: run.path.clone(),
                    });
                }
            };
            let values = value_of_each(known, &run.facts.classes);
            values.map_err(|class| RunError::ClassWithoutValue {
                from: from.clone(),
                class: class.to_owned(),
                run: run.path.clone(),
            })
        };
        let first = of_run(self.first())?;
        for run in &self.runs[1..] {
            let other = of_run(run)?;
            if other != first {
                let found = format!("the label values are {first:?} and {other:?}");
                return Err(RunError::unlike(self.first(), run, found));
            }
        }
        Ok(first)
    }

    /// Predicts one subject; `on_window` hears (windows done, windows in all).
    ///
    /// # Errors
    /// When the subject cannot be loaded, and those of [`predict_case`].
    pub fn predict(
        &self,
        manifest: &Manifest,
        subject: &Subject,
        session: Session,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<PredictedSubject, RunError> {
        let case = load_unlabelled(manifest, subject, &self.first().config)?;
        let resampled = case.is_resampled();
        for warning in self.unlike_spacing(case.source.grid.spacing().0) {
            (session.warn)(&format!("subject {}: {warning}", subject.id));
        }
        let apart = self.sums_apart(session.windows.blend);
        let probabilities = session.probabilities || resampled || apart;
        let postprocess = self.postprocess.as_ref();
        let needs_peaks = postprocess.is_some_and(Postprocess::needs_peaks);
        let on_run_grid = Session {
            probabilities,
            painted: needs_peaks && !probabilities,
            ..session
        };
        // What is resampled is tempered behind it, as tuning reads it.
        let untempered = self.outputs.clone().with_temperature(None);
        let finished = !(apart || resampled && self.resamples_logits());
        let averaged = self.model(match resampled {
            true => &untempered,
            false => &self.outputs,
        });
        let prediction = match (apart, finished) {
            (true, _) => self.mean_of_each(&case, on_run_grid, on_window),
            (false, true) => predict_mirrored(&averaged, &case, on_run_grid, on_window),
            (false, false) => {
                predict_mirrored(&averaged.unfinished(), &case, on_run_grid, on_window)
            }
        };
        let prediction = prediction.map_err(|e| e.naming_one_of(manifest, &self.checkpoints()))?;
        let spread = match session.spread {
            true => Some(self.spread(manifest, &case, session)?),
            false => None,
        };
        let restored = self.restored(&case, prediction, finished, needs_peaks)?;
        let (mut labels, painted) = (restored.labels, restored.painted);
        // They may have been kept for the labels alone.
        let asked = restored.probabilities.filter(|_| session.probabilities);
        let cleaned = postprocess.map(|rules| rules.clean(&mut labels, painted.as_ref()));
        Ok(PredictedSubject {
            labels,
            classes: self.first().facts.classes.clone(),
            probabilities: asked,
            spread,
            cleaned: cleaned.unwrap_or_default(),
            mask: case.restore_mask()?,
            reference: case.source.reference,
        })
    }

    /// Whether windows of each network are summed by themselves, as nnU-Net does in 16 bits:
    /// where these are few, the mean is another.
    fn sums_apart(&self, blend: Blend) -> bool {
        let logits = self.predict.average == Average::Logits;
        self.runs.len() > 1 && blend == Blend::Nnunet && logits
    }

    /// The mean of the logits of each network, and no labels.
    fn mean_of_each(
        &self,
        case: &Case,
        session: Session,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<Prediction, RunError> {
        let count = self.runs.len();
        let mut mean: Option<Prediction> = None;
        for (number, run) in self.runs.iter().enumerate() {
            let alone = Averaged::new(vec![&run.model], &self.outputs, self.predict.average);
            let alone = alone.expect("a network is like itself").unfinished();
            let mut told = |done, total| on_window(number * total + done, count * total);
            let found = predict_mirrored(&alone, case, session, &mut told)?;
            let Some(sum) = &mut mean else {
                mean = Some(found);
                continue;
            };
            let volumes = sum.probabilities.iter_mut().flatten();
            for (sum, found) in volumes.zip(found.probabilities.iter().flatten()) {
                for (sum, value) in sum.data_mut().iter_mut().zip(found.data()) {
                    *sum += value;
                }
            }
        }
        let mut mean = mean.expect("there is a run");
        for volume in mean.probabilities.iter_mut().flatten() {
            volume
                .data_mut()
                .iter_mut()
                .for_each(|v| *v /= count as f32);
        }
        Ok(mean)
    }

    /// Whether it is the logits that are brought to the voxels of the image, as in nnU-Net.
    fn resamples_logits(&self) -> bool {
        self.first().config.nnunet.is_some() && self.predict.average == Average::Logits
    }

    /// Standard deviation over the networks of the probability that a voxel is no
    /// background, by the temperature of the postprocess file, on the grid of the subject's
    /// first image. Each network predicts the case by itself, not mirrored.
    fn spread(
        &self,
        manifest: &Manifest,
        case: &Case,
        session: Session,
    ) -> Result<Volume<f32>, RunError> {
        let voxels = case.channels[0].data().len();
        // Welford (1962): the mean so far, and the sum of squares about it.
        let (mut mean, mut squares) = (vec![0.0_f32; voxels], vec![0.0_f32; voxels]);
        for (number, run) in self.runs.iter().enumerate() {
            let alone = Averaged::new(vec![&run.model], &self.outputs, self.predict.average);
            let alone = alone.expect("a network is like itself");
            let session = Session {
                probabilities: true,
                painted: false,
                ..session
            };
            let prediction = predict_case(&alone, case, session, &mut |_, _| {})
                .map_err(|e| e.naming_one_of(manifest, &self.checkpoints()))?;
            let volumes = prediction.probabilities.unwrap_or_default();
            let foreground = self.outputs.foreground(&volumes);
            for (at, p) in foreground.into_iter().enumerate() {
                let before = p - mean[at];
                mean[at] += before / (number + 1) as f32;
                squares[at] += before * (p - mean[at]);
            }
        }
        let mut spread = case.channels[0].map(|_| 0.0);
        for (value, squares) in spread.data_mut().iter_mut().zip(squares) {
            *value = (squares / self.runs.len() as f32).max(0.0).sqrt();
        }
        let restored = case.restore_probabilities(vec![spread], &[0.0])?.pop();
        Ok(restored.expect("one volume was given"))
    }

    /// A prediction on the grid of the subject's first image. Where there are probabilities,
    /// labels are made of them, and with `needs_peaks` what is painted, too; they are logits
    /// where they are not `finished`.
    fn restored(
        &self,
        case: &Case,
        prediction: Prediction,
        finished: bool,
        needs_peaks: bool,
    ) -> Result<Prediction, RunError> {
        let Some(volumes) = prediction.probabilities else {
            let restore = |painted| case.restore_probabilities(vec![painted], &[0.0]);
            let labels = case.restore_class_indices(&prediction.labels)?;
            let painted = prediction.painted.map(restore).transpose()?;
            return Ok(Prediction {
                labels,
                probabilities: None,
                painted: painted.and_then(|mut volumes| volumes.pop()),
            });
        };
        let outputs = &self.outputs;
        let finish = &mut |volumes: &mut [Volume<f32>]| {
            let mut maps: Vec<_> = volumes.iter_mut().map(Volume::data_mut).collect();
            if !finished {
                outputs.activate_maps(&mut maps);
            }
            if !finished || case.is_resampled() {
                outputs.temper(&mut maps);
            }
        };
        let probabilities = case.restore_finished(volumes, &outputs.outside(), finish)?;
        let labels = outputs.labels(&probabilities);
        let painted = needs_peaks.then(|| outputs.painted_of(&labels, &probabilities));
        Ok(Prediction {
            labels,
            probabilities: Some(probabilities),
            painted,
        })
    }

    /// Predicts one subject into files, and says what the postprocess file removed.
    ///
    /// # Errors
    /// When the subject cannot be loaded or the files cannot be written, and those of
    /// [`predict_case`].
    pub fn predict_to_files(
        &self,
        manifest: &Manifest,
        subject: &Subject,
        files: &Files,
        session: Session,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<CleanedClass>, RunError> {
        let session = Session {
            probabilities: files.probabilities.is_some(),
            spread: files.spread.is_some(),
            ..session
        };
        let predicted = self.predict(manifest, subject, session, on_window)?;
        if let (Some(path), Some(volumes)) = (&files.probabilities, &predicted.probabilities) {
            lacuna_io::write_image_4d(path, volumes, &predicted.reference)?;
        }
        if let (Some(path), Some(spread)) = (&files.spread, &predicted.spread) {
            lacuna_io::write_image(path, spread, &predicted.reference)?;
        }
        predicted.write_labels(&files.labels, files.values.as_deref())?;
        Ok(predicted.cleaned)
    }

    /// What the runs warn of in voxels of these edges; what several say, once.
    fn unlike_spacing(&self, spacing: [f64; 3]) -> Vec<String> {
        let of_run = |run: &TrainedRun| run.facts.unlike_spacing(spacing);
        let warnings: BTreeSet<String> = self.runs.iter().filter_map(of_run).collect();
        warnings.into_iter().collect()
    }

    fn checkpoints(&self) -> Vec<&Path> {
        let paths = self.runs.iter().filter_map(|run| run.weights().parent());
        paths.collect()
    }
}

/// [`predict_case`] by a model, and by its mirror images along the axes of the session.
fn predict_mirrored(
    model: &dyn WindowModel,
    case: &Case,
    session: Session,
    on_window: &mut dyn FnMut(usize, usize),
) -> Result<Prediction, RunError> {
    match session.mirror {
        [] => predict_case(model, case, session, on_window),
        axes => predict_case(&Mirrored::new(model, axes)?, case, session, on_window),
    }
}
