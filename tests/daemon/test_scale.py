#!/usr/bin/env python3
"""Stalls, kills and restarts under a fleet: 2,000 agents here, 100,000 in the soak. Each lives by
datagrams alone, under a conductor that has not a stream for each of them."""

import os
import re
import signal
import subprocess
import time
import unittest

from lib import tap, wait
from lib.conductor import MUSTER, SOAK, Conductor, clean_env
from lib.wait import SANITIZED

AGENTS = 100000 if SOAK else 500 if SANITIZED else 2000
STOPS = (5, 30, 90) if SOAK else (10,)
INTERVAL, DOWN = (10, 60) if SOAK else (2, 8)
SLACK = 5.0 if SOAK or SANITIZED else 1.0
CONFIG = (f'[DEFAULT]\nreport_interval = {INTERVAL}s\nservice_down_time = {DOWN}s\n'
          '[conductor]\nmax_streams = 500\njoin_rate = 20000\n[log]\nlevel = warn\n')
JOINS = 300  # seconds that they may take


class Fleet:
    """`muster bench beats` beside @c, until it is ended. @kill: as its option says."""

    def __init__(self, c, kill=None):
        self.killed_file = os.path.join(c.folder, 'killed')
        self.told_file = os.path.join(c.folder, 'told')
        command = [MUSTER, 'bench', 'beats', '-n', str(AGENTS), '-i', f'{INTERVAL}s', '--for', '20m',
                   '--conductor', f'127.0.0.1:{c.agents_port}',
                   '--http', f'http://127.0.0.1:{c.http_port}', '--pid', str(c.process.pid)]
        if kill:
            command += ['--kill', kill, '--killed-file', self.killed_file]
        with open(self.told_file, 'wb') as told:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=told, env=clean_env())

    def told(self):
        with open(self.told_file, encoding='utf-8') as file:
            return file.read()

    def await_joined(self):
        wait.until(lambda: 'all agents have joined' in self.told(), self.told, patience=JOINS)

    def killed(self):
        """Name -> when it was heard last, in ms."""
        with open(self.killed_file, encoding='utf-8') as file:
            return {line.split()[0]: int(line.split()[1]) for line in file}

    def end(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def metric(c, name):
    found = re.search(rf'^{re.escape(name)} (\S+)$', c.web.get('/metrics').text, re.M)
    return float(found[1])


def shown(c, state):
    return c.web.get('/v1/summary').json['states'][state]


class Scale(unittest.TestCase):
    def assert_all_heard(self, c, patience):
        """Everybody is up and beats: an interval's beats of all come in."""
        wait.until(lambda: shown(c, 'up') == AGENTS, c.log, patience)
        before = metric(c, 'muster_beats_total')
        wait.until(lambda: metric(c, 'muster_beats_total') - before >= AGENTS, c.log, INTERVAL * 3 + SLACK)

    def test_a_stall_kills_nobody_and_hides_no_death(self):
        for seconds in STOPS:
            with self.subTest(seconds=seconds), Conductor(config=CONFIG) as c:
                self.one_stall(c, seconds)

    def one_stall(self, c, seconds):
        with Fleet(c, kill=f'50@{INTERVAL + 2}s') as fleet:
            fleet.await_joined()
            self.assert_all_heard(c, INTERVAL + SLACK)
            wait.until(lambda: 'fell silent' in fleet.told(), fleet.told, INTERVAL + 5 + SLACK)
            c.signal(signal.SIGSTOP)
            time.sleep(seconds)  # the stall itself
            c.signal(signal.SIGCONT)
            resumed = time.monotonic()
            killed = fleet.killed()
            self.assertEqual(len(killed), 50)
            wait.until(lambda: shown(c, 'down') >= len(killed), c.log, DOWN + SLACK + 1)
            self.assertLess(time.monotonic() - resumed, DOWN + SLACK + 1)
            wait.until(lambda: shown(c, 'up') == AGENTS - 50, c.log, INTERVAL + SLACK)
            self.assertEqual(c.downs(), sorted(killed))
            self.assertEqual(metric(c, 'muster_events_lost_total'), 0)

    def test_kills_and_restarts_lose_nobody(self):
        with Conductor(config=CONFIG) as c, Fleet(c) as fleet:
            fleet.await_joined()
            self.assert_all_heard(c, INTERVAL + SLACK)
            for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                c.signal(how)
                c.process.wait(20)
                c.start()
                self.assertEqual(c.web.get('/v1/summary').json['agents'], AGENTS)
                self.assert_all_heard(c, INTERVAL + 10 + SLACK)
                self.assertEqual(metric(c, 'muster_joins_total'), 0)  # of this life
            self.assertEqual(c.downs(), [])
            self.assertEqual(metric(c, 'muster_events_lost_total'), 0)


if __name__ == '__main__':
    tap.main()
