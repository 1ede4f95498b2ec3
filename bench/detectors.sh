#!/bin/sh
# What the detectors' verdicts are worth on made-up weather, each beside a deadline of the same patience.
# AGENTS, DAYS and a seed may be given.
set -eu
build=${BUILD:-$(dirname "$0")/../build}
ninja -C "$build" bench/detectors >/dev/null
exec "$build/bench/detectors" "$@"
