#!/usr/bin/env bash
# Builds the dashboard's pages into the Python package, when their sources have changed.
# Without npm tiphys works, but for `tiphys dashboard`, which says what to do.
set -euo pipefail
cd "$(dirname "$0")/.."
output=src/tiphys/cluster/dashboard/web
sources=$(find dashboard -type f -not -path '*/node_modules/*' -not -path 'dashboard/test/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
[ "$(cat "$output/.built" 2>/dev/null)" = "$sources" ] && exit 0
if ! command -v npm >/dev/null; then
  echo "no npm: tiphys is installed without its dashboard" >&2
  exit 0
fi
cd dashboard
packages=$(sha256sum <package-lock.json)
if [ "$(cat node_modules/.installed 2>/dev/null)" != "$packages" ]; then
  echo "installing the dashboard's npm packages into dashboard/node_modules"
  if ! npm ci --ignore-scripts --no-audit --no-fund --silent; then
    echo "npm ci failed: tiphys is installed without its dashboard" >&2
    exit 0
  fi
  echo "$packages" >node_modules/.installed
fi
echo "building the dashboard"
node build.mjs "../$output"
echo "$sources" >"../$output/.built"
