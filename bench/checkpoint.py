#!/usr/bin/env python3
"""What each database takes: a million rows and events written, checkpointed, read back; the loop's pauses meanwhile.

PostgreSQL and MariaDB are started for this run, with their defaults, on scratch folders. What is not
built in, or not installed, is left out and said so."""

import collections
import glob
import json
import os
import pwd
import shutil
import subprocess
import sys
import time

import lib

run = lib.Run(__doc__, rows={'type': int, 'help': 'how many [1000000]'})
N = run.options.rows or (20000 if run.quick else 1000000)
run.sizes(f'{N:,} rows')
PIECES = 'muster_store_checkpoint_seconds_count'
BOUNDS = {'SQLite': 1.5, 'PostgreSQL': 4, 'MariaDB': 8}  # s for a checkpoint of a million rows


def as_user(name):
    """A command's beginning that runs it as @name where we are root: servers refuse root."""
    return ['runuser', '-u', name, '--'] if os.geteuid() == 0 else []


def own_folder(name, user):
    path = os.path.join(run.folder, name)
    os.mkdir(path)
    if os.geteuid() == 0:
        os.chmod(run.folder, 0o755)
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)
    return path


def serve(what, command, folder, asked):
    """Starts a server and waits until it answers the command @asked, which is later than that it
    listens; where it ends the script does, and says why."""
    path = os.path.join(folder, 'log')
    with open(path, 'w', encoding='utf-8') as log:
        server = run.start(command, stderr=log, cwd='/')
    lib.until(lambda: server.poll() is not None or
              subprocess.run(asked, capture_output=True, timeout=60, check=False).returncode == 0,
              f'{what} answers')
    if server.poll() is not None:
        with open(path, encoding='utf-8', errors='replace') as log:
            sys.exit(f'{what} does not start: {log.read()[-2000:]}')


def sqlite(name):
    return f'sqlite:{run.folder}/{name}.db'


def postgresql():
    found = sorted(glob.glob('/usr/lib/postgresql/*/bin'))
    if not found:
        return None
    folder, port, user = own_folder('postgresql', 'postgres'), lib.free_port(), as_user('postgres')
    data = os.path.join(folder, 'data')
    lib.quietly([*user, found[-1] + '/initdb', '-D', data, '-A', 'trust', '-U', 'muster', '-E', 'UTF8',
                 '--no-locale'], cwd='/')
    serve('PostgreSQL', [*user, found[-1] + '/postgres', '-D', data, '-p', str(port), '-h', '127.0.0.1',
                         '-k', folder],
          folder, [found[-1] + '/pg_isready', '-h', '127.0.0.1', '-p', str(port), '-q'])

    def make(name):
        lib.quietly([found[-1] + '/psql', '-h', '127.0.0.1', '-p', str(port), '-U', 'muster', '-d', 'postgres',
                     '-c', f'CREATE DATABASE {name}'])
        return f'postgresql://muster@127.0.0.1:{port}/{name}'
    return make


def mariadb():
    server = shutil.which('mariadbd', path='/usr/sbin:/usr/local/sbin:' + os.environ['PATH'])
    if not server or not shutil.which('mariadb-install-db'):
        return None
    folder, port, user = own_folder('mariadb', 'mysql'), lib.free_port(), as_user('mysql')
    data, sock = os.path.join(folder, 'data'), os.path.join(folder, 'sock')
    client = ['mariadb', '--no-defaults', f'--socket={sock}', '-u', 'root']
    lib.quietly([*user, 'mariadb-install-db', '--no-defaults', f'--datadir={data}',
                 '--auth-root-authentication-method=normal'], cwd='/')
    serve('MariaDB', [*user, server, '--no-defaults', f'--datadir={data}', f'--port={port}',
                      '--bind-address=127.0.0.1', '--skip-name-resolve', f'--socket={sock}'],
          folder, [*client, '-e', 'SELECT 1'])
    lib.quietly([*client, '-e', "CREATE USER muster@'127.0.0.1' IDENTIFIED BY 'muster'; "
                 "GRANT ALL ON *.* TO muster@'127.0.0.1'"])

    def make(name):
        lib.quietly([*client, '-e', f'CREATE DATABASE {name}'])
        return f'mysql://muster:muster@127.0.0.1:{port}/{name}'
    return make


def known(url):
    """Whether this muster has the driver of @url."""
    done = subprocess.run([lib.MUSTER, 'db', 'status', '--store', url], capture_output=True, text=True,
                          timeout=60, check=False)
    return 'no such kind' not in done.stderr and 'the plugin' not in done.stderr


def pauses(url):
    """Turns of the loop while N agents beat, and what their acks took: {whether a checkpoint was being
    written: {upper bound in s: turns}}, p99 in ms."""
    conductor = lib.Conductor(run, store=url, more=f'max_agents = {2 * N}\ncheckpoint_interval = 5s\n'
                              'join_rate = 100000\n')
    load = run.start([lib.MUSTER, 'bench', 'beats', '-n', N, '-b', 280, '--warm', '0s', '--json',
                      '--for', '12s' if run.quick else '220s', *conductor.where],
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in load.stderr:
        if line.startswith('all agents have joined'):
            break
    turns = {True: collections.Counter(), False: collections.Counter()}
    before = conductor.metrics()
    while True:
        time.sleep(0.5)
        after = conductor.metrics()
        if load.poll() is not None:
            break  # with the load all streams have ended: a million agents are suspect at once
        writes = after[PIECES] > before[PIECES]
        turns[writes].update(lib.lags(before, after))
        before = after
    run.end_child(conductor.process)
    if load.returncode != 0:
        sys.exit('the load failed: ' + load.stderr.read())
    return turns, json.load(load.stdout)['ack_p99_us'] / 1000


def tell_pauses(what, turns, target):
    above = sum(n for bound, n in turns.items() if bound > 0.02)
    longest = max((bound for bound, n in turns.items() if n), default=0)
    run.row(f'{what}: turns above 20 ms; the longest',
            f'{above:.0f} of {sum(turns.values()):,.0f}; <= {longest * 1000:g} ms',
            '0; <= 20 ms' if target else '', above == 0 if target else None)


for what, maker in (('SQLite', lambda: sqlite), ('PostgreSQL', postgresql), ('MariaDB', mariadb)):
    make = maker()
    if not make:
        print(f'  {what} is not installed: left out')
        continue
    if not known(make('probe')):
        print(f'  {what} has no driver in this muster: left out')
        continue
    got = run.bench('store', make('fleet'), '-n', N)
    bound = BOUNDS[what]
    run.row(f'{what}: checkpoint of {N:,} rows', f'{got["checkpoint_s"]:.2f} s', f'< {bound} s',
            got['checkpoint_s'] < bound)
    for key, says in (('joins', 'first joins, an event each'), ('deaths', 'deaths, an event each'),
                      ('load', 'read back at a start'), ('delete', 'deleted')):
        run.row(f'{what}: {N:,} {says}', f'{got[key + "_s"]:.2f} s', f'{got[key + "_rows_per_s"]:,} rows/s')
    run.row(f'{what}: events trimmed, the longest slice of 1,000', f'{got["trim_slice_max_ms"]:.0f} ms')
    turns, ack = pauses(make('pauses'))
    tell_pauses(f'{what}, {N:,} agents: the loop beside a checkpoint', turns[True], True)
    tell_pauses('the same, beside none', turns[False], False)
    run.row(f'{what}: acks of beats meanwhile, p99', f'{ack:.1f} ms')
run.end()
