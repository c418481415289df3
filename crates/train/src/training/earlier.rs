//! A training that starts from the weights of another run (fine-tuning).

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;
use lacuna_nets::Network;
use lacuna_record::read_json;

use crate::checkpoint::{self, Choice};
use crate::config::RunConfig;
use crate::outputs::Outputs;
use crate::run::{DatasetFacts, RunError, config_of};

/// `network`, on `device`, with the weights of the newest checkpoint of the run in `from`:
/// all of them where the classes are the same, else all but those of its heads. `note`
/// hears which they are, and what else differs.
///
/// # Errors
/// When `from` is no run, or one of another network or other modalities.
pub(super) fn start(
    network: Network,
    (config, facts): (&RunConfig, &DatasetFacts),
    outputs: &Outputs,
    from: &Path,
    device: &Device,
    note: &mut dyn FnMut(String),
) -> Result<Network, RunError> {
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
