#!/usr/bin/env bash
# Installs the package into an environment of its own and runs its tests.
#     python/tests/run.sh [FOLDER OF AN ENVIRONMENT WITH TORCH AND MONAI]
# Without an environment, PyTorch and MONAI are installed (a few GB).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
environment=${1:-}
if [ -z "$environment" ]; then
    environment=$(mktemp -d)
    trap 'rm -rf "$environment"' EXIT
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --no-cache-dir "$here[test]"
else
    "$environment/bin/pip" install --quiet --force-reinstall --no-deps "$here"
fi
# From the tests' folder: in the package's own, its sources would be imported.
cd "$here/tests"
"$environment/bin/python" -m pytest --quiet
