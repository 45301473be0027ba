#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs fuzz targets one after another under ASan and UBSan and prints executions and coverage of each.
# usage: tools/fuzz.sh SECONDS [TARGET...]     targets as in fuzz/corpus; all without one. New inputs stay in build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: tools/fuzz.sh SECONDS [TARGET...]}
shift
[ "$#" -gt 0 ] || { mapfile -t all < <(ls fuzz/corpus) && set -- "${all[@]}"; }
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target "${@/%/_fuzz}" >/dev/null
status=0
for target in "$@"; do
  mkdir -p "build/fuzz/found/$target"
  log=build/fuzz/found/$target.log
  if ! "build/fuzz/fuzz/${target}_fuzz" -max_total_time="$seconds" -print_final_stats=1 -timeout=25 -rss_limit_mb=2000 \
      -artifact_prefix="build/fuzz/found/$target-" "build/fuzz/found/$target" "fuzz/corpus/$target" >"$log" 2>&1; then
    printf '%-20s FAILED, see %s\n' "$target" "$log"
    status=1
    continue
  fi
  printf '%-20s %s\n' "$target" "$(grep -o 'DONE.*cov: [0-9]* ft: [0-9]*' "$log" | sed 's/DONE *//') $(sed -n 's/stat::number_of_executed_units: /executions: /p' "$log")"
done
exit $status
