#!/usr/bin/env bash
# How rare may a lesion be? Phantoms with the shapes of real lesions at three shares of
# foreground; on each the recipe of Sudre et al. 2017 (generalised Dice loss,
# high-res-3d-net, see paper-3d.toml) and `lacuna auto`, trained on the same subjects for
# the same time, then judged on subjects that neither has seen. Adds a line to
# OUT/results.csv for each share and recipe. A step whose result is there is skipped, so
# that the same command goes on after an interruption.
#
#   MASKS=stroke_lesion_masks studies/rarity.sh OUT
#
# Everything below can be set in the environment.
set -euo pipefail

: "${LACUNA:=lacuna}"           # the command
: "${MASKS:?name a folder of lesion masks: MASKS=DIR studies/rarity.sh OUT}"
: "${SHARES:=1e-3 1e-4 1e-5}"   # lesion voxels over all voxels
: "${PAPER_BUDGET:=10m}"        # time to train by the paper's recipe
: "${AUTO_BUDGET:=10m}"         # time for all that `lacuna auto` does
: "${TRAIN:=8}" "${TEST:=4}"    # subjects
: "${SHAPE:=[96,112,96]}" "${SPACING:=[1.5,1.5,1.5]}"
: "${SEED:=0}"
: "${PAPER_SET:=}" "${AUTO_SET:=}" # keys to change, as in "model.width=0.5 patch.size=51"
: "${THREADS:=0}"               # 0: every core

out=${1:?usage: MASKS=DIR studies/rarity.sh OUT}
mkdir -p "$out"
results=$out/results.csv

run() { "$LACUNA" --threads "$THREADS" "$@"; }

# Calls the rest unless the file MARK says that it was done before.
once() {
    local mark=$1
    shift
    [[ -e $mark ]] && return
    printf '== %s\n' "$mark" >&2
    "$@"
    touch "$mark"
}

# Puts --set before each of the words.
sets() {
    local - word
    set -f # brackets are no patterns here
    for word in $1; do printf -- '--set\n%s\n' "$word"; done
}

# Subjects FIRST to LAST of a manifest.
subjects() {
    awk -v first="$2" -v last="$3" \
        '/^\[\[subject\]\]/ { n++ } n == 0 || (n >= first && n <= last)' "$1"
}

make_cohort() {
    local folder=$1 share=$2
    rm -rf "$folder"
    run phantom --out "$folder" --set subjects=$((TRAIN + TEST)) --set shape="$SHAPE" \
        --set spacing="$SPACING" --set foreground_share="$share" --set seed="$SEED" \
        --set lesion_masks="$MASKS"
}

# Of two manifests, so that no recipe sees a test subject.
divide() {
    subjects "$1/dataset.toml" 1 "$TRAIN" > "$1/train.toml"
    subjects "$1/dataset.toml" $((TRAIN + 1)) $((TRAIN + TEST)) > "$1/test.toml"
}

# Writes how many seconds the rest took; what an interruption ended is not counted.
timed() {
    local file=$1 start=$SECONDS
    shift
    "$@"
    echo $((SECONDS - start)) > "$file"
}

train_paper() {
    local folder=$1
    local -a changes
    mapfile -t changes < <(sets "$PAPER_SET")
    rm -rf "$folder/model"
    cat > "$folder/run.toml" <<END
dataset = "../cohort/train.toml"
seed = $SEED
[model]
name = "high-res-3d-net"
[loss]
name = "generalised-dice"
[patch]
size = 51
[train]
budget = "$PAPER_BUDGET"
batch = 5
learning_rate = 1e-4
END
    run train "$folder/run.toml" --out "$folder/model" ${changes[@]+"${changes[@]}"}
}

train_auto() {
    local folder=$1
    local -a changes
    mapfile -t changes < <(sets "$AUTO_SET")
    run auto "$folder/../cohort/train.toml" --budget "$AUTO_BUDGET" --out "$folder/model" \
        --seed "$SEED" ${changes[@]+"${changes[@]}"}
}

predict() {
    run predict "$1/model" --dataset "$1/../cohort/test.toml" --probabilities --force \
        --out "$1/predictions"
}

evaluate() {
    run evaluate --dataset "$1/../cohort/test.toml" --predictions "$1/predictions" --force \
        --out "$1/evaluation"
}

# Mean of column NAME of a CSV file, over the rows where column KEY is VALUE.
mean() {
    awk -F, -v name="$2" -v key="${3:-}" -v value="${4:-}" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        key == "" || $at[key] == value { sum += $at[name]; n++ }
        END { if (n) printf "%.4f", sum / n }' "$1"
}

add_result() {
    local folder=$1 share=$2 recipe=$3
    local froc=$folder/evaluation/froc.csv scores=$folder/evaluation/scores.csv
    [[ -e $results ]] ||
        echo share,recipe,sensitivity_at_1_fp,cpm,dsc,lesion_f1,seconds > "$results"
    echo "$share,$recipe,$(mean "$froc" sensitivity false_positives_per_scan 1),$(
        mean "$froc" cpm),$(mean "$scores" dsc),$(mean "$scores" lesion_f1),$(
        cat "$folder/seconds")" >> "$results"
}

for share in $SHARES; do
    cohort=$out/$share/cohort
    mkdir -p "$out/$share"
    once "$out/$share/cohort.done" make_cohort "$cohort" "$share"
    once "$out/$share/divided.done" divide "$cohort"
    for recipe in paper auto; do
        folder=$out/$share/$recipe
        mkdir -p "$folder"
        once "$folder/trained.done" timed "$folder/seconds" "train_$recipe" "$folder"
        once "$folder/predicted.done" predict "$folder"
        once "$folder/evaluated.done" evaluate "$folder"
        once "$folder/result.done" add_result "$folder" "$share" "$recipe"
    done
done
cat "$results"
