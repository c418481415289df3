#!/usr/bin/env bash
# Cases of every target by the hundred million, with what they reached and took: how many
# (default 10^8, shared equally by the targets), the seed, and the folder of the log. Built so that edges are
# counted, cases that take new ones are kept and damaged further.
set -euo pipefail
cd "$(dirname "$0")/.."

total=${1:-100000000} seed=${2:-$(date +%s)} out=${3:-fuzz-campaign}
jobs=${JOBS:-$(nproc)}
mkdir -p "$out"

# A target of its own: build scripts and macros of the compiler are not to count.
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/fuzz
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters" \
    cargo build --release --target "$host" -p lacuna-fuzz
fuzz=$CARGO_TARGET_DIR/$host/release/lacuna-fuzz

targets=$("$fuzz" none 2>&1 | sed 's/.*one of //; s/, / /g' || true)
each=$((total / $(wc -w <<<"$targets")))
# In rounds, so that a campaign that is cut off has a log, and each begins from the corpus anew.
round=$((each < 200000 ? each : 200000))
status=0
for ((ran = 0, number = 0; ran < each; ran += round, number++)); do
    printf '== round %d, %d of %d cases of each target, seed %d\n' \
        "$number" "$ran" "$each" "$((seed + number))" | tee -a "$out/log"
    "$fuzz" all --cases "$round" --seed "$((seed + number))" --jobs "$jobs" --grow \
        --failures "$out/failures" 2>&1 | tee -a "$out/log" || status=1
done
exit $status
