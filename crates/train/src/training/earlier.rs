//! A training that starts from the weights of another run (fine-tuning).

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;
use lacuna_nets::{Network, TensorDifference};
use lacuna_record::read_json;

use crate::checkpoint::{self, Choice};
use crate::config::RunConfig;
use crate::outputs::Outputs;
use crate::run::{DatasetFacts, RunError, config_of};

/// How many tensors an error lists.
const SHOWN: usize = 5;

/// `network`, on `device`, with the weights of the newest checkpoint of the run in `from`:
/// all of them where the classes are the same, else all but those of its heads; or with
/// those of the file `from` of another program that it has by name and shape. `note` hears
/// which they are, and what else differs.
///
/// # Errors
/// When `from` is no run, or one of another network or other modalities; when it is a file
/// that holds no weight of the network, or one that is not finite.
pub(super) fn start(
    network: Network,
    (config, facts): (&RunConfig, &DatasetFacts),
    outputs: &Outputs,
    from: &Path,
    device: &Device,
    note: &mut dyn FnMut(String),
) -> Result<Network, RunError> {
    if from.is_file() {
        return start_from_file(network, from, note);
    }
    let before = config_of(from)?;
    let facts_before: DatasetFacts = read_json(from, "dataset.json")?;
    let outputs_before = Outputs::new(&before, &facts_before.classes)?;
    let other = |what, found, expected| RunError::OtherStart {
        from: from.to_owned(),
        what,
        found,
        expected,
    };
    if facts_before.modalities != facts.modalities {
        let lists = [&facts_before, facts].map(|facts| format!("{:?}", facts.modalities));
        let [found, expected] = lists;
        return Err(other("modalities", found, expected));
    }
    let inputs = facts.modalities.len();
    let plan = |config: &RunConfig| config.model.plan(inputs, 2);
    if plan(&before)? != plan(config)? {
        let [found, expected] = [&before, config].map(|config| format!("{:?}", config.model));
        return Err(other("network", found, expected));
    }
    let (weights, state) = checkpoint::chosen(from, Choice::Last)?;
    let start = Network::new(&before.model, inputs, outputs_before.count(), 0, device)?;
    let start = checkpoint::load_weights(&weights, start)?;
    let same = facts_before.classes == facts.classes && before.regions == config.regions;
    let heads = match same {
        true => BTreeSet::new(),
        false => config.model.heads(inputs, outputs.count())?,
    };
    note(format!(
        "starting from {} after {} iterations{}",
        from.display(),
        state.iteration,
        match same {
            true => String::new(),
            false => format!(
                "; its classes {:?} are not {:?}, so that these begin anew: {}",
                facts_before.classes,
                facts.classes,
                heads.iter().cloned().collect::<Vec<_>>().join(", ")
            ),
        }
    ));
    let prepared = before
        .differences(config)
        .into_iter()
        .filter(|(key, _, _)| key.starts_with("normalise.") || key.starts_with("geometry."));
    for (key, then, now) in prepared {
        note(format!(
            "{key} was {then} in {}, and is {now}",
            from.display()
        ));
    }
    Ok(network.taking(&start, &heads))
}

/// `network` with the weights of a file of another program.
fn start_from_file(
    network: Network,
    from: &Path,
    note: &mut dyn FnMut(String),
) -> Result<Network, RunError> {
    let weights = lacuna_interop::read_weights(from)?;
    let refused = |found| RunError::NoWeights {
        path: from.to_owned(),
        found,
    };
    let infinite = weights
        .iter()
        .find(|(_, (_, values))| !values.iter().all(|v| v.is_finite()));
    if let Some((name, _)) = infinite {
        return Err(refused(format!("{name} holds NaN or infinite numbers")));
    }
    let (network, taken) = lacuna_nets::take(network, weights);
    let (kept, unused): (Vec<_>, Vec<_>) = (taken.differences.iter())
        .partition(|difference| matches!(difference, TensorDifference::Missing { .. }));
    let list = |some: &[&TensorDifference]| {
        let lines = some.iter().map(|difference| format!("\n  {difference}"));
        lines.collect::<String>()
    };
    if taken.tensors == 0 {
        return Err(refused(format!(
            "none of its tensors is one of the network's by name and shape:{}",
            list(&unused[..unused.len().min(SHOWN)])
        )));
    }
    note(format!(
        "starting from {} tensors of {}",
        taken.tensors,
        from.display()
    ));
    if !unused.is_empty() {
        note(format!(
            "tensors of the file that are not used:{}",
            list(&unused)
        ));
    }
    if !kept.is_empty() {
        note(format!("tensors that begin anew:{}", list(&kept)));
    }
    Ok(network)
}
