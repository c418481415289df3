#!/usr/bin/env bash
# Runs studies on a real one-node Slurm cluster, started and stopped here, and
# disturbs them. Needs root.
#
#   test.sh BINARY    the `lacuna` program
set -euo pipefail

[[ $# -eq 1 && -x $1 ]] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
driver=

main() {
    trap clean_up EXIT
    "$here/cluster.sh" start "$work/cluster"
    source "$work/cluster/env"
    a_killed_run_goes_on
    nothing_is_done_twice
    an_unknown_partition_is_refused
    what_never_starts_is_told
    a_lack_of_memory_is_told
    a_run_out_of_time_goes_on_and_a_stopped_sweep_too
    echo "slurm: all passed in $SECONDS s"
}

clean_up() {
    local status=$?
    [[ -z $driver ]] || kill "$driver" 2>/dev/null || true
    if [[ -e $work/cluster/env ]]; then
        source "$work/cluster/env"
        scancel --user="$(id -un)" || true
        for _ in $(seq 100); do [[ -n $(squeue -h 2>/dev/null) ]] || break; sleep 0.2; done
        "$here/cluster.sh" stop "$work/cluster"
    fi
    if [[ $status -ne 0 ]]; then
        tail -n 30 "$work"/*.txt "$work"/*/logs/*.log "$work"/cluster/log/slurm*.log >&2 || true
    fi
    rm -rf "$work"
}

a_killed_run_goes_on() {
    step "a killed run goes on from its checkpoint"
    study four 1500 '[1e-3, 1e-4]' '[1, 2]' 'memory = "2G"' >"$work/four.toml"
    start_sweep four
    wait_for 90 "a first checkpoint" has_events four
    local run first job
    run=$(run_with_events four 60)
    job=$(field four "$run" job)
    first=$(head -n 1 "$work/four/runs/$run/events.jsonl")
    scancel --signal=KILL "$job"
    wait_for 200 "the end of the sweep" ended "$driver"
    expect_exit 0

    [[ $(cat "$work"/four/runs/*/outcome.json | grep -c wall_time) -eq 4 ]] || fail "not all four runs are done"
    [[ $(cat "$work"/four/states/*.json | grep -c '"state": "done"') -eq 4 ]] || fail "not all four states are done"
    [[ $(field four "$run" attempts) -eq 2 ]] || fail "$run had $(field four "$run" attempts) attempts, expected 2"
    # A run begun anew would have written its first event again.
    [[ $(head -n 1 "$work/four/runs/$run/events.jsonl") == "$first" ]] || fail "$run began anew"
    diff <(seq 1500) <(iterations four "$run") >/dev/null || fail "$run has not each iteration once"
    [[ $(grep -c '"job"' "$work/four/slurm/jobs.json") -eq 2 ]] || fail "expected one array and one more"
}

nothing_is_done_twice() {
    step "a second sweep does nothing"
    cp "$work/four/slurm/jobs.json" "$work/before.json"
    start_sweep four
    wait_for 30 "the end of the sweep" ended "$driver"
    expect_exit 0
    cmp "$work/before.json" "$work/four/slurm/jobs.json" || fail "it submitted jobs"
}

an_unknown_partition_is_refused() {
    step "an unknown partition is refused"
    study nowhere 10 '[1e-3]' '[1]' 'partition = "nowhere"' >"$work/nowhere.toml"
    start_sweep nowhere
    wait_for 30 "the end of the sweep" ended "$driver"
    expect_exit 1
    [[ $(grep -c '"nowhere": the cluster.s partitions are main, short' "$work/nowhere.txt") -eq 1 ]] \
        || fail "expected one error that lists the partitions"
}

what_never_starts_is_told() {
    step "a job that can never start is told"
    study never 10 '[1e-3]' '[1]' 'partition = "short"' >"$work/never.toml"
    start_sweep never
    wait_for 30 "the end of the sweep" ended "$driver"
    expect_exit 1
    # Slurm gives the one word or the other, by when it is asked.
    grep -Eq 'Partition(TimeLimit|Config)\).*`time`' "$work/never.txt" || fail "expected the reason"
    [[ -z $(squeue -h) ]] || fail "the jobs are still queued: $(squeue)"
}

# The kernel has no part in this one: Slurm watches memory and ends the job.
a_lack_of_memory_is_told() {
    step "a job that runs out of memory is told, and not tried again"
    study small 100000 '[1e-3]' '[1]' 'memory = "10M"' >"$work/small.toml"
    start_sweep small
    wait_for 60 "the end of the sweep" ended "$driver"
    expect_exit 1
    grep -q '"state": "killed"' "$work"/small/states/*.json || fail "expected a killed run"
    grep -q 'out of memory: it held .* of 10M; raise `memory`' "$work"/small/states/*.json || fail "expected the reason"
    [[ $(grep -c '"job"' "$work/small/slurm/jobs.json") -eq 1 ]] || fail "it was submitted again"
}

a_run_out_of_time_goes_on_and_a_stopped_sweep_too() {
    step "a run out of time goes on; a stopped sweep finds its jobs again"
    study long 1000000 '[1e-3]' '[1]' 'memory = "2G"' >"$work/long.toml"
    start_sweep long
    wait_for 60 "a first checkpoint" has_events long
    local run job
    run=$(run_with_events long 60)
    job=$(field long "$run" job)
    # Limits are whole minutes; what is left of this one is less than the notice.
    scontrol update "JobId=$job" TimeLimit=1
    wait_for 90 "a second attempt" attempts_are long "$run" 2
    grep -q 'interrupted: asked to stop (SIGTERM)' "$work/long.txt" || fail "expected the notice"
    [[ $(iterations long "$run" | head -n 1) == 1 ]] || fail "$run began anew"

    kill -INT "$driver"
    wait_for 30 "the end of the sweep" ended "$driver"
    expect_exit 130
    job=$(squeue -h --states=RUNNING -o %F)
    grep -q "scancel $job" "$work/long.txt" || fail "expected how to cancel job $job"

    # As if the sweep had ended between submitting and noting the id.
    sed -i "s/\"job\": \"$job\"/\"job\": null/" "$work/long/slurm/jobs.json"
    start_sweep long
    wait_for 30 "the job to be found again" grep -q "running" "$work/long.txt"
    [[ $(squeue -h -o %F) == "$job" ]] || fail "job $job does not go on alone: $(squeue)"
    grep -q "\"job\": \"$job\"" "$work/long/slurm/jobs.json" || fail "the id of job $job is lost"
    [[ $(grep -c '"job"' "$work/long/slurm/jobs.json") -eq 2 ]] || fail "a running job was submitted again"
    kill -INT "$driver"
    wait_for 30 "the end of the sweep" ended "$driver"
    expect_exit 130
    scancel "$job"
}

# A study of a small phantom: name, iterations, learning rates, seeds, a key of [executor].
study() {
    cat <<STUDY
name = "$1"
description = "A test."

[executor]
kind = "slurm"
time = "01:00:00"
cpus = 1
poll_seconds = 1
$5

[phantom]
subjects = 4
shape = [64, 64, 8]
spacing = [2.5, 2.5, 5.0]
foreground_share = 1e-2
lesion_volume_mm3 = [200.0, 4000.0]

[run.model]
width = 0.125

[run.split]
test_fraction = 0.25

[run.patch]
size = 56

[run.train]
iterations = $2
batch = 1
checkpoint_every = 25

[[axis]]
"train.learning_rate" = $3

[[axis]]
seed = $4
STUDY
}

step() { printf -- '-- %s\n' "$*"; }

fail() { echo "slurm: $*" >&2; exit 1; }

start_sweep() {
    "$binary" sweep "$work/$1.toml" --out "$work/$1" >"$work/$1.txt" 2>&1 &
    driver=$!
}

expect_exit() {
    local status=0
    wait "$driver" || status=$?
    driver=
    [[ $status -eq $1 ]] || fail "the sweep ended with exit code $status, expected $1"
}

# Seconds, what is waited for, and a command that tells.
wait_for() {
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [[ $SECONDS -lt $limit ]] || fail "waited too long for $what"
        sleep 0.2
    done
}

ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

# The first run of a study with so many events.
run_with_events() {
    local file
    for file in "$work/$1"/runs/*/events.jsonl; do
        [[ -e $file && $(wc -l <"$file") -ge $2 ]] || continue
        basename "$(dirname "$file")"
        return
    done
    return 1
}

has_events() { run_with_events "$1" 60 >/dev/null; }

field() { sed -n "s/^ *\"$3\": \"\{0,1\}\([^\",]*\).*/\1/p" "$work/$1/states/$2.json"; }

# Of a line of another form, such as one half written, nothing.
iterations() { sed -n 's/^{"iteration":\([0-9]*\),.*/\1/p' "$work/$1/runs/$2/events.jsonl"; }

attempts_are() { [[ $(field "$1" "$2" attempts) -eq $3 ]]; }

main
