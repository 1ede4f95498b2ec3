#!/bin/sh
# 10,000 agents at 1 s beside a conductor on this machine, 100 deaths in a minute: prints the report of
# muster sim, and what the conductor used. Options are handed to muster sim.
set -eu
here=$(dirname "$0")
muster=${MUSTER:-$here/../build/muster}
scratch=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM

printf '[DEFAULT]\nreport_interval = 1s\nservice_down_time = 3s\n' >"$scratch/muster.conf"
"$muster" conductor --config "$scratch/muster.conf" --listen 127.0.0.1:0 --http 127.0.0.1:0 \
    --store "sqlite:$scratch/muster.db" --ports-file "$scratch/ports" >"$scratch/log" 2>&1 &
pid=$!
tries=0
until [ -s "$scratch/ports" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then
        cat "$scratch/log" >&2
        exit 1
    fi
    sleep 0.1
done
agents=$(sed -n 's/^agents=//p' "$scratch/ports")
http=$(sed -n 's/^http=//p' "$scratch/ports")

cpu() { # ms that process $1 has used
    awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1000 / hz }' "/proc/$1/stat"
}

before=$(cpu "$pid")
rv=0
"$muster" sim --conductor "127.0.0.1:$agents" --http "http://127.0.0.1:$http" \
    --agents 10000 --interval 1s --for 60s --run 'at 10s kill 50; at 30s kill 50' "$@" \
    2>"$scratch/told" || rv=$?
[ "$rv" -eq 0 ] || tail -n 20 "$scratch/told" >&2
after=$(cpu "$pid")
echo "conductor      $((after - before)) ms of CPU," \
    "$(sed -n 's/^VmHWM:[[:space:]]*//p' "/proc/$pid/status") of memory at most"
exit "$rv"
