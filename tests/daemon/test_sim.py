#!/usr/bin/env python3
"""`muster sim` against a real conductor: what it did and what it heard must fit, both ways."""

import json
import os
import re
import signal
import tempfile
import unittest

from lib import tap, wait
from lib.conductor import SOAK, Conductor, muster
from lib.program import Program
from lib.wait import SANITIZED

SCENARIOS = os.path.join(os.path.dirname(__file__), '../sim')
DOWN = 3.0
N = 60 if SANITIZED else 200


class Sim(unittest.TestCase):
    def setUp(self):
        self.c = Conductor()
        self.addCleanup(self.c.clean)
        self.c.start()

    def sim(self, *args, code=0, agents=N, timeout=120):
        r = muster('sim', '--conductor', f'127.0.0.1:{self.c.agents_port}', '--http',
                   f'http://127.0.0.1:{self.c.http_port}', '--agents', str(agents), '--interval', '1s',
                   '--settle', '15s', '--seed', '7', '--json', *args, timeout=timeout)
        self.assertEqual(r.returncode, code, r.stderr)
        return json.loads(r.stdout)

    def play(self, name, *args, **kwargs):
        return self.sim('--scenario', os.path.join(SCENARIOS, name + '.scn'), *args, **kwargs)

    def check_times(self, report):
        if SANITIZED:
            return
        self.assertLess(report['silence']['p99_s'], DOWN + 0.15)
        self.assertLess(report['down_after']['max_s'], DOWN + 0.5)
        self.assertLess(report['suspect_after']['max_s'], 0.3)

    def test_each_death_is_found_in_time(self):
        report = self.play('deaths', '--for', '8s')
        self.assertEqual(report['deaths'], 12)
        self.assertEqual((report['found'], report['missed'], report['false_downs']), (12, 0, 0))
        self.assertEqual(report['injected']['kill'], 12)
        self.assertEqual(report['down_after']['n'], 12)
        self.check_times(report)

    def test_bad_weather_kills_nobody(self):
        report = self.play('weather', '--for', '12s')
        self.assertEqual((report['deaths'], report['false_downs'], report['excused_downs']), (0, 0, 0))
        self.assertEqual(report['heard']['down'], 0)
        self.assertEqual((report['leaves'], report['left']), (3, 3))

    def test_who_cannot_be_heard_is_down_and_up_again(self):
        report = self.play('silence', '--for', '10s')
        hushed = {e['agent'] for e in self.c.events(kind='state') if e['to'] == 'down'}
        self.assertEqual(report['excused_downs'], len(hushed))
        self.assertGreaterEqual(len(hushed), 20)
        again = {e['agent'] for e in self.c.events(kind='state') if e['to'] == 'up'}
        self.assertLessEqual(hushed, again)

    def test_a_death_that_is_not_told_of_is_missed(self):
        report = self.sim('--for', '1s', '--settle', '100ms', '--run', 'kill 2', code=1)
        self.assertEqual((report['found'], report['missed']), (0, 2))
        self.assertEqual(len(report['named']), 2)

    @unittest.skipUnless(SOAK, 'only in a soak')
    def test_ten_thousand_for_a_minute_with_a_hundred_deaths(self):
        report = self.sim('--for', '60s', '--run', 'at 10s kill 50; at 30s kill 50', agents=10000,
                          timeout=240)
        self.assertEqual((report['found'], report['missed'], report['false_downs']), (100, 0, 0))
        self.check_times(report)

    def test_steps_that_do_nothing_are_told(self):
        r = muster('sim', '--conductor', f'127.0.0.1:{self.c.agents_port}', '--http',
                   f'http://127.0.0.1:{self.c.http_port}', '-n', '5', '-i', '1s', '--for', '200ms',
                   '--run', 'partition zone=nowhere for 100ms; at 1h kill 1')
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn('partition 0 agents: none is as the step says', r.stderr)
        self.assertIn('kill at 1h will not happen: --for 200ms ends before', r.stderr)
        self.assertRegex(r.stdout, '(?m)^injected +nothing$')

    def test_same_seed_takes_the_same_agents(self):
        taken = []
        for _ in range(2):
            r = muster('sim', '--conductor', f'127.0.0.1:{self.c.agents_port}', '--http',
                       f'http://127.0.0.1:{self.c.http_port}', '-n', '20', '-i', '1s', '--for', '300ms',
                       '--seed', '5', '--run', 'restart 3')
            self.assertEqual(r.returncode, 0, r.stderr)
            taken.append(re.search('restart 3 agents: .*', r.stderr).group())
        self.assertEqual(*taken)

    def test_at_the_end_all_have_left(self):
        self.sim('--for', '500ms', agents=20)
        wait.until(lambda: set(self.c.states().values()) == {'left'}, self.c.states)
        self.assertEqual(len(self.c.states()), 20)

    def test_sigint_ends_it_early_and_all_leave(self):
        with Program('sim', '-n', '20', '-i', '1s', '--for', '1h', port=self.c.agents_port,
                     http=self.c.http_port) as sim:
            wait.until(lambda: 'joined' in sim.log(), sim.log)
            sim.signal(signal.SIGINT)
            self.assertEqual(sim.wait(), 0)
            self.assertIn(b'deaths', sim.process.stdout.read())
        self.assertEqual(set(self.c.states().values()), {'left'})

    def test_conductor_may_restart_meanwhile(self):
        with Program('sim', '-n', str(N), '-i', '1s', '--for', '8s', '--json', '--run', 'at 5s kill 3',
                     port=self.c.agents_port, http=self.c.http_port) as sim:
            wait.until(lambda: 'joined' in sim.log(), sim.log)
            self.c.kill()
            self.c.start()
            self.assertEqual(sim.wait(60), 0, sim.log())
            report = json.load(sim.process.stdout)
        self.assertEqual((report['found'], report['missed'], report['false_downs']), (3, 0, 0))


class Mistakes(unittest.TestCase):
    def test_scenario_is_told_by_file_and_line(self):
        with tempfile.NamedTemporaryFile('w', suffix='.scn') as file:
            file.write('# fine\nat 1s kill 3\nat 2s kil 3\n')
            file.flush()
            r = muster('sim', '--scenario', file.name)
            self.assertEqual(r.returncode, 2)
            self.assertIn(f"{file.name}:3: nothing is called 'kil'; did you mean 'kill'?", r.stderr)
            self.assertEqual(r.stderr.count('\n'), 1)

    def test_each_mistake_gets_one_line_and_code_2(self):
        for args, says in ((('--run', 'kill'), '--run:1'), (('--agents', '0'), '0'),
                           (('--agents', 'many'), 'many'), (('--for', '-1s'), '-1s'),
                           (('--scenario', '/nonexistent'), '/nonexistent'),
                           (('--conductor', '/run/x.sock'), '/run/x.sock')):
            with self.subTest(args=args):
                r = muster('sim', *args)
                self.assertEqual(r.returncode, 2, r.stderr)
                self.assertIn(says, r.stderr)
                self.assertEqual(r.stderr.count('\n'), 1)

    def test_without_a_conductor_it_is_code_5(self):
        r = muster('sim', '--conductor', '127.0.0.1:1', '--http', 'http://127.0.0.1:1', '--timeout', '2s')
        self.assertEqual(r.returncode, 5, r.stderr)


if __name__ == '__main__':
    tap.main()
