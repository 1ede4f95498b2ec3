#!/usr/bin/env python3
"""A million agents at 10 s / 60 s for five minutes, then deaths: 1,000 at random, a tenth, half.

Nobody who beats may be told down, each death must be told in time, events must be stored, the API must
answer. Lateness is counted from the moment of the agent's last beat, by the sender's clock, and the down
time; the conductor's own silence_ms has to agree. The load is kept on the other core."""

import json
import os
import statistics
import subprocess
import threading
import time
from datetime import datetime

import lib

run = lib.Run(__doc__, agents={'type': int, 'help': 'how many [1000000]'},
              store={'help': 'URL of an empty database [SQLite in a scratch folder]'},
              stored_s={'type': float, 'default': 10, 'help': 'bound for the events of half the fleet [10]'})
N = run.options.agents or (5000 if run.quick else 1000000)
INTERVAL, DOWN = (1, 6) if run.quick else (10, 60)
# When agents fall silent, after all have joined, and when all is over.
FEW, TENTH, HALF = (3, 6, 9) if run.quick else (300, 330, 430)
END = HALF + DOWN + INTERVAL + (10 if run.quick else 40)
KILLS = [('few', FEW, min(1000, N // 10)), ('tenth', TENTH, '10%'), ('half', HALF, '50%')]
KILLED = os.path.join(run.folder, 'killed')
run.sizes(f'{N:,} agents at {INTERVAL} s / {DOWN} s for {FEW} s, then deaths: {KILLS[0][2]:,} at random, a tenth, half')


class Watch(threading.Thread):
    """What the conductor uses and says, once a second."""

    def __init__(self, conductor):
        super().__init__(daemon=True)
        self.conductor, self.seen, self.over, self.error = conductor, [], False, None

    def run(self):
        try:
            while not self.over:
                self.look()
        except (OSError, ValueError) as error:
            self.error = error

    def look(self):
        began = time.monotonic()
        summary = self.conductor.get('/v1/summary')
        took = time.monotonic() - began
        metrics = self.conductor.metrics()
        self.seen.append({'at': began, 'wall': time.time(), 'took': took, 'summary': summary,
                          'waiting': metrics['muster_journal_events'],
                          'jobs': metrics['muster_store_jobs'],
                          'cpu': lib.cpu_ns(self.conductor.pid),
                          'memory': lib.memory(self.conductor.pid)})
        time.sleep(max(0, 1 - (time.monotonic() - began)))

    def between(self, begin, end):
        return [s for s in self.seen if begin <= s['at'] <= end]


def events(conductor, since):
    """Every event of kind state after number @since."""
    while True:
        page = conductor.json(f'/v1/events?since={since}&kind=state&limit=1000')
        yield from page['events']
        if page['next'] == since:  # a page may be empty and not the last
            return
        since = page['next']


def wall_ms(text):
    return datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() * 1000


def last_number(conductor):
    newest = conductor.json('/v1/events?limit=1')['events']
    return newest[-1]['seq'] if newest else 0


def bare_share():
    """What the same beats cost a bare loop of recvmmsg and sendmmsg, as a share of a core."""
    bare = run.start([lib.program('bare'), '--echo'], stdout=subprocess.PIPE, text=True)
    port = dict(word.split('=') for word in bare.stdout.readline().split())['port']
    got = run.bench('beats', '-n', N, '--interval', f'{INTERVAL}s', '--made-up', '--for',
                    '2s' if run.quick else '15s', '--conductor', f'127.0.0.1:{port}', '--pid', bare.pid,
                    *run.pins)
    run.end_child(bare)
    return got['server_cpu_share']


bare = bare_share()
conductor = lib.Conductor(run, times=(INTERVAL, DOWN), store=run.options.store,
                          more=f'max_agents = {2 * N}\n')
begin_number = last_number(conductor)
load = run.start([lib.MUSTER, 'bench', 'beats', '-n', N, '--interval', f'{INTERVAL}s', '--warm', '0s',
                  '--for', f'{END}s', '--killed-file', KILLED, '--json', *run.pins, *conductor.where]
                 + [word for _, at, whom in KILLS for word in ('--kill', f'{whom}@{at}s')],
                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
joining = time.monotonic()
for line in load.stderr:
    if line.startswith('all agents have joined'):
        break
    print('  ' + line.strip(), flush=True)
joined = time.monotonic()
run.row(f'{N:,} lone agents join', f'{joined - joining:.1f} s')
threading.Thread(target=load.stderr.read, daemon=True).start()
watch = Watch(conductor)
watch.start()
out = load.stdout.read()
if load.wait() != 0:
    raise SystemExit('the load failed')
got = json.loads(out)
# The load is gone: whoever lived falls silent now, which is no verdict to be judged here.
stop_ms = time.time() * 1000
watch.over = True
watch.join()
if watch.error:
    raise SystemExit(f'the conductor did not answer throughout: {watch.error}')

# --- steady ---
steady = watch.between(joined + min(30, FEW / 3), joined + FEW)
span = steady[-1]['at'] - steady[0]['at']
share = (steady[-1]['cpu'] - steady[0]['cpu']) / 1e9 / span
most = max(s['memory'] for s in steady)
run.row('beats taken in, over all', f'{got["beats_per_s"]:,.0f}/s')
run.row('a bare loop that answers the same beats', f'{bare:.3f} of a core')
run.row('conductor, with acks, its store and all', f'{share:.3f} of a core', '<= 0.4, or 1.6 of bare',
        share <= max(0.4, 1.6 * bare))
each = f', {(most - 32e6) / N:.0f} bytes each + 32 MB' if most > 32e6 else ''
run.row('resident', f'{most / 1e6:.1f} MB{each}', '<= 200 + 32 MB',
        most <= 200 * N + 32e6)
run.row('resident, at most, with joins and deaths', f'{lib.memory(conductor.pid, "VmHWM") / 1e6:.1f} MB')
run.row('beats unanswered / datagrams dropped', f'{got["unanswered"]:,} / {got["drops"]:,}')
run.row('acks: p50 / p99 / max', ' / '.join(f'{got[f"ack_{k}_us"] / 1000:.1f}' for k in ('p50', 'p99', 'max'))
        + ' ms')

# --- verdicts ---
last_beat = {}
with open(KILLED, encoding='ascii') as file:
    for line in file:
        name, at = line.split()
        last_beat[name] = int(at)
names = list(last_beat)
few = KILLS[0][2]
tenth = (N - few) // 10
groups = {'few': names[:few], 'tenth': names[few:few + tenth], 'half': names[few + tenth:]}
told, silence, stall, false = {}, {}, {}, []
for event in events(conductor, begin_number):
    at = wall_ms(event['at'])
    if event['to'] != 'down' or at > stop_ms:
        continue
    if at >= last_beat.get(event['agent'], stop_ms + 1):  # else he beat again after it
        told[event['agent']] = at
        silence[event['agent']] = event['detail'].get('silence_ms', 0)
        stall[event['agent']] = event['detail'].get('stall_ms', 0)
    else:
        false.append(event['agent'])
run.row('falsely down', f'{len(false):,}', '0', not false)
for (group, at, _), bound in zip(KILLS, (150, 150, 1000)):
    late = sorted(told[name] - last_beat[name] - DOWN * 1000 for name in groups[group] if name in told)
    missed = len(groups[group]) - len(late)
    if not late:
        run.row(f'{len(groups[group]):,} deaths: told', '0', 'all', False)
        continue
    run.row(f'{len(groups[group]):,} deaths: missed', f'{missed:,}', '0', missed == 0)
    run.row('the same: earliest, from the threshold', f'{late[0]:.0f} ms', '>= -5 ms', late[0] >= -5)
    run.row('the same: told late by, p50 / p99 / max',
            f'{statistics.median(late):.0f} / {late[int(len(late) * 0.99)]:.0f} / {late[-1]:.0f} ms',
            f'<= {bound} ms', late[-1] <= bound)
    run.row('the same: silence that counted, at most; stalls that did not',
            f'{max(silence[n] for n in groups[group] if n in silence) / 1000:.3f} s; '
            f'{max(stall[n] for n in groups[group] if n in stall)} ms')

# --- the store, and the API ---
after = [s for s in watch.seen if s['at'] > joined + HALF]
last_told = max(told.values())
done = next((s['wall'] * 1000 for s in after
             if s['wall'] * 1000 > last_told and s['waiting'] == 0 and s['jobs'] <= 1), None)
stored = (done - last_told) / 1000 if done else None
run.row('half the fleet: all events stored after the last verdict',
        f'{stored:.1f} s' if done else 'not by the end', f'<= {run.options.stored_s:.0f} s',
        done is not None and stored <= run.options.stored_s)
run.row('events waiting for the store, at most', f'{max(s["waiting"] for s in watch.seen):,.0f}')
run.row('GET /v1/summary, once a second throughout, at most',
        f'{max(s["took"] for s in watch.seen) * 1000:.0f} ms')
run.end()
