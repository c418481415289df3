#!/usr/bin/env bash
# The vector kernels, where nearly all `unsafe` is, under AddressSanitizer: every test of
# lacuna-kernels with each set of instructions that this processor has. Needs a nightly
# toolchain; takes some minutes. The last result stands in docs/security.md.
#
#   tests/sanitizer.sh [TARGET FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${1:-target/sanitizer}
# Optimised, or the kernels take an hour; with debug assertions all the same.
export RUSTFLAGS="-Zsanitizer=address -Cdebug-assertions=on" ASAN_OPTIONS=detect_leaks=0
cargo +nightly test --release --package lacuna-kernels --lib --tests --target "$host"
