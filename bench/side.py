#!/usr/bin/env python3
"""A beat beside a bare datagram: the same load, by turns, to a conductor and to a loop of recvmmsg (+ sendmmsg).

Figures are CPU of all the server's threads for a datagram, the median of the rounds; the
load is kept on the other core. With --steer also the busy time of the server's core, where the kernel's
work for reception then is."""

import statistics
import subprocess

import lib

run = lib.Run(__doc__)
N = 2000 if run.quick else 10000
LENGTH = '1s' if run.quick else '4s'
run.sizes(f'{N:,} agents, {LENGTH} each')
BARE = lib.program('bare')


def bare(*options):
    return run.start([BARE, *options], stdout=subprocess.PIPE, text=True)


def load(*options):
    return run.bench('beats', '-n', N, '--saturate', '--for', LENGTH, *run.pins, *options)


def of_bare(server, *options):
    return load('--made-up', '--conductor', f'127.0.0.1:{server.port}', '--pid', server.pid, *options)


def start_bare(*options):
    server = bare(*options)
    server.port = dict(word.split('=') for word in server.stdout.readline().split())['port']
    return server


echo, sink = start_bare('--echo'), start_bare()
slow_echo, slow_sink = start_bare('--echo', '--by-time'), start_bare('--by-time')
conductor = lib.Conductor(run)
rounds = []
for _ in range(run.rounds):
    rounds.append({
        'bare': of_bare(sink, '--no-acks'),
        'bare, echoed': of_bare(echo),
        'bare by time': of_bare(slow_sink, '--no-acks'),
        'bare by time, echoed': of_bare(slow_echo),
        'beat, no ack wanted': load('--no-acks', *conductor.where),
        'beat, no ack wanted, one flow': load('--no-acks', '--one-flow', *conductor.where),
        'beat, acked': load(*conductor.where),
        'ten': load('-b', 10, *conductor.where),
        'ten, no ack wanted': load('-b', 10, '--no-acks', *conductor.where),
        'ten, one flow': load('-b', 10, '--one-flow', *conductor.where),
        'a hundred, one flow': load('-b', 100, '--one-flow', *conductor.where),
    })


def cost(name, key='server_cpu_us_per_datagram'):
    return statistics.median(r[name][key] for r in rounds)


def rate(name):
    return statistics.median(r[name]['beats_per_s'] for r in rounds)


def ratio(name, other, key='server_cpu_us_per_datagram'):
    return statistics.median(r[name][key] / r[other][key] for r in rounds)


for name in ('bare', 'bare, echoed', 'bare by time', 'bare by time, echoed', 'beat, acked', 'beat, no ack wanted'):
    # A server that is not busy is woken for few datagrams at a time, which makes each of them dearer.
    run.row(f'{name}: CPU a datagram', f'{cost(name):.2f} us',
            f'at {rate(name):,.0f}/s, {cost(name, "server_cpu_share"):.0%} busy')
PAIRS = (('beat, acked', 'bare, echoed'), ('beat, no ack wanted', 'bare'),
         ('beat, acked', 'bare by time, echoed'), ('beat, no ack wanted', 'bare by time'))
for name, other in PAIRS:
    run.row(f'{name}, beside {other}', f'{ratio(name, other):.2f} times', '<= 1.6 times',
            ratio(name, other) <= 1.6)
if run.options.steer:
    CORE = 'server_core_us_per_datagram'
    for name, other in PAIRS:
        run.row(f'{name}, beside {other}: the core with its kernel work',
                f'{cost(name, CORE):.2f} us, {ratio(name, other, CORE):.2f} times', '<= 1.6 times',
                ratio(name, other, CORE) <= 1.6)
run.row('lone beats, acked', f'{rate("beat, acked"):,.0f}/s')
share = statistics.median(r['beat, no ack wanted']['server_cpu_share'] for r in rounds)
run.row('lone beats from 1,000 addresses, no ack wanted, as fast as they are sent',
        f'{rate("beat, no ack wanted"):,.0f}/s', f'in {share:.2f} of the core')
flow = rate('beat, no ack wanted, one flow')
run.row('lone beats in one flow, no ack wanted', f'{flow:,.0f}/s', '>= 400,000/s', flow >= 400000)
for name, says in (('ten', 'from 1,000 addresses, acked'), ('ten, no ack wanted', 'from 1,000 addresses, no ack wanted'),
                   ('ten, one flow', 'one flow, acked')):
    run.row(f'beats in bundles of 10, {says}', f'{rate(name):,.0f}/s', '> 3,000,000/s', rate(name) > 3e6)
run.row('beats in bundles of 100, one flow, acked', f'{rate("a hundred, one flow"):,.0f}/s')
run.end()
