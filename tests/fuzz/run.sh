#!/bin/sh
# run.sh TARGET CORPUS SECONDS - fuzzes with the kept corpus as seed. Beside the program are then
# TARGET.log, what was new in TARGET.corpus, and what failed in TARGET.failed.
set -eu
target=$1 corpus=$2 seconds=$3
mkdir -p "$target.corpus" "$target.failed"
if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$target.failed/" "$target.corpus" "$corpus" \
    >"$target.log" 2>&1; then
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$target.log")
    echo "${target##*/}: $inputs inputs in $seconds s, nothing found"
else
    tail -n 40 "$target.log"
    echo "${target##*/}: failed; the input is in $target.failed"
    exit 1
fi
