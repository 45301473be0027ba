#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds and passes the tests. Options are CTest's: ./test.sh -R walkthrough
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=tools/setup.sh
. tools/setup.sh
casemate_setup test
casemate_web
casemate_build dev all
casemate_blobs
casemate_step "Testing"
exec ctest --test-dir build -j2 --output-on-failure --no-tests=error "$@"
