"""The command line against a real conductor: what it prints is what the API says, and exit codes
tell the truth; then the demo."""

import glob
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from urllib.parse import quote

from lib import tap, wait
from lib.conductor import MUSTER, Conductor, clean_env

NAMES = ['a@z', 'nova-compute@cmp-1', 'nova-compute@cmp-10', 'Open vSwitch agent@nét-1', 'x@"quoted", host']


class Case(unittest.TestCase):
    def setUp(self):
        self.conductor = Conductor()
        self.addCleanup(self.conductor.clean)
        self.conductor.start()
        self.children = []
        self.addCleanup(self.end_children)

    def end_children(self):
        for child in self.children:
            child.kill()
            child.communicate()

    @property
    def env(self):
        ports = self.conductor.http_port, self.conductor.agents_port
        return clean_env({'MUSTER_CONDUCTOR': 'http://127.0.0.1:%d,muster://127.0.0.1:%d' % ports})

    def muster(self, *args, code=0):
        result = subprocess.run([MUSTER, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=wait.PATIENCE * 2, env=self.env)
        self.assertEqual(result.returncode, code, f'{args}: {result.stdout}{result.stderr}')
        return result.stdout

    def start(self, *args):
        child = subprocess.Popen([MUSTER, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=self.env)
        self.children.append(child)
        return child

    def beat(self, name):
        answer = self.conductor.web.ask('PUT', f'/v1/agents/{quote(name, safe="@")}/beat?interval=60s')
        self.assertIn(answer.status, (200, 201), answer.text)


class SameAsTheApi(Case):
    def setUp(self):
        super().setUp()
        for name in NAMES:
            self.beat(name)

    @staticmethod
    def steady(agent):
        return {k: v for k, v in agent.items() if k not in ('age_s', 'last_seen_at')}

    def test_list_and_show(self):
        listed = json.loads(self.muster('list', '-f', 'json'))
        told = self.conductor.web.get('/v1/agents').json['agents']
        self.assertEqual([self.steady(a) for a in listed], [self.steady(a) for a in told])
        self.assertEqual(sorted(self.muster('list', '-q').split('\n')[:-1]), sorted(NAMES))
        for name in NAMES:
            shown = json.loads(self.muster('show', name, '-f', 'json'))
            self.assertIn(self.steady(shown), [self.steady(a) for a in told])

    def test_summary(self):
        told = self.conductor.web.get('/v1/summary').json
        counted = json.loads(self.muster('summary', '-f', 'json'))
        self.assertEqual(counted | {'as_of': None}, told | {'as_of': None})
        self.assertEqual(self.muster('summary', '-f', 'value', '-c', 'agents', '--filter', 'binary=nova-compute'), '2\n')

    def test_events_and_explain(self):
        told = self.conductor.web.get('/v1/events').json['events']
        self.assertEqual(json.loads(self.muster('events', '-f', 'json')), told)
        self.assertEqual(json.loads(self.muster('events', '--since', '0', '-f', 'json')), told)
        explained = json.loads(self.muster('explain', NAMES[1], '-f', 'json'))
        self.assertEqual(set(explained), set(self.conductor.web.get(f'/v1/agents/{NAMES[1]}/explain').json))
        self.assertTrue(self.muster('explain', NAMES[1]).startswith(f'+ {NAMES[1]} is up'))

    def test_filters_are_the_conductor_s_too(self):
        self.assertEqual(self.muster('list', '-q', '--filter', 'host=cmp-1'), 'nova-compute@cmp-1\n')
        self.assertEqual(self.muster('list', '-q', '--filter', 'binary=nova*', '--filter', 'state=up'),
                         'nova-compute@cmp-1\nnova-compute@cmp-10\n')
        self.muster('list', '--filter', 'state=down,left', code=4)
        self.muster('list', '--filter', 'state=dead', code=2)

    def test_beginnings_of_names(self):
        self.assertEqual(self.muster('show', 'Open', '-f', 'name'), 'Open vSwitch agent@nét-1\n')
        self.assertEqual(self.muster('show', 'cmp-10', '-f', 'name'), 'nova-compute@cmp-10\n')
        self.muster('show', 'nova', code=4)
        self.muster('is-up', 'nova-compute@cmp', code=4)

    def test_operators_words(self):
        name = NAMES[4]
        self.muster('disable', '--reason', 'é "x"', name)
        self.muster('force-down', name)
        agent = json.loads(self.muster('show', name, '-f', 'json'))
        self.assertEqual((agent['status'], agent['disabled_reason'], agent['state'], agent['forced_down']),
                         ('disabled', 'é "x"', 'down', True))
        self.muster('is-up', name, code=3)
        self.muster('wait', '--for', 'down', name)
        self.muster('force-down', '--undo', name)
        self.muster('enable', agent['uuid'])
        agent = json.loads(self.muster('show', name, '-f', 'json'))
        self.assertEqual((agent['status'], agent['disabled_reason'], agent['state'], agent['forced_down']),
                         ('enabled', None, 'up', False))
        self.muster('disable', '--reason', 'x' * 256, name, code=2)
        self.muster('delete', name)
        self.muster('delete', name, code=4)
        self.muster('wait', '--for', 'gone', name)


class Following(Case):
    def test_a_life_is_waited_for(self):
        waiting = self.start('wait', '--for', 'up', 'job@here', '--timeout', '30s')
        agent = self.start('agent', '--name', 'job@here', '--interval', '1s')
        self.assertEqual(waiting.wait(wait.PATIENCE), 0, waiting.stderr.read())
        self.muster('is-up', 'job@here')
        self.muster('wait', '--for', 'down', 'job@here', '--timeout', '200ms', code=7)
        waiting = self.start('wait', '--for', 'down', 'job@here', '--timeout', '30s')
        agent.kill()
        self.assertEqual(waiting.wait(wait.PATIENCE), 0, waiting.stderr.read())
        self.muster('is-up', 'job@here', code=3)

    def test_no_event_is_lost_or_repeated_across_a_kill(self):
        watching = self.start('events', '-w', '-f', 'json', '--since', '0', '--filter', 'kind=joined')
        patience = threading.Timer(wait.PATIENCE * 2, watching.kill)
        patience.start()
        seen = []
        for round_ in range(3):
            for k in range(5):
                self.beat(f'job@{round_}-{k}')
            while len(seen) < 5 * (round_ + 1):
                line = watching.stdout.readline()
                self.assertTrue(line, watching.stderr.read() if not line else '')
                seen.append(json.loads(line))
            if round_ < 2:
                self.conductor.kill()
                self.conductor.start()
        patience.cancel()
        self.assertEqual([e['agent'] for e in seen], [f'job@{r}-{k}' for r in range(3) for k in range(5)])
        self.assertEqual(len({e['seq'] for e in seen}), 15)

    def test_events_go_on_with_another_store(self):
        for k in range(5):
            self.beat(f'job@{k}')
        watching = self.start('events', '-w', '-f', 'json', '--since', '0', '--filter', 'kind=joined')
        patience = threading.Timer(wait.PATIENCE * 2, watching.kill)
        patience.start()
        for _ in range(5):
            self.assertTrue(watching.stdout.readline())
        self.conductor.kill()
        for suffix in ('', '-wal', '-shm'):
            if os.path.exists(self.conductor.db + suffix):
                os.unlink(self.conductor.db + suffix)
        self.conductor.start()
        told = watching.stderr.readline()
        while 'another store' not in told:
            self.assertTrue(told)
            told = watching.stderr.readline()
        self.beat('new@here')
        self.assertEqual(json.loads(watching.stdout.readline())['agent'], 'new@here')
        patience.cancel()

    def test_wait_lives_through_a_restart(self):
        self.beat('job@here')
        waiting = self.start('wait', '-v', '--for', 'gone', 'job@here', '--timeout', '60s')
        for _ in range(2):  # it has marked the feed and seen the agent
            self.assertIn('200', waiting.stderr.readline())
        self.conductor.kill()
        self.conductor.start()
        self.assertIsNone(waiting.poll())
        self.muster('delete', 'job@here')
        self.assertEqual((waiting.wait(wait.PATIENCE), waiting.stdout.read()), (0, ''))

    def test_a_conductor_that_is_gone_is_5(self):
        self.conductor.kill()
        self.muster('list', code=5)


class Quick(unittest.TestCase):
    @unittest.skipIf(wait.SANITIZED, 'times mean nothing under a sanitizer')
    def test_help_comes_at_once(self):
        def once():
            began = time.monotonic()
            subprocess.run([MUSTER, 'list', '--help'], stdout=subprocess.DEVNULL, check=True)
            return time.monotonic() - began
        self.assertLess(min(once() for _ in range(10)), 0.05)


class Demo(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix='muster-test-')
        self.addCleanup(self.tmp.cleanup)

    def start(self, *args):
        return subprocess.Popen([MUSTER, 'demo', *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=clean_env({'TMPDIR': self.tmp.name}))

    def left(self):
        """Files that it left, and its processes: they have the folder on their command line."""
        running = []
        for path in glob.glob('/proc/[0-9]*/cmdline'):
            try:
                with open(path, 'rb') as file:
                    if self.tmp.name.encode() in file.read():
                        running.append(path)
            except OSError:
                pass  # it has just ended
        return os.listdir(self.tmp.name) + running

    def test_it_tells_three_deaths_and_leaves_nothing(self):
        with self.start() as demo:
            out, err = demo.communicate(timeout=wait.PATIENCE * 6)
        self.assertEqual((demo.returncode, err), (0, ''))
        self.assertEqual(out.count('! down '), 3, out)
        for part in ('Ready in', '200 agents', '$ muster explain nova-compute@', 'What would change it',
                     'was suspect: heard', 'Next, '):
            self.assertIn(part, out)
        self.assertEqual(self.left(), [])

    def test_a_reader_that_goes_away_ends_it_quietly(self):
        with self.start() as demo:
            while 'Ready in' not in demo.stdout.readline():
                self.assertIsNone(demo.poll())
            demo.stdout.close()
            self.assertEqual(demo.wait(wait.PATIENCE * 2), -signal.SIGPIPE)
            self.assertEqual(demo.stderr.read(), '')
        self.assertEqual(self.left(), [])

    def test_an_interrupt_leaves_nothing(self):
        with self.start('--keep') as demo:
            while 'Ready in' not in demo.stdout.readline():
                self.assertIsNone(demo.poll())
            self.assertNotEqual(self.left(), [])
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=wait.PATIENCE * 2)
        self.assertEqual(demo.returncode, 130)
        self.assertEqual(self.left(), [])


if __name__ == '__main__':
    tap.main()
