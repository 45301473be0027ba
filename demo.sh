#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds and runs the walkthrough, act by act. Options are those of `casemate demo`: --pause, --act N.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=tools/setup.sh
. tools/setup.sh
casemate_setup build
casemate_build dev programs
casemate_blobs
exec build/bin/casemate demo "$@"
