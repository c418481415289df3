#!/usr/bin/env bash
# Keeps what a study has found, as far as it has come, in docs/results/NAME: its results without
# weights, its tables and figures, and what `lacuna verify-paper` says of it.
#
#   studies/keep.sh FOLDER NAME    LACUNA=target/release/lacuna
set -euo pipefail

[[ $# -eq 2 ]] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
lacuna=${LACUNA:-target/release/lacuna}
out=$(dirname "$0")/../docs/results/$2
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT

mkdir -p "$out"
"$lacuna" export --force "$1" "$out/results.jsonl.gz"
# Of what is kept, so that no picture of a patient is.
"$lacuna" report "$out" --out "$report"
rm -rf "$out/tables" "$out/figures"
cp -r "$report/tables" "$report/figures" "$out"
"$lacuna" verify-paper "$out" > "$out/findings.txt"
