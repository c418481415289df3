use super::super::parse::rows;
use super::*;

#[test]
fn an_array_counts_as_cancelled_only_when_nothing_of_it_is_left() {
    let cancelled = |tasks: &[usize], text: &str| {
        let open: Vec<Task> = tasks.iter().map(|&i| Task::new("a", "7", i)).collect();
        !cancelled_arrays(&open, &rows(text).unwrap()).is_empty()
    };
    // One task of several that go on.
    assert!(!cancelled(
        &[0, 1, 2],
        "7|0|CANCELLED|None\n7|1|RUNNING|None\n7|2|PENDING|Resources"
    ));
    // The last task of an array whose others are done.
    assert!(!cancelled(&[0], "7|0|CANCELLED|None\n7|1|COMPLETED|None"));
    // Two tasks cancelled one after the other, the first settled before.
    assert!(!cancelled(&[1], "7|0|CANCELLED|None\n7|1|CANCELLED|None"));
    assert!(cancelled(
        &[1, 2],
        "7|0|COMPLETED|None\n7|1|COMPLETING|None\n7|2|CANCELLED|Resources"
    ));
    assert!(cancelled(
        &[1, 2],
        "7|1|CANCELLED|None\n7|2|CANCELLED|None\n8|0|RUNNING|None"
    ));
}

#[test]
fn a_killed_run_is_charged_the_seconds_it_could_not_write() {
    let task = Task::new("a", "7", 2);
    let ended = Ended {
        end: End::Failed,
        reason: String::new(),
        exit: 0,
        signal: 9,
        seconds: 30.0,
        memory: None,
    };
    let verdict = Verdict {
        state: State::Killed,
        message: Some("killed".into()),
        again: true,
    };
    let found = |state| Status {
        state,
        attempts: 2,
        seconds: 10.0,
        ..Status::default()
    };
    let status = status_after(&task, found(State::Running), Some(&ended), &verdict);
    assert_eq!((status.state, status.seconds), (State::Killed, 40.0));
    assert_eq!((status.attempts, status.job.as_deref()), (2, Some("7_2")));
    let status = status_after(&task, found(State::Interrupted), Some(&ended), &verdict);
    assert_eq!(status.seconds, 10.0);
}
