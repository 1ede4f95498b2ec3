#!/usr/bin/env python3
"""`muster bench`: its counts fit together and it leaves nothing behind. Speeds are not judged."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from lib import tap, wait
from lib.conductor import MUSTER, Conductor, Port, clean_env, muster
from lib.wait import SANITIZED

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../bench/run.py')
N = 60 if SANITIZED else 200
SPREAD = [f'ack_{mark}_us' for mark in ('p50', 'p90', 'p99', 'p999', 'max')]


class Bench(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix='muster-test-')
        self.addCleanup(self.tmp.cleanup)
        self.env = clean_env({'TMPDIR': self.tmp.name})

    def raw(self, *args, code=0):
        done = muster('bench', *args, timeout=120, env=self.env)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(os.listdir(self.tmp.name), [])
        return done

    def bench(self, *args):
        return json.loads(self.raw(*args, '--json').stdout)

    def check_beats(self, got, agents=N):
        self.assertEqual(got['agents'], agents)
        self.assertGreater(got['sent'], 0)
        self.assertEqual(got['sent'] + got['not_sent'], got['acked'] + got['unanswered'])
        self.assertEqual((got['not_sent'], got['gone'], got['drops']), (0, 0, 0))
        self.assertEqual(got['ack_n'], got['acked'])
        self.assertGreater(got['acked'], 0)
        self.assertEqual(sorted(got[key] for key in SPREAD), [got[key] for key in SPREAD])
        self.assertGreater(got['server_cpu_us_per_beat'], 0)
        self.assertGreater(got['server_memory_bytes'], 1000000)

    def test_beats_at_an_interval(self):
        got = self.bench('beats', '-n', str(N), '--interval', '500ms', '--for', '1s', '--warm', '0s')
        self.check_beats(got)
        if not SANITIZED:
            self.assertGreaterEqual(got['sent'], N)
            self.assertLessEqual(got['sent'], 5 * N)
        # Each ack was a beat that the conductor counted; some on their way are in one count only.
        self.assertGreaterEqual(got['beats_taken'], got['acked'] // 2)

    def test_beats_in_bundles_as_fast_as_acks_come(self):
        for flow in ((), ('--one-flow',)):
            got = self.bench('beats', '-n', str(N - 5), '-b', '10', '--saturate', '--outstanding', '4',
                             '--for', '500ms', '--warm', '100ms', *flow)
            self.check_beats(got, N)  # rounded up to whole bundles
            self.assertEqual(got['bundle'], 10)
            self.assertGreaterEqual(got['beats_taken'], 5 * got['acked'])

    def test_beats_over_streams(self):
        got = self.bench('beats', '-n', '40', '-b', '4', '--streams', '--saturate', '--for', '500ms')
        self.check_beats(got, 40)

    def test_beats_whose_acks_are_dropped(self):
        got = self.bench('beats', '-n', str(N), '--rate', '2000', '--no-acks', '--for', '500ms')
        self.assertEqual((got['acked'], got['unanswered'], got['ack_n']), (0, 0, 0))
        self.assertGreater(got['beats_taken'], 0)

    def test_a_storm_brings_all_back_without_a_join(self):
        got = self.bench('storm', '-n', str(N), '--interval', '500ms')
        self.assertEqual((got['agents'], got['gone'], got['down']), (N, 0, 0))
        self.assertGreaterEqual(got['resyncs'], N)
        self.assertGreater(got['back_s'], 0)
        self.assertGreater(got['ready_s'], 0)

    def test_a_storm_of_few_ends_too(self):
        got = self.bench('storm', '-n', '20', '--interval', '500ms')  # a turn each 25 ms
        self.assertEqual((got['back'], got['gone']), (20, 0))
        if not SANITIZED:
            self.assertLess(got['back_s'], 5)

    def test_a_figure_of_nothing_is_left_out(self):
        args = ('beats', '-n', '1', '--interval', '1h', '--for', '100ms', '--warm', '0s')
        got = self.bench(*args)
        self.assertEqual((got['sent'], got['ack_n']), (0, 0))
        self.assertFalse({'server_cpu_us_per_beat', 'ack_p50_us', 'load_cpu_us_per_beat'} & set(got))
        self.assertNotIn('us a beat', self.raw(*args).stdout)

    def test_readers_page_through_all(self):
        got = self.bench('api', '-n', str(N), '-b', '10', '--clients', '2', '--limit', '20', '--for', '1s')
        self.assertGreaterEqual(got['list_n'], 1)
        self.assertGreaterEqual(got['page_n'], got['list_n'] * N // 20)

    def test_the_core_in_process(self):
        got = self.bench('table', '-n', '2000')
        for key in ('beat_ns', 'first_beat_ns', 'sweep_us', 'find_ns', 'listed_ns', 'restore_ns'):
            self.assertGreater(got[key], 0, key)

    def test_a_store_is_left_as_it_was(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder:
            url = f'sqlite:{folder}/muster.db'
            for _ in range(2):
                got = self.bench('store', url, '-n', '500')
                self.assertEqual((got['rows'], got['loaded_rows']), (500, 500))
            status = muster('db', 'status', '--store', url)
            self.assertRegex(status.stdout, r'agents\s+0\b')
            self.assertRegex(status.stdout, r'events\s+0\b')

    def test_a_store_is_cleared_when_interrupted_too(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder:
            db = f'{folder}/muster.db'
            bench = subprocess.Popen([MUSTER, 'bench', 'store', f'sqlite:{db}', '-n', '60000', '--json'],
                                     stdin=subprocess.DEVNULL, env=self.env, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            self.addCleanup(bench.kill)
            wait.until(lambda: os.path.exists(db + '-wal') and os.path.getsize(db + '-wal') > 1000000,
                       'rows are written')
            bench.send_signal(signal.SIGINT)
            out, err = bench.communicate(timeout=wait.PATIENCE)
            self.assertEqual(bench.returncode, 128 + signal.SIGINT, err)
            self.assertNotIn('deaths_s', json.loads(out))  # not done, so not told
            status = muster('db', 'status', '--store', f'sqlite:{db}')
            self.assertRegex(status.stdout, r'agents\s+0\b')
            self.assertRegex(status.stdout, r'events\s+0\b')

    def test_a_store_in_use_is_left_alone(self):
        with Conductor() as c:
            c.stop()  # no agent, but the events of its life
            done = self.raw('store', c.store, '-n', '10', code=1)
            self.assertRegex(done.stderr, r'muster\.db has events: .*\n\Z')
            status = muster('db', 'status', '--store', c.store)
            self.assertNotRegex(status.stdout, r'events\s+0\b')

    def test_a_conductor_of_its_own_takes_no_database_that_has_agents(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder:
            url = f'sqlite:{folder}/muster.db'
            words = ('beats', '-n', '5', '-i', '1s', '--warm', '0s', '--for', '1s', '--store', url)
            self.bench(*words)
            self.assertEqual([name for name in os.listdir(folder) if 'secret' in name], [])
            done = self.raw(*words, code=2)
            self.assertRegex(done.stderr, r'--store sqlite:.*/muster\.db has agents: give a database that has none\n\Z')

    def test_who_fell_silent_is_told_and_found_down(self):
        with Conductor() as c, tempfile.NamedTemporaryFile('r') as killed:
            began = time.time()
            self.raw('beats', '-n', '50', '--interval', '1s', '--warm', '0s', '--for', '6s',
                     '--kill', '5@0s', '--kill', '20%@300ms', '--killed-file', killed.name,
                     '--conductor', f'127.0.0.1:{c.agents_port}',
                     '--http', f'127.0.0.1:{c.http_port}')
            last_beat = dict(line.split() for line in killed)
            names = set(last_beat)
            self.assertEqual(len(names), 5 + 9)
            for ms in last_beat.values():  # also of those who had no turn since they joined
                self.assertTrue(began - 1 < int(ms) / 1000 < time.time(), ms)
            down = {e['agent'] for e in c.events(kind='state') if e['to'] == 'down'}
            if SANITIZED:
                self.assertLessEqual(names, down)
            else:
                self.assertEqual(down, names)

    def test_agents_stay_with_a_conductor_that_is_not_its_own(self):
        with Conductor() as c:
            self.raw('beats', '-n', '30', '--for', '300ms', '--warm', '0s', '--conductor',
                     f'127.0.0.1:{c.agents_port}', '--http', f'127.0.0.1:{c.http_port}')
            self.assertEqual(c.web.get('/v1/summary').json['agents'], 30)

    def test_a_password_does_not_stay_among_the_arguments(self):
        bench = subprocess.Popen([MUSTER, 'bench', 'beats', '-n', '5', '--for', '1h', '--store',
                                  'memory://u:a-book-with-seven-seals@h'], stdin=subprocess.DEVNULL, env=self.env,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(bench.kill)
        self.assertIn('all agents have joined', bench.stderr.readline())
        with open(f'/proc/{bench.pid}/cmdline', encoding='utf-8') as file:
            arguments = file.read()
        self.assertIn('memory://u:***@h\0', arguments)
        self.assertNotIn('s@h', arguments)
        bench.send_signal(signal.SIGINT)
        bench.communicate(timeout=wait.PATIENCE)

    def test_an_interrupt_tells_what_was_measured(self):
        bench = subprocess.Popen([MUSTER, 'bench', 'beats', '-n', '20', '--interval', '200ms', '--for', '1h',
                                  '--warm', '0s', '--json'], stdin=subprocess.DEVNULL, env=self.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(bench.kill)
        self.assertIn('all agents have joined', bench.stderr.readline())
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=wait.PATIENCE)
        self.assertEqual(bench.returncode, 128 + signal.SIGINT, err)
        self.assertEqual(json.loads(out)['agents'], 20)
        self.assertEqual(os.listdir(self.tmp.name), [])

    def test_formats_have_the_same_figures(self):
        names, values = self.raw('table', '-n', '100', '--csv').stdout.splitlines()
        names, values = names.split(','), values.split(',')
        self.assertEqual(len(names), len(values))
        self.assertEqual((names[0], values[0]), ('what', 'table'))
        self.assertEqual(set(names), set(self.bench('table', '-n', '100')))
        self.assertRegex(self.raw('table', '-n', '100').stdout, r'\Atable: 100 agents, .* ns each\n\Z')

    def test_what_makes_no_sense_is_refused_by_name(self):
        for args, told in ((('speed',), 'speed'), (('store',), 'URL'), (('beats', 'x'), 'no URL'),
                           (('beats', '--kill', '5'), '--kill "5"'),
                           (('beats', '--kill', '120%@1s'), '120%@1s'),
                           (('beats', '--kill', '+5@1s'), '+5@1s'),
                           (('beats', '--kill', '1@2s', '--kill', '1@1s'), '1@1s'),
                           (('beats', '--bundle', '281'), '281'),
                           (('beats', '--streams', '--one-flow'), '--one-flow'),
                           (('beats', '--made-up'), '--conductor'),
                           (('storm', '--conductor', '127.0.0.1:1'), '--conductor'),
                           (('storm', '--streams'), '--streams'),
                           (('beats', '--conductor', '127.0.0.1:1', '--store', 'memory:'), '--store'),
                           (('storm', '--kill', '5@1s'), '--kill is not for storm'),
                           (('storm', '--saturate'), '--saturate is not for storm'),
                           (('table', '--streams'), '--streams is not for table'),
                           (('table', '--store', 'memory:'), '--store is not for table'),
                           (('store', 'memory:', '--pid', '1'), '--pid is not for store'),
                           (('beats', '--clients', '2'), '--clients is not for beats'),
                           (('api', '--outstanding', '2'), '--outstanding is not for api'),
                           (('beats', '--outstanding', '2'), '--outstanding does nothing without --saturate'),
                           (('beats', '--killed-file', 'x'), '--killed-file does nothing without --kill'),
                           (('beats', '--http', '127.0.0.1:1'), '--http does nothing without --conductor'),
                           (('beats', '--conductor', '127.0.0.1:1', '--pid', 'x'), '--pid "x"'),
                           (('beats', '--kill', '5@11s'), '--kill "5@11s" comes too late: --warm 1s and --for 10s'),
                           (('beats', '--server-cpu', '1024'), '--server-cpu "1024" is no whole number from 0 to'),
                           (('beats', '--for', '25h'), '--for "25h" is not from 100ms to 1d'),
                           (('beats', '--interval', '1ms'), '--interval "1ms" is not from 100ms to 1h')):
            done = self.raw(*args, code=2)
            self.assertIn(told, done.stderr)
            self.assertEqual(done.stderr.count('\n'), 1)

    def test_the_script_of_all_measurements_measures_nothing_it_does_not_know(self):
        for args, code, told in ((('--help',), 0, 'growth'), (('growht',), 2, '"growht": NAME is one of side'),
                                 (('growth', '--rows', '5'), 2, '--rows')):
            done = subprocess.run([sys.executable, RUN, *args], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=wait.PATIENCE, check=False, env=self.env)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(told, ' '.join((done.stdout + done.stderr).split()))

    def test_a_script_without_its_programs_names_the_cure(self):
        side = os.path.join(os.path.dirname(RUN), 'side.py')
        done = subprocess.run([sys.executable, side], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=wait.PATIENCE, check=False, env={**self.env, 'BUILD': self.tmp.name})
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r'\A.*/bench/bare is not built: ninja -C \S+ bench-programs\n\Z')

    def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(self):
        done = self.raw('beats', '-n', '5', '--for', '1h', '--kill', '1@1s', '--killed-file', '/dev/null/x',
                        code=6)
        self.assertIn('/dev/null/x', done.stderr)

    def test_the_conductor_says_why_it_refuses(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder:
            token = os.path.join(folder, 'token')
            with open(token, 'w', encoding='ascii', opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write('secret\n')
            with Conductor(f'{Conductor.TIMES}[conductor]\ntoken_file = {token}\n') as c:
                done = self.raw('beats', '-n', '5', '--conductor', f'127.0.0.1:{c.agents_port}',
                                '--http', f'127.0.0.1:{c.http_port}', code=6)
        self.assertRegex(done.stderr, r'a join was refused: \w.*\n\Z')

    def test_a_conductor_that_is_not_there(self):
        port = Port()
        self.addCleanup(port.close)
        done = self.raw('beats', '-n', '5', '--conductor', f'127.0.0.1:{port.number}',
                        '--http', f'127.0.0.1:{port.number}', code=5)
        self.assertRegex(done.stderr, rf'at 127\.0\.0\.1:{port.number}: .*--http.*\n\Z')
        self.assertEqual(done.stderr.count('\n'), 1)


if __name__ == '__main__':
    tap.main()
