"""libmuster, by a program that uses it (lib_agent.c), against a real conductor."""

import os
import signal
import subprocess
import threading
import unittest

from lib import tap, wait
from lib.conductor import Conductor

LIB_AGENT = os.environ['LIB_AGENT']


class LibAgent:
    """One such program. Lines that it was not asked for are .notices."""

    def __init__(self, *args):
        self.process = subprocess.Popen([LIB_AGENT, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.notices, self.answers = [], []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith('notice '):
                self.notices.append(line.split()[1])
            else:
                self.answers.append(line.strip())

    def ask(self, line):
        self.answers.clear()
        self.process.stdin.write(line + '\n')
        wait.until(lambda: self.answers, f'an answer to "{line}"')
        return self.answers[0]

    def lease(self):
        return self.ask('lease').split()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Lib(unittest.TestCase):
    def setUp(self):
        self.c = Conductor()
        self.addCleanup(self.c.clean)
        self.c.start()
        self.address = f'muster://127.0.0.1:{self.c.agents_port}'

    def agent(self, *args):
        agent = LibAgent(*args)
        self.addCleanup(agent.__exit__)
        return agent

    def await_state(self, name, state):
        wait.until(lambda: self.c.states().get(name) == state, lambda: f'{name} {state}: {self.c.states()}')

    def await_notice(self, agent, notice):
        wait.until(lambda: notice in agent.notices, lambda: f'{notice} among {agent.notices}')

    def life(self, mode):
        a = self.agent(self.address, 'lib', mode)
        self.await_state('lib@h', 'up')
        self.assertEqual(a.lease(), 'held')
        self.assertIn('interval_ms=1000', a.ask('lease'))
        self.assertIn('uuid=' + self.c.agents()['lib@h']['uuid'], a.ask('lease'))
        self.assertEqual(a.ask('report {"load": 0.5}'), '0')
        wait.until(lambda: b'0.5' in self.c.web.get('/v1/agents/lib@h/payload').text.encode(), 'the report')
        self.assertEqual(a.ask('leave 5000'), '0')
        self.assertEqual(a.lease(), 'left')
        self.assertEqual(self.c.states()['lib@h'], 'left')
        self.assertEqual(a.ask('report {}'), '-20')
        self.assertEqual(a.notices, ['joined'])

    def test_a_thread_lives_and_leaves(self):
        self.life('thread')

    def test_a_loop_lives_and_leaves(self):
        self.life('loop')

    def test_a_manual_agent_beats_when_told(self):
        a = self.agent(self.address, 'lib', 'manual')
        self.await_state('lib@h', 'up')
        beats = self.c.agents()['lib@h']['report_count']
        for _ in range(3):
            self.assertEqual(a.ask('beat'), '0')
        wait.until(lambda: self.c.agents()['lib@h']['report_count'] > beats, 'a beat')
        self.await_state('lib@h', 'down')  # nobody says anything any more

    def test_a_killed_program_is_suspect_at_once_and_down_on_time(self):
        a = self.agent(self.address, 'lib', 'thread')
        self.await_state('lib@h', 'up')
        a.process.kill()
        self.await_state('lib@h', 'down')
        moves = [(e['to'], e['reason']) for e in self.c.events(kind='state') if e['agent'] == 'lib@h']
        self.assertEqual(moves[-2:], [('suspect', 'stream closed'), ('down', 'silence')])

    def test_a_conductors_death_is_told_once_and_so_is_its_return(self):
        agents = [self.agent(self.address, 'lib-' + mode, mode) for mode in ('thread', 'loop')]
        for name in ('lib-thread@h', 'lib-loop@h'):
            self.await_state(name, 'up')
        before = {n: a['uuid'] for n, a in self.c.agents().items()}
        self.c.kill()
        for a in agents:
            self.await_notice(a, 'lost')
            self.assertEqual(a.lease(), 'expired')
        self.c.start()
        for a in agents:
            self.await_notice(a, 'recovered')
            self.assertEqual(a.lease(), 'held')
            self.assertEqual(a.notices, ['joined', 'lost', 'recovered'])
        for name in before:
            self.await_state(name, 'up')
        self.assertEqual({n: a['uuid'] for n, a in self.c.agents().items()}, before)
        self.assertEqual(self.c.downs(), [])

    def test_it_starts_before_the_conductor(self):
        self.c.kill()
        a = self.agent(self.address, 'lib', 'thread')
        self.assertEqual(a.lease(), 'none')
        self.c.start()
        self.await_state('lib@h', 'up')

    def test_a_forked_child_is_refused_and_the_parent_goes_on(self):
        for mode in ('thread', 'loop'):
            a = self.agent(self.address, mode, mode)
            self.await_state(f'{mode}@h', 'up')
            self.assertEqual(a.ask('fork'), 'all refused')
            beats = self.c.agents()[f'{mode}@h']['report_count']
            wait.until(lambda: self.c.agents()[f'{mode}@h']['report_count'] > beats + 1, 'beats')
            moves = [e['to'] for e in self.c.events(kind='state') if e['agent'] == f'{mode}@h']
            self.assertEqual([m for m in moves if m != 'up'], [])

    def test_nothing_leaks_into_other_programs_and_no_signal_into_its_thread(self):
        a = self.agent(self.address, 'lib', 'thread')
        wait.until(lambda: 'beats=0' not in a.ask('lease'), 'the first beat')
        self.assertEqual(a.ask('descriptors'), '0 of 4')
        if not wait.SANITIZED:  # a sanitizer may have threads of its own
            # all but SIGKILL, SIGSTOP and the two that the C library keeps for itself
            self.assertEqual(a.ask('masks'), 'masks fffffffe7ffbfeff')

    def test_addresses_are_tried_in_turn(self):
        self.agent(f'127.0.0.1:1,{self.address}', 'lib', 'thread')
        self.await_state('lib@h', 'up')

    def test_a_unix_socket_carries_beats_too(self):
        path = os.path.join(self.c.folder, 'sock')
        self.c.stop()
        self.c.args = ['--listen', path]
        self.c.start()
        a = self.agent(path, 'lib', 'loop')
        self.await_state('lib@h', 'up')
        wait.until(lambda: self.c.agents()['lib@h']['report_count'] > 3, 'beats')
        self.c.kill()
        self.await_notice(a, 'lost')
        self.c.start()
        self.await_notice(a, 'recovered')
        self.assertEqual(a.ask('leave 5000'), '0')
        self.assertEqual(self.c.downs(), [])

    def test_names_are_resolved_by_the_thread(self):
        self.agent(f'no-such-host.invalid:4680,localhost:{self.c.agents_port}', 'lib', 'thread', 'later')
        self.await_state('lib@h', 'up')

    def test_a_newer_process_takes_the_name(self):
        old = self.agent(self.address, 'lib', 'thread')
        self.await_state('lib@h', 'up')
        new = self.agent(self.address, 'lib', 'thread')
        self.await_notice(old, 'superseded')
        self.assertEqual(old.lease(), 'superseded')
        self.assertEqual(old.ask('report {}'), '-18')
        self.assertEqual(old.ask('leave 1000'), '0')
        self.assertEqual(new.lease(), 'held')
        self.assertEqual(self.c.states()['lib@h'], 'up')

    def test_a_stopped_conductor_loses_nobody(self):
        a = self.agent(self.address, 'lib', 'thread')
        self.await_state('lib@h', 'up')
        self.c.signal(signal.SIGSTOP)
        self.await_notice(a, 'lost')
        self.c.signal(signal.SIGCONT)
        self.await_notice(a, 'recovered')
        self.assertEqual(self.c.downs(), [])

    def test_what_it_is_begun_with_stays(self):
        a = self.agent(self.address, 'lib', 'thread')
        self.assertEqual(a.ask('again'), '-5 -5')
        self.assertEqual(a.ask('step'), '-7')

    def test_options_that_cannot_be_are_refused(self):
        got = subprocess.run([LIB_AGENT], capture_output=True, text=True, timeout=60)
        self.assertEqual(got.stdout.split(), ['-2'] * 10 + ['-3', '-3', '-6', '-2'])
        self.assertEqual(got.returncode, 0)


if __name__ == '__main__':
    tap.main()
