#!/usr/bin/env bash
# Compares one step of SGD and one prediction of each network on a graphics card
# with the processor's. The card is SwiftShader, the software device of Debian's
# chromium package, unless VK_DRIVER_FILES names another driver.
#
#   run.sh [BINARY]    a `lacuna` with the feature vulkan; built when left out
#
# DEVICE=cpu compares the processor with itself, to try the script. NETWORKS="unet
# deep-medic" compares these alone: on SwiftShader a step of some takes minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

main() {
    local device=${DEVICE:-vulkan} binary=${1:-}
    [[ $device == cpu ]] || find_driver
    [[ -n $binary ]] || binary=$(build)
    binary=$(realpath "$binary")
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$work}
    # At a rate near 0 the weights stay what they were: the step is seen against them.
    study cpu '[1e-2, 1e-30]' >"$work/cpu.toml"
    study "$device" '[1e-2]' >"$work/device.toml"
    for name in cpu device; do
        "$binary" sweep "$work/$name.toml" --out "$work/$name"
    done
    local run
    for run in "$work"/device/runs/*; do
        for name in cpu device; do
            "$binary" predict "$work/cpu/runs/$(basename "$run")" \
                --dataset "$work/cpu/phantoms/cohort/dataset.toml" --subjects sub-02 --probabilities \
                --device "$([[ $name == cpu ]] && echo cpu || echo "$device")" \
                --out "$work/predicted-$name/$(basename "$run")"
        done
    done
    python3 tests/vulkan/compare.py "$work"
}

find_driver() {
    local icd=${VK_DRIVER_FILES:-/usr/lib/chromium/vk_swiftshader_icd.json}
    if [[ ! -e $icd ]] || ! ldconfig -p | grep -q 'libvulkan\.so\.1'; then
        apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium libvulkan1 >&2
    fi
    # Older loaders know the second name only.
    export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd
}

build() {
    # Barely optimised: a build for speed takes four times as long.
    cargo build --profile quick --package lacuna-cli --features vulkan >&2
    echo "${CARGO_TARGET_DIR:-target}/quick/lacuna"
}

# Each network in quotes, its patch and its batch.
table() {
    cat <<'TABLE'
"unet" 56 2
"padded-unet" 48 2
"two-path-cnn" 51 2
"deep-medic" 51 1
"high-res-3d-net" 37 1
"plain-conv-unet" 32 2
"residual-encoder-unet" 32 2
TABLE
}

# COLUMN of the networks that are compared, behind commas.
column() {
    local network pattern=""
    for network in ${NETWORKS:-}; do pattern+="${pattern:+|}\"$network\" "; done
    table | grep -E "^(${pattern:-.})" | cut -d' ' -f"$1" | paste -sd,
}

# DEVICE RATES
study() {
    cat <<TOML
name = "devices"
device = "$1"
[phantom]
subjects = 2
shape = [56, 56, 52]
foreground_share = 5e-3
[run]
seed = 7
[run.split]
train = ["sub-01"]
test = ["sub-02"]
[run.model]
width = 0.125
[run.train]
iterations = 1
optimiser = "sgd"
[[axis]]
"model.name" = [$(column 1)]
"patch.size" = [$(column 2)]
"train.batch" = [$(column 3)]
labels = [$(column 1)]
[[axis]]
"train.learning_rate" = $2
TOML
}

main "$@"
