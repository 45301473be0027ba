#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the web console into build/web, from where build/bin/casemated serves it. Needs Node.js 18 or newer with npm; the
# first run fetches what the lock file names.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/setup.sh
. tools/setup.sh
if ! command -v npm >/dev/null 2>&1; then
  printf 'build_console: npm is missing: apt-get install nodejs npm\n' >&2
  exit 1
fi
mkdir -p build
casemate_web
printf 'The console is in build/web. casemated serves it when it starts: casemate down, casemate up, casemate console.\n'
