#!/usr/bin/env bash
# A one-node Slurm cluster on loopback, all of it in one folder. Needs root.
#
#   cluster.sh start FOLDER    starts it; `source FOLDER/env` points Slurm's commands at it
#   cluster.sh stop FOLDER     stops its daemons
set -euo pipefail

main() {
    [[ $# -eq 2 ]] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
    [[ $EUID -eq 0 ]] || fail "needs root, for slurmd starts jobs as their users"
    case $1 in
        start) mkdir -p "$2"; start "$(cd "$2" && pwd)" ;;
        stop) stop "$(cd "$2" && pwd)" ;;
        *) fail "expected start or stop, found $1" ;;
    esac
}

fail() { echo "cluster.sh: $*" >&2; exit 1; }

start() {
    local folder=$1
    install_slurm
    mkdir -p "$folder"/{state,spool,log,munge}
    # munged refuses a socket that others cannot reach, and a key that they can.
    chmod 755 "$folder" "$folder/munge"
    configure "$folder" "$(free_port)" "$(free_port)"
    export SLURM_CONF=$folder/slurm.conf
    echo "export SLURM_CONF='$SLURM_CONF'" >"$folder/env"

    (umask 077; head -c 128 /dev/urandom >"$folder/munge/key")
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
        --pid-file="$folder/munged.pid" --log-file="$folder/log/munged.log" \
        --seed-file="$folder/munge/seed" --num-threads=2 2>"$folder/log/munged.err" \
        || fail "munged did not start: $(cat "$folder/log/munged.err")"
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF"
    wait_until_idle || { stop "$folder"; fail "the node did not become idle: $(tail -n 20 "$folder"/log/*)"; }
}

install_slurm() {
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null \
        && command -v sbatch >/dev/null && command -v munged >/dev/null && return
    command -v apt-get >/dev/null || fail "slurm-wlm and munge are not installed, and there is no apt-get"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >&2
}

# A port that nothing listens on, below those that the system hands out itself.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 10000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    fail "found no free port"
}

configure() {
    local folder=$1 controller_port=$2 node_port=$3 host memory
    host=$(hostname -s)
    memory=$(awk '/^MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
    cat >"$folder/slurm.conf" <<CONF
ClusterName=lacuna
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# Memory is watched once a second; without control groups it is how a job runs out of it.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MailProg=/bin/true
ReturnToService=2
KillWait=10
SchedulerParameters=sched_interval=5
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobs.txt
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=$host MaxTime=10 State=UP
CONF
}

wait_until_idle() {
    for _ in $(seq 150); do
        [[ $(sinfo -h -p main -o %t 2>/dev/null) == idle ]] && return
        sleep 0.2
    done
    return 1
}

# By the pids in their own pid files, and waits until they are gone.
stop() {
    local folder=$1 daemon pid
    for daemon in slurmd slurmctld munged; do
        [[ -s $folder/$daemon.pid ]] || continue
        pid=$(<"$folder/$daemon.pid")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 100); do
            running "$pid" || continue 2
            sleep 0.1
        done
        kill -KILL "$pid"
    done
}

# A daemon whose parent does not wait for it stays as a zombie.
running() {
    [[ -r /proc/$1/status ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status"
}

main "$@"
