#!/usr/bin/env bash
# Opens pages in headless Chromium, as a desktop, a phone and a printer see them:
#   tests/browser/report.sh PAGE...
# A page must log nothing, load nothing but itself, draw every picture, and not be
# wider than its window. Chromium is installed by apt when it is missing.
set -euo pipefail

if [ $# -eq 0 ]; then
  echo "usage: $0 PAGE..." >&2
  exit 2
fi
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium
  browser=$(command -v chromium)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

open_page() { # WIDTH OPTION... URL
  local width=$1
  shift
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --disable-dev-shm-usage --user-data-dir="$work/profile-$width" \
    --window-size="$width,2000" --hide-scrollbars --enable-logging=stderr --v=0 \
    --virtual-time-budget=10000 "$@"
}

# Headless windows are not narrower than 500 pixels, so the page is looked at
# through a frame of the width wanted.
write_frame() { # WIDTH PAGE FRAME
  cat >"$3" <<HTML
<!DOCTYPE html><title>not looked at</title>
<iframe src="$(basename "$2")" width="$1" height="2000" style="border:0"></iframe>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const root = page.documentElement;
  const blank = [...page.images].filter(i => !i.complete || i.naturalWidth === 0).length;
  const flat = [...page.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().height < 10);
  const far = [...page.querySelectorAll("a[href^='#']")]
    .filter(a => !page.getElementById(a.getAttribute("href").slice(1))).length;
  document.title = [
    "width", root.scrollWidth <= $1 ? "fits" : "needs " + root.scrollWidth + " of $1",
    "headings", page.querySelectorAll("h2").length > 0 ? "shown" : "none",
    "blank", blank + flat.length, "dead", far,
    "loads", page.defaultView.performance.getEntriesByType("resource")
      .filter(r => !r.name.startsWith("data:")).length,
  ].join(" ");
};
</script>
HTML
}

failed=0
for page in "$@"; do
  cp "$page" "$work/page.html"
  for width in 390 1200; do
    write_frame "$width" "$work/page.html" "$work/frame.html"
    open_page "$width" --allow-file-access-from-files --dump-dom "file://$work/frame.html" \
      >"$work/dom" 2>"$work/log"
    found=$(grep -o '<title>[^<]*' "$work/dom" | head -n 1 | cut -c 8-)
    if [ "$found" != "width fits headings shown blank 0 dead 0 loads 0" ]; then
      echo "$page at $width pixels: $found" >&2
      failed=1
    fi
    if grep CONSOLE "$work/log" >&2; then
      echo "$page at $width pixels: the browser complained" >&2
      failed=1
    fi
  done
  open_page 1200 --no-pdf-header-footer --print-to-pdf="$work/page.pdf" "file://$work/page.html" \
    2>/dev/null
  if [ "$(head -c 4 "$work/page.pdf")" != "%PDF" ]; then
    echo "$page: cannot be printed" >&2
    failed=1
  fi
  [ "$failed" -eq 1 ] || echo "$page: fits 390 and 1200 pixels, draws and prints"
done
exit "$failed"
