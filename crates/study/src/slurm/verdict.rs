//! What the end of a job means for its run, and what a waiting job waits for.

use lacuna_record::{State, Status};

use super::parse::{End, Ended};
use super::settings::SlurmSettings;

/// How a run stands after a job of it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub state: State,
    pub message: Option<String>,
    /// A further attempt can go on.
    pub again: bool,
}

impl Verdict {
    fn again(state: State, message: impl Into<String>) -> Self {
        Self {
            state,
            message: Some(message.into()),
            again: true,
        }
    }

    fn last(state: State, message: impl Into<String>) -> Self {
        Self {
            again: false,
            ..Self::again(state, message)
        }
    }

    fn as_found(found: &Status) -> Self {
        Self {
            state: found.state,
            message: found.message.clone(),
            again: false,
        }
    }
}

/// Judges by how Slurm says that the job ended (`None` when it knows nothing of
/// it) and by what the run wrote itself since it was submitted.
pub(super) fn judge(ended: Option<&Ended>, found: &Status, settings: &SlurmSettings) -> Verdict {
    if found.state == State::Done {
        return Verdict::as_found(found);
    }
    let Some(ended) = ended else {
        return vanished(found);
    };
    match ended.end {
        // Before anything else: with the same memory it would end so again.
        End::OutOfMemory => Verdict::last(State::Killed, out_of_memory(ended, settings)),
        _ if found.state == State::Failed => Verdict::as_found(found),
        End::TimedOut if found.state == State::Interrupted => Verdict::again(
            State::Interrupted,
            format!("its job reached the time limit of {}", settings.time),
        ),
        End::TimedOut => Verdict::again(
            State::Killed,
            format!(
                "its job reached the time limit of {} before the run had stopped",
                settings.time
            ),
        ),
        End::Cancelled => {
            let state = stopped_or_killed(found);
            Verdict::again(state, "its job was cancelled (scancel)")
        }
        End::NodeFailed => Verdict::again(State::Killed, "its node failed"),
        End::Preempted => {
            let state = stopped_or_killed(found);
            Verdict::again(state, "its job had to make room for another (preempted)")
        }
        End::Deadline => Verdict::last(State::Killed, "its job's --deadline has passed"),
        End::Completed => Verdict::last(
            State::Failed,
            "it ended with exit code 0 but left no outcome.json; see its log",
        ),
        End::Failed => failed(ended, found, settings),
    }
}

fn failed(ended: &Ended, found: &Status, settings: &SlurmSettings) -> Verdict {
    if found.state == State::Interrupted || ended.exit == 130 {
        let message = format!(
            "asked to stop (SIGTERM), as Slurm does ahead of the time limit of {}",
            settings.time
        );
        return Verdict::again(State::Interrupted, message);
    }
    let signal = match ended.signal {
        0 if ended.exit > 128 => ended.exit - 128,
        signal => signal,
    };
    match signal {
        // SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: the program's own end.
        4..=8 | 11 | 31 => Verdict::last(
            State::Failed,
            format!("it crashed with signal {signal}; see its log"),
        ),
        9 => Verdict::again(
            State::Killed,
            "killed by signal 9 (SIGKILL); when the system did it because memory ran out, \
             raise `memory` in [executor]",
        ),
        1.. => Verdict::again(State::Killed, format!("ended by signal {signal}")),
        _ if ended.exit != 0 => Verdict::last(
            State::Failed,
            format!("it ended with exit code {}; see its log", ended.exit),
        ),
        _ => Verdict::last(
            State::Failed,
            format!("Slurm could not start it ({})", ended.reason),
        ),
    }
}

fn vanished(found: &Status) -> Verdict {
    match found.state {
        State::Failed | State::Killed => Verdict::as_found(found),
        State::Interrupted => Verdict::again(State::Interrupted, "asked to stop (SIGTERM)"),
        State::Waiting => Verdict::again(State::Killed, "its job was cancelled before it began"),
        _ => Verdict::again(
            State::Killed,
            "Slurm no longer knows its job, and the run did not say how it ended",
        ),
    }
}

fn stopped_or_killed(found: &Status) -> State {
    match found.state {
        State::Interrupted => State::Interrupted,
        _ => State::Killed,
    }
}

fn out_of_memory(ended: &Ended, settings: &SlurmSettings) -> String {
    let asked = &settings.memory;
    let used = match &ended.memory {
        Some(used) => format!("it held {used} of {asked}"),
        None => format!("it had {asked}"),
    };
    format!("out of memory: {used}; raise `memory` in [executor] and start the sweep again")
}

/// What a waiting job waits for, in words; `None` when it is only its turn.
pub(super) fn waits_for(reason: &str, job: &str) -> Option<String> {
    match reason {
        "None" | "Priority" | "Resources" | "JobArrayTaskLimit" | "BeginTime" | "" => None,
        "JobHeldUser" | "JobHeldAdmin" => Some(format!(
            "its job is held ({reason}); `scontrol release {job}` lets it go"
        )),
        _ => Some(match never(reason) {
            Some(words) => format!("its job never starts ({reason}): {words}"),
            None => format!("its job waits, says Slurm: {reason}"),
        }),
    }
}

/// Why a job that waits for `reason` never starts; `None` when it may.
pub(super) fn never(reason: &str) -> Option<&'static str> {
    match reason {
        "PartitionTimeLimit" => Some("`time` is longer than the partition allows"),
        // Said of any limit of a partition, the time among them.
        "PartitionConfig" => {
            Some("the partition does not allow the `time`, `cpus`, `memory` or `options` asked for")
        }
        "PartitionNodeLimit" | "BadConstraints" | "MaxMemPerLimit" => {
            Some("no node of the partition has the `cpus`, `memory` or `options` asked for")
        }
        "AccountNotAllowed" | "InvalidAccount" | "AssocNotAllowed" => {
            Some("`account` may not be used here")
        }
        "InvalidQOS" | "QOSNotAllowed" | "QOSMinCpuNotSatisfied" | "QOSMinMemory" => {
            Some("the quality of service does not allow it; see --qos in `options`")
        }
        "DependencyNeverSatisfied" => Some("a dependency in `options` can never be met"),
        // As AssocMaxWallDurationPerJobLimit, QOSMaxMemoryPerJob.
        _ if reason.ends_with("PerJobLimit") || reason.ends_with("PerJob") => {
            Some("one job asks for more than your account or quality of service allows")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(end: End, exit: i32, signal: i32) -> Option<Ended> {
        Some(Ended {
            end,
            reason: "BadConstraints".into(),
            exit,
            signal,
            seconds: 1.0,
            memory: None,
        })
    }

    #[test]
    fn each_end_of_a_job_has_one_meaning() {
        use State::{Done, Failed, Interrupted, Killed, Running, Waiting};
        let table = [
            // How Slurm says it ended, what the run wrote, what it means, again.
            (ended(End::Completed, 0, 0), Done, Done, false),
            // An outcome counts, whatever happened after it.
            (ended(End::NodeFailed, 0, 0), Done, Done, false),
            (None, Done, Done, false),
            (ended(End::Completed, 0, 0), Running, Failed, false),
            (ended(End::OutOfMemory, 0, 125), Running, Killed, false),
            (ended(End::OutOfMemory, 0, 125), Failed, Killed, false),
            (ended(End::TimedOut, 0, 15), Interrupted, Interrupted, true),
            (ended(End::TimedOut, 0, 15), Running, Killed, true),
            (ended(End::Failed, 130, 0), Interrupted, Interrupted, true),
            (ended(End::Failed, 130, 0), Running, Interrupted, true),
            (ended(End::Failed, 0, 9), Running, Killed, true),
            (ended(End::Failed, 137, 0), Running, Killed, true),
            (ended(End::Failed, 0, 11), Running, Failed, false),
            (ended(End::Failed, 134, 0), Running, Failed, false),
            (ended(End::Failed, 1, 0), Failed, Failed, false),
            (ended(End::Failed, 127, 0), Waiting, Failed, false),
            (ended(End::Failed, 0, 0), Waiting, Failed, false),
            (ended(End::Cancelled, 0, 15), Running, Killed, true),
            (ended(End::Cancelled, 0, 15), Interrupted, Interrupted, true),
            (ended(End::NodeFailed, 0, 0), Running, Killed, true),
            (ended(End::Preempted, 0, 15), Interrupted, Interrupted, true),
            (ended(End::Deadline, 0, 0), Waiting, Killed, false),
            (None, Failed, Failed, false),
            (None, Interrupted, Interrupted, true),
            (None, Running, Killed, true),
            (None, Waiting, Killed, true),
        ];
        for (end, found, state, again) in table {
            let found = Status {
                state: found,
                ..Status::default()
            };
            let verdict = judge(end.as_ref(), &found, &SlurmSettings::default());
            assert_eq!(
                (verdict.state, verdict.again),
                (state, again),
                "{end:?} {found:?}"
            );
        }
    }

    #[test]
    fn a_failure_keeps_the_runs_own_words() {
        let found = Status {
            state: State::Failed,
            message: Some("no such dataset".into()),
            ..Status::default()
        };
        let verdict = judge(
            ended(End::Failed, 1, 0).as_ref(),
            &found,
            &SlurmSettings::default(),
        );
        assert_eq!(verdict.message.as_deref(), Some("no such dataset"));
    }

    #[test]
    fn a_lack_of_memory_names_what_was_used_and_the_setting() {
        let mut end = ended(End::OutOfMemory, 0, 125).unwrap();
        end.memory = Some("8388500K".into());
        let verdict = judge(Some(&end), &Status::default(), &SlurmSettings::default());
        assert_eq!(
            verdict.message.unwrap(),
            "out of memory: it held 8388500K of 8G; raise `memory` in [executor] and start the sweep again"
        );
    }

    #[test]
    fn only_what_cannot_change_never_starts() {
        for reason in [
            "PartitionTimeLimit",
            "PartitionConfig",
            "QOSMaxMemoryPerJob",
        ] {
            assert!(never(reason).is_some(), "{reason}");
            assert!(waits_for(reason, "1_0").unwrap().contains("never starts"));
        }
        for reason in ["JobHeldUser", "ReqNodeNotAvail", "QOSMaxJobsPerUserLimit"] {
            assert!(never(reason).is_none(), "{reason}");
            assert!(waits_for(reason, "1_0").unwrap().contains(reason));
        }
        assert_eq!(waits_for("Resources", "1_0"), None);
    }
}
