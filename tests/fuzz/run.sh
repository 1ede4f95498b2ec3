#!/bin/sh
# run.sh TARGET CORPUS SECONDS - fuzzes with the kept corpus as seed. What is new goes to
# TARGET.corpus, what fails to TARGET.failed, both beside the program.
set -eu
target=$1 corpus=$2 seconds=$3
mkdir -p "$target.corpus" "$target.failed"
exec "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$target.failed/" "$target.corpus" "$corpus"
