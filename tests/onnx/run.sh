#!/usr/bin/env bash
# Exported networks in onnxruntime: every network's logits, and whole label maps by
# examples/onnx_segment.py beside those of `lacuna predict`.
#
#   run.sh CASES LACUNA [ENV]    the example `onnx_cases` of lacuna-nets, the program, and a
#                                Python environment with onnx, onnxruntime, nibabel, scipy and
#                                safetensors; without one it is made
set -euo pipefail

[[ $# -ge 2 && -x $1 && -x $2 ]] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cases=$(realpath "$1")
lacuna=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
environment=${3:-}
if [[ -z $environment ]]; then
    environment=$work/environment
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --no-cache-dir onnx onnxruntime nibabel scipy safetensors
fi
python=$(realpath -s "$environment/bin/python")
cd "$work"

mkdir cases
"$cases" cases > /dev/null
"$python" "$here/check.py" cases

"$lacuna" phantom --out cohort --set subjects=6 --set shape='[44, 40, 28]' > /dev/null
# Trains by the keys $2..., exports, and segments a subject here and there.
compare() {
    local run=$1
    shift
    printf 'dataset = "cohort/dataset.toml"\n' > "$run.toml"
    "$lacuna" train "$run.toml" --out "$run" --set train.iterations=40 --set train.batch=2 \
        --set train.learning_rate=3e-3 "$@" &> "$run.log" || { cat "$run.log" >&2; exit 1; }
    "$lacuna" export "$run" "$run.onnx" > /dev/null
    local subject=cohort/sub-01 images=()
    for modality in T1 T2 FLAIR; do images+=("$subject/$modality.nii.gz"); done
    "$lacuna" predict "$run" --image T1="${images[0]}" --image T2="${images[1]}" \
        --image FLAIR="${images[2]}" --label-values --precision f32 --out "$run.expected.nii.gz" > /dev/null 2>&1
    "$python" "$here/../../examples/onnx_segment.py" "$run.onnx" "$run.found.nii.gz" "${images[@]}"
    "$python" "$here/labels.py" "$run.expected.nii.gz" "$run.found.nii.gz"
}
compare unet --set model.name=unet --set model.width=0.25 --set patch.size=56
compare coronal --set model.name=unet --set model.width=0.25 --set patch.size=56 \
    --set patch.plane=coronal --set normalise.method=percentile
compare plain --set model.name=plain-conv-unet --set patch.size=16 --set normalise.method=z-score \
    --set 'model.stages={ axes = 3, features = [4, 8, 16], kernels = [[3,3,3],[3,3,3],[3,3,3]], strides = [[1,1,1],[2,2,2],[2,2,2]], down = [2, 2, 2], up = [2, 2] }'
compare grey --set model.name=unet --set model.width=0.25 --set patch.size=56 \
    --set normalise.method=grey-matter
compare spaced --set model.name=unet --set model.width=0.25 --set patch.size=56 \
    --set 'geometry.spacing=[1.3, 0.9, 2.2]'
echo "onnx: all passed"
