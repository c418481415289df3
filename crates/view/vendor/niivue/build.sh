#!/usr/bin/env bash
# Makes niivue.js.gz and licences/ from the packages named here; needs Node with npm, and
# writes nothing else. Zarr, which NiiVue reads and Lacuna does not, is left out: that
# makes the bundle a third as large.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp entry.js "$work"
cd "$work"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund @niivue/niivue@0.69.0 esbuild@0.28.2 \
  @lukeed/uuid@2.0.1 @ungap/structured-clone@1.4.0 array-equal@1.0.2 fflate@0.8.3 \
  gl-matrix@3.4.4 nifti-reader-js@0.8.0
: >zarrita.js
npx esbuild entry.js --bundle --minify --format=esm --target=es2022 \
  --alias:zarrita=./zarrita.js --log-level=warning --outfile=niivue.js
gzip -9 -n -c niivue.js >"$here/niivue.js.gz"

# NiiVue's package holds no licence file: licences/niivue.txt is that of its repository.
for package in @lukeed/uuid @ungap/structured-clone array-equal fflate gl-matrix nifti-reader-js; do
  name=${package##*/}
  licence=$(find "node_modules/$package" -maxdepth 1 -iname 'licen[cs]e*')
  tr -d '\r' <"$licence" >"$here/licences/$name.txt"
done
ls -l "$here/niivue.js.gz"
