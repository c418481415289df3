//! What Slurm's commands print, as values.

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In the queue.
    Waiting,
    /// On a node, or about to leave it.
    Running,
    /// Ended.
    Over(End),
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Failed,
    TimedOut,
    OutOfMemory,
    Cancelled,
    NodeFailed,
    Preempted,
    Deadline,
}

impl Phase {
    /// Of a state as `squeue`, `sacct` and `scontrol` name it. A state that is
    /// not known here has not ended.
    pub(super) fn of(state: &str) -> Self {
        match state {
            "PENDING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "RESV_DEL_HOLD"
            | "SPECIAL_EXIT" => Self::Waiting,
            "COMPLETED" => Self::Over(End::Completed),
            "FAILED" => Self::Over(End::Failed),
            "TIMEOUT" => Self::Over(End::TimedOut),
            "OUT_OF_MEMORY" => Self::Over(End::OutOfMemory),
            "CANCELLED" | "REVOKED" => Self::Over(End::Cancelled),
            "NODE_FAIL" | "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => {
                Self::Over(End::NodeFailed)
            }
            "PREEMPTED" => Self::Over(End::Preempted),
            "DEADLINE" => Self::Over(End::Deadline),
            _ => Self::Running,
        }
    }
}

/// A task of an array in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Id of the array.
    pub array: String,
    /// Number of the task in it.
    pub index: usize,
    pub phase: Phase,
    /// On the way out: its processes are being ended.
    pub completing: bool,
    /// Why it waits.
    pub reason: String,
}

/// Rows of `squeue --array --format=%F|%K|%T|%r`; the line that is none.
pub(super) fn rows(text: &str) -> Result<Vec<Row>, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| row(line).ok_or_else(|| format!("unexpected line {line:?}")))
        .collect()
}

fn row(line: &str) -> Option<Row> {
    let mut fields = line.splitn(4, '|');
    let array = fields.next()?.to_owned();
    let index = fields.next()?.parse().ok()?;
    let state = fields.next()?;
    Some(Row {
        array,
        index,
        phase: Phase::of(state),
        completing: state == "COMPLETING",
        reason: fields.next()?.to_owned(),
    })
}

/// The end of a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub end: End,
    /// Slurm's word for why, where it has one.
    pub reason: String,
    pub exit: i32,
    pub signal: i32,
    /// How long it ran.
    pub seconds: f64,
    /// Most memory that it held, where accounting tells, as Slurm writes it.
    pub memory: Option<String>,
}

/// The end of task `index` of `array` in the output of
/// `sacct --parsable2 --noheader --format=JobID,State,ExitCode,ElapsedRaw,MaxRSS`;
/// `None` when it is not there or has not ended.
pub(super) fn sacct(text: &str, array: &str, index: usize) -> Option<Ended> {
    let id = format!("{array}_{index}");
    let mut ended: Option<Ended> = None;
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split('|').collect();
        let [job, state, code, elapsed, memory] = fields[..] else {
            continue;
        };
        if job == id {
            // `CANCELLED by 1000`
            let state = state.split(' ').next().unwrap_or_default();
            let Phase::Over(end) = Phase::of(state) else {
                return None;
            };
            let (exit, signal) = exit_code(code)?;
            ended = Some(Ended {
                end,
                reason: String::new(),
                exit,
                signal,
                seconds: elapsed.parse().ok()?,
                memory: None,
            });
        } else if job.strip_prefix(&id) == Some(".batch")
            && let Some(ended) = &mut ended
        {
            ended.memory = Some(memory.to_owned()).filter(|m| !m.is_empty());
        }
    }
    ended
}

/// The end of task `index` in the output of `scontrol --oneliner show job ARRAY`;
/// `None` when it is not there or has not ended.
pub(super) fn scontrol(text: &str, index: usize) -> Option<Ended> {
    let line = text
        .lines()
        .find(|line| field(line, "ArrayTaskId").is_some_and(|list| holds(list, index)))?;
    let Phase::Over(end) = Phase::of(field(line, "JobState")?) else {
        return None;
    };
    let (exit, signal) = exit_code(field(line, "ExitCode")?)?;
    Some(Ended {
        end,
        reason: field(line, "Reason").unwrap_or_default().to_owned(),
        exit,
        signal,
        seconds: duration(field(line, "RunTime")?)?,
        memory: None,
    })
}

impl Ended {
    /// The end in the light of what `slurmstepd` wrote about the job: where
    /// memory is not watched by control groups, only its words tell that a
    /// SIGKILL was for memory.
    pub(super) fn told_by(mut self, words: &str) -> Self {
        let limit = words.split_once("exceeded memory limit (");
        let killed = limit.is_some() || words.contains("oom-kill") || words.contains("oom_kill");
        if killed && matches!(self.end, End::Failed | End::Cancelled) {
            self.end = End::OutOfMemory;
        }
        if self.memory.is_none() {
            let bytes = limit.and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
            self.memory = bytes.map(|bytes| format!("{}M", bytes >> 20));
        }
        self
    }
}

/// Names in the output of `scontrol --oneliner show partition`.
pub(super) fn partitions(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| field(line, "PartitionName"))
        .collect()
}

/// The id that `sbatch --parsable` prints, without the cluster's name behind it.
pub(super) fn job_id(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let id = line.split(';').next()?;
    let number = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    number.then(|| id.to_owned())
}

/// Seconds of `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M` or `D-H:M:S`, the forms that
/// `sbatch --time` takes and Slurm prints.
pub(super) fn duration(text: &str) -> Option<f64> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(number(days)?), clock),
        None => (None, text),
    };
    let parts: Vec<f64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match (days, &parts[..]) {
        (None, [m]) => (0.0, *m, 0.0),
        (None, [m, s]) => (0.0, *m, *s),
        (Some(_), [h]) => (*h, 0.0, 0.0),
        (Some(_), [h, m]) => (*h, *m, 0.0),
        (_, [h, m, s]) => (*h, *m, *s),
        _ => return None,
    };
    Some(((days.unwrap_or(0.0) * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
}

fn number(text: &str) -> Option<f64> {
    text.parse::<u32>().ok().map(f64::from)
}

/// `EXIT:SIGNAL`.
fn exit_code(text: &str) -> Option<(i32, i32)> {
    let (exit, signal) = text.split_once(':')?;
    Some((exit.parse().ok()?, signal.parse().ok()?))
}

fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// Whether a list of tasks such as `3,8-11%4` or `0-8:2` holds `index`.
fn holds(list: &str, index: usize) -> bool {
    let list = list.split('%').next().unwrap_or_default();
    list.split(',').any(|part| {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (
            first.parse::<usize>(),
            last.parse::<usize>(),
            step.parse::<usize>(),
        ) {
            (Ok(first), Ok(last), Ok(step)) if step > 0 => {
                (first..=last).contains(&index) && (index - first).is_multiple_of(step)
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests;
