#!/usr/bin/env python3
"""Heartbeats of 100,000 agents beside Redis (SET key 1 EX 60) and memcached (set), in the same run.

Figures are CPU of all the server's threads for a heartbeat, the median of the rounds; the load is kept
on the other core."""

import os
import shutil
import statistics
import subprocess
import sys

import lib

run = lib.Run(__doc__)
N = 5000 if run.quick else 100000
SECONDS = 1 if run.quick else 5
run.sizes(f'{N:,} agents')
KEYVAL = lib.program('keyval')
CONNECTIONS = 50


def pinned(core, command):
    return ['taskset', '-c', str(core), *command] if run.pins else command


def serve(name, command):
    if not shutil.which(command[0]):
        sys.exit(f'{command[0]} is not here: apt-get install {name}')
    server = run.start(pinned(0, command), cwd=run.folder)
    server.port = int(command[command.index('-p' if '-p' in command else '--port') + 1])
    lib.until(lambda: lib.reaches(server.port), f'{name} listens', 20)
    return server


def keyval(kind, server, pipeline):
    before = lib.cpu_ns(server.pid)
    command = pinned(1, [KEYVAL, kind, server.port, N, CONNECTIONS, pipeline, SECONDS])
    told = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=60).stdout
    commands = int(told.split()[0].split('=')[1])
    return (lib.cpu_ns(server.pid) - before) / commands / 1000, commands / SECONDS


def beats(bundle, *options):
    got = run.bench('beats', '-n', N, '-b', bundle, '--saturate', '--for', f'{SECONDS}s', *options,
                    *run.pins, *conductor.where)
    return got['server_cpu_us_per_beat'], got['beats_per_s']


conductor = lib.Conductor(run)
redis = serve('redis-server', ['redis-server', '--port', str(lib.free_port()), '--bind', '127.0.0.1',
                               '--save', '', '--appendonly', 'no'])
memcached = serve('memcached', ['memcached', '-p', str(lib.free_port()), '-l', '127.0.0.1', '-m', '256',
                                '-t', '1', *(['-u', 'memcache'] if os.geteuid() == 0 else [])])
rounds = []
for _ in range(run.rounds):
    rounds.append({
        'Redis SET EX, one by one': keyval('redis', redis, 1),
        'memcached set, one by one': keyval('memcached', memcached, 1),
        'muster, lone beats, no ack wanted': beats(1, '--no-acks'),
        'muster, lone beats, acked': beats(1),
        'Redis SET EX, by 100': keyval('redis', redis, 100),
        'memcached set, by 100': keyval('memcached', memcached, 100),
        'muster, bundles of 100, acked': beats(100),
    })


def times(name, other):
    return statistics.median(r[other][0] / r[name][0] for r in rounds)


for name in rounds[0]:
    cost, rate = (statistics.median(r[name][i] for r in rounds) for i in (0, 1))
    run.row(f'{name}: server CPU', f'{cost:.3f} us', f'at {rate:,.0f}/s')
for name, other, least in (
        ('muster, lone beats, no ack wanted', 'Redis SET EX, one by one', 5),
        ('muster, lone beats, acked', 'Redis SET EX, one by one', None),
        ('muster, lone beats, acked', 'memcached set, one by one', None),
        ('muster, bundles of 100, acked', 'Redis SET EX, by 100', 5),
        ('muster, bundles of 100, acked', 'memcached set, by 100', None)):
    run.row(f'{name}: CPU of {other}', f'{times(name, other):.1f} times',
            f'>= {least} times' if least else '', times(name, other) >= least if least else None)
run.end()
