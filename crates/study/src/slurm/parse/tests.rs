//! Samples are output of Slurm 22.05, cut to the fields that are read and some
//! others. The lines of `sacct` for tasks 5 and [6-9] are written by hand.

use super::*;

const SQUEUE: &str = "\
1|10|CANCELLED|Resources
1|9|COMPLETED|None
1|7|FAILED|NonZeroExitCode
1|4|FAILED|JobLaunchFailure
12|0|FAILED|BadConstraints
13|0|PENDING|PartitionConfig
14|0|PENDING|JobHeldUser
15|0|RUNNING|None
15|1|COMPLETING|None
";

const SCONTROL: &str = "\
JobId=1 ArrayJobId=1 ArrayTaskId=8-11%4 ArrayTaskThrottle=4 JobName=lacuna-x JobState=PENDING Reason=Resources Requeue=0 ExitCode=0:0 RunTime=00:00:00 TimeLimit=00:03:00 StdOut=/w/1_4294967294.out Power=\x20
JobId=8 ArrayJobId=1 ArrayTaskId=7 ArrayTaskThrottle=4 JobName=lacuna-x JobState=RUNNING Reason=None Requeue=0 ExitCode=0:0 RunTime=00:00:04 TimeLimit=00:01:00 StdOut=/w/1_7.out Power=\x20
JobId=7 ArrayJobId=1 ArrayTaskId=5 ArrayTaskThrottle=4 JobName=lacuna-x JobState=FAILED Reason=NonZeroExitCode Requeue=0 ExitCode=130:0 RunTime=00:01:05 TimeLimit=00:03:00 StdOut=/w/1_5.out Power=\x20
JobId=6 ArrayJobId=1 ArrayTaskId=4 ArrayTaskThrottle=4 JobName=lacuna-x JobState=FAILED Reason=JobLaunchFailure Requeue=0 ExitCode=0:9 RunTime=1-00:00:00 TimeLimit=00:03:00 StdOut=/w/1_4.out Power=\x20
JobId=2 ArrayJobId=1 ArrayTaskId=0 ArrayTaskThrottle=4 JobName=lacuna-x JobState=CANCELLED Reason=None Requeue=0 ExitCode=0:15 RunTime=00:00:01 TimeLimit=00:03:00 StdOut=/w/1_0.out Power=\x20
";

const SACCT: &str = "\
8_0|FAILED|0:9|1|
8_0.batch|CANCELLED by 0|0:9|1|241972K
8_1|CANCELLED by 0|0:0|3|
8_1.batch|FAILED|2:0|3|13744K
8_2|FAILED|0:9|0|
8_2.batch|CANCELLED|0:9|0|
8_4|COMPLETED|0:0|4|
8_4.batch|COMPLETED|0:0|4|13712K
8_5|RUNNING|0:0|12|
8_[6-9]|PENDING|0:0|0|
";

const PARTITIONS: &str = "\
PartitionName=main AllowGroups=ALL AllowAccounts=ALL Default=YES QoS=N/A MaxTime=UNLIMITED State=UP TotalCPUs=2
PartitionName=short AllowGroups=ALL AllowAccounts=ALL Default=NO QoS=N/A MaxTime=00:10:00 State=UP TotalCPUs=2
";

#[test]
fn squeue_gives_a_row_per_task() {
    let rows = rows(SQUEUE).unwrap();
    let phases: Vec<Phase> = rows.iter().map(|r| r.phase).collect();
    assert_eq!(
        phases,
        [
            Phase::Over(End::Cancelled),
            Phase::Over(End::Completed),
            Phase::Over(End::Failed),
            Phase::Over(End::Failed),
            Phase::Over(End::Failed),
            Phase::Waiting,
            Phase::Waiting,
            Phase::Running,
            Phase::Running,
        ]
    );
    assert_eq!((rows[0].array.as_str(), rows[0].index), ("1", 10));
    assert_eq!(rows[5].reason, "PartitionConfig");
    assert!(rows[8].completing && !rows[7].completing);
}

#[test]
fn a_line_of_another_form_is_quoted() {
    assert_eq!(
        rows("slurm_load_jobs").unwrap_err(),
        "unexpected line \"slurm_load_jobs\""
    );
    assert_eq!(rows("\n").unwrap(), []);
}

#[test]
fn scontrol_tells_ends_with_exit_code_signal_and_time() {
    let stopped = scontrol(SCONTROL, 5).unwrap();
    assert_eq!(
        stopped,
        Ended {
            end: End::Failed,
            reason: "NonZeroExitCode".into(),
            exit: 130,
            signal: 0,
            seconds: 65.0,
            memory: None,
        }
    );
    let killed = scontrol(SCONTROL, 4).unwrap();
    assert_eq!((killed.exit, killed.signal), (0, 9));
    assert_eq!(killed.seconds, 86400.0);
    assert_eq!(scontrol(SCONTROL, 0).unwrap().end, End::Cancelled);
}

#[test]
fn sacct_tells_ends_with_the_memory_held() {
    let killed = sacct(SACCT, "8", 0).unwrap();
    assert_eq!(
        killed,
        Ended {
            end: End::Failed,
            reason: String::new(),
            exit: 0,
            signal: 9,
            seconds: 1.0,
            memory: Some("241972K".into()),
        }
    );
    assert_eq!(sacct(SACCT, "8", 1).unwrap().end, End::Cancelled);
    assert_eq!(sacct(SACCT, "8", 2).unwrap().memory, None);
    assert_eq!(sacct(SACCT, "8", 4).unwrap().end, End::Completed);
    for index in [5, 6, 10] {
        assert_eq!(sacct(SACCT, "8", index), None, "{index}");
    }
}

#[test]
fn the_words_of_slurmstepd_tell_a_kill_for_memory() {
    let words = "\
slurmstepd-vm: error: StepId=2.batch exceeded memory limit (414093312 > 104857600), being killed
slurmstepd-vm: error: *** JOB 2 ON vm CANCELLED AT 2026-11-25T08:09:26 ***
slurmstepd-vm: error: Exceeded job memory limit
";
    let killed = scontrol(SCONTROL, 4).unwrap();
    let told = killed.clone().told_by(words);
    // 414093312 / 2^20 = 394.9
    assert_eq!(
        (told.end, told.memory.as_deref()),
        (End::OutOfMemory, Some("394M"))
    );
    let groups = "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=2.batch.";
    assert_eq!(killed.clone().told_by(groups).end, End::OutOfMemory);
    assert_eq!(killed.clone().told_by("*** JOB 2 CANCELLED ***"), killed);
}

#[test]
fn what_has_not_ended_or_is_not_there_has_no_end() {
    // Task 7 runs, 9 is one of 8-11 that wait, 6 is nowhere.
    for index in [7, 9, 6] {
        assert_eq!(scontrol(SCONTROL, index), None, "{index}");
    }
}

#[test]
fn lists_of_tasks() {
    assert!(holds("8-11%4", 11) && !holds("8-11%4", 12));
    assert!(holds("3,5-6", 3) && holds("3,5-6", 6) && !holds("3,5-6", 4));
    assert!(holds("0-8:2", 4) && !holds("0-8:2", 5));
}

#[test]
fn partitions_are_listed() {
    assert_eq!(partitions(PARTITIONS), ["main", "short"]);
}

#[test]
fn the_id_of_a_submission() {
    assert_eq!(job_id("11\n").as_deref(), Some("11"));
    assert_eq!(job_id("11;cluster\n").as_deref(), Some("11"));
    assert_eq!(job_id("Submitted batch job 13"), None);
    assert_eq!(job_id(""), None);
}

#[test]
fn durations_of_all_forms() {
    let cases = [
        ("30", 1800.0),
        ("30:15", 1815.0),
        ("04:00:00", 14400.0),
        ("1-2", 93600.0),
        ("1-2:30", 95400.0),
        ("1-02:03:04", 93784.0),
    ];
    for (text, seconds) in cases {
        assert_eq!(duration(text), Some(seconds), "{text}");
    }
    for text in ["", "UNLIMITED", "1:2:3:4", "-5", "1:-2", "1-"] {
        assert_eq!(duration(text), None, "{text}");
    }
}
