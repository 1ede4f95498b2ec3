#!/usr/bin/env python3
"""`muster agent` beside a real conductor: what each of its ends is called, and how soon."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from lib import tap, wait
from lib.conductor import Conductor, has_ipv6, muster
from lib.program import Program
from lib.wait import SANITIZED
from lib.web import Web

SOON = 5.0 if SANITIZED else 0.2     # what a watched end may take to be known
SUSPECT = 5.0 if SANITIZED else 0.1  # what the end of a stream may take
DOWN = 3.0
SLACK = 5.0 if SANITIZED else 0.5


class Case(unittest.TestCase):
    def setUp(self):
        self.c = Conductor()
        self.addCleanup(self.c.clean)
        self.c.start()

    def agent(self, *args, **kwargs):
        program = Program('agent', *args, port=self.c.agents_port, **kwargs)
        self.addCleanup(program.__exit__)
        return program

    def state(self, name):
        return self.c.states().get(name)

    def await_state(self, name, state, patience=wait.PATIENCE):
        wait.until(lambda: self.state(name) == state, lambda: f'{name} {state}: {self.c.states()}',
                   patience, pause=0.005)

    def event(self, name, to):
        """The first event that tells of @name as @to."""
        return wait.until(lambda: [e for e in self.c.events(kind='state')
                                   if e['agent'] == name and e['to'] == to],
                          lambda: f'{name} {to}: {self.c.events()}', pause=0.005)[0]


class Ends(Case):
    def test_sigkill_is_suspect_at_once_and_down_on_time(self):
        agent = self.agent('--name', 'a@h', '--interval', '1s')
        self.await_state('a@h', 'up')
        agent.kill()
        died = time.monotonic()
        self.event('a@h', 'suspect')
        self.assertLess(time.monotonic() - died, SUSPECT + 0.05)  # we look every few ms
        event = self.event('a@h', 'down')
        self.assertLess(time.monotonic() - died, DOWN + SLACK)
        self.assertEqual(event['reason'], 'silence')
        self.assertGreaterEqual(event['detail']['silence_ms'], DOWN * 1000)

    def test_told_to_stop_is_left(self):
        for signum in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signum=signum):
                name = f'a{int(signum)}@h'
                agent = self.agent('--name', name)
                self.await_state(name, 'up')
                agent.signal(signum)
                self.assertEqual(agent.wait(), 0)
                self.assertEqual(self.state(name), 'left')
        self.assertEqual(self.c.downs(), [])

    def test_a_log_that_nobody_reads_is_no_death(self):
        reader, writer = os.pipe()
        os.close(reader)
        agent = self.agent('--name', 'a@h', '--interval', '1s', stderr=writer)
        os.close(writer)
        self.await_state('a@h', 'up')  # which it has told of
        beats = self.c.agents()['a@h']['report_count']
        wait.until(lambda: self.c.agents()['a@h']['report_count'] > beats + 1, 'beats after that')
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.state('a@h'), 'left')

    def test_what_it_is_told_is_what_the_conductor_knows(self):
        self.agent('--name', 'a@h', '--interval', '500ms', '--zone', 'z1', '--label', 'rack=r3',
                   '--label', 'switch=s=1')
        self.await_state('a@h', 'up')
        agent = self.c.agents()['a@h']
        self.assertEqual(agent['zone'], 'z1')
        self.assertEqual(agent['labels'], {'rack': 'r3', 'switch': 's=1'})
        self.assertEqual(agent['report_interval_s'], 0.5)

    def test_without_a_host_it_is_of_this_machine(self):
        self.agent('--name', 'lone')
        self.await_state(f'lone@{socket.gethostname()}', 'up')


class Command(Case):
    def run_to_end(self, name, script):
        agent = self.agent('--name', name, '--', 'sh', '-c', 'read line; ' + script,
                           stdin=subprocess.PIPE)
        self.await_state(name, 'up')
        agent.process.stdin.write(b'\n')
        agent.process.stdin.close()
        ended = time.monotonic()
        event = self.event(name, 'down')
        self.assertLess(time.monotonic() - ended, SOON + 0.05)
        return agent, event

    def test_exit_is_down_at_once_with_its_status(self):
        for status in (0, 3):
            with self.subTest(status=status):
                agent, event = self.run_to_end(f'a{status}@h', f'exit {status}')
                self.assertEqual(event['reason'], 'exited')
                self.assertEqual(event['detail']['exit_status'], status)
                self.assertEqual(agent.wait(), status)

    def test_signal_is_down_at_once_with_its_number(self):
        agent, event = self.run_to_end('a@h', 'kill -9 $$')
        self.assertEqual(event['reason'], 'killed')
        self.assertEqual(event['detail']['signal'], 9)
        self.assertEqual(agent.wait(), 128 + 9)

    def test_explain_leaves_no_fact_blank(self):
        self.run_to_end('a@h', 'exit 1')
        said = muster('explain', 'a@h', '--conductor', f'http://127.0.0.1:{self.c.http_port}').stdout
        facts = [line for line in said.splitlines() if line.startswith('  ')]
        self.assertTrue(facts)
        for line in facts:
            self.assertRegex(line, r'^  (- |[^ ].*  +[^ ])')

    def test_death_in_the_first_moment_is_told_too(self):
        for i in range(5):
            self.agent('--name', f'a{i}@h', '--', 'sh', '-c', 'exit 3').wait()
            self.assertEqual(self.event(f'a{i}@h', 'down')['detail']['exit_status'], 3)

    def test_told_to_stop_passes_it_on_and_has_left(self):
        agent = self.agent('--name', 'a@h', '--', 'sh', '-c',
                           'trap "echo stopping; exit 7" TERM; echo ready; while :; do sleep 0.05; done')
        self.assertEqual(agent.process.stdout.readline(), b'ready\n')
        self.await_state('a@h', 'up')
        self.assertEqual(agent.stop(), 7)
        self.assertEqual(agent.process.stdout.read(), b'stopping\n')
        self.assertEqual(self.state('a@h'), 'left')

    def test_a_reload_that_is_passed_on_is_no_stop(self):
        agent = self.agent('--name', 'a@h', '--', 'sh', '-c',
                           'trap "echo reload" HUP; echo ready; read line; exit 4',
                           stdin=subprocess.PIPE)
        self.assertEqual(agent.process.stdout.readline(), b'ready\n')
        self.await_state('a@h', 'up')
        agent.signal(signal.SIGHUP)
        self.assertEqual(agent.process.stdout.readline(), b'reload\n')
        agent.process.stdin.close()
        agent.wait()
        self.assertEqual(self.event('a@h', 'down')['reason'], 'exited')

    def test_a_second_term_kills_what_does_not_end(self):
        agent = self.agent('--name', 'a@h', '--', 'sh', '-c',
                           'trap "echo term" TERM; echo ready; while :; do sleep 0.05; done')
        self.assertEqual(agent.process.stdout.readline(), b'ready\n')
        self.await_state('a@h', 'up')
        for _ in range(2):  # near each other they are one
            agent.signal(signal.SIGTERM)
            self.assertEqual(agent.process.stdout.readline(), b'term\n')
        wait.until(lambda: 'command killed' in agent.log() or agent.signal(signal.SIGTERM), agent.log,
                   pause=0.2)  # what counts is the time between them
        self.assertEqual(agent.wait(), 128 + 9)
        self.assertEqual(self.state('a@h'), 'left')

    def test_command_does_not_outlive_its_agent(self):
        agent = self.agent('--name', 'a@h', '--', 'sh', '-c', 'echo $$; exec sleep 1000')
        pid = int(agent.process.stdout.readline())
        agent.kill()
        wait.until(lambda: not os.path.exists(f'/proc/{pid}') or
                   open(f'/proc/{pid}/stat', encoding='ascii').read().split()[2] == 'Z',
                   'the end of the command')

    def test_input_and_output_are_the_commands(self):
        agent = self.agent('--name', 'a@h', '--', 'cat', stdin=subprocess.PIPE)
        out, _ = agent.process.communicate(b'through\n', timeout=20)
        self.assertEqual(out, b'through\n')
        self.assertEqual(agent.process.returncode, 0)

    def test_what_cannot_be_run_is_told_as_a_shell_does(self):
        for command, code in (('/nonexistent', 127), ('/etc/passwd', 126)):
            r = muster('agent', '--name', 'a@h', '--', command)
            self.assertEqual(r.returncode, code, r.stderr)
            self.assertIn(command, r.stderr)
        self.assertEqual(self.c.states(), {})


class Process(Case):
    def test_end_of_a_foreign_process_is_down_status_unknown(self):
        with subprocess.Popen(['sleep', '1000']) as sleep:
            agent = self.agent('--name', 'a@h', '--pid', str(sleep.pid))
            self.await_state('a@h', 'up')
            sleep.kill()
            ended = time.monotonic()
            event = self.event('a@h', 'down')
            self.assertLess(time.monotonic() - ended, SOON + 0.05)
        self.assertEqual(event['reason'], 'ended, status unknown')
        self.assertEqual(agent.wait(), 0)

    def test_process_that_is_none_is_an_error(self):
        with subprocess.Popen(['true']) as done:
            done.wait()
        r = muster('agent', '--name', 'a@h', '--pid', str(done.pid))
        self.assertEqual(r.returncode, 1)
        self.assertIn(f'process {done.pid}', r.stderr)


class Away(Case):
    def test_conductor_may_be_absent_at_the_start(self):
        self.assertEqual(self.c.stop(), 0)
        agent = self.agent('--name', 'a@h', '--interval', '100ms')
        wait.until(lambda: 'conductor lost' in agent.log(), agent.log)  # it tries in vain
        self.c.start()
        self.await_state('a@h', 'up')

    def test_a_conductor_that_was_never_there_is_named_once(self):
        with socket.socket() as taken:  # bound, so that nobody else listens there
            taken.bind(('127.0.0.1', 0))
            place = f'127.0.0.1:{taken.getsockname()[1]}'
            agent = self.agent('--name', 'a@h', '--interval', '100ms', '--conductor', place)
            wait.until(lambda: 'conductor lost' in agent.log(), agent.log)
            first = agent.log().splitlines()[0]
            self.assertEqual(first, f'warn agent: no conductor there yet, trying on conductor={place}')
            self.assertEqual(agent.log().count(place), 1)

    def test_what_does_not_speak_muster_is_named_once(self):
        with socket.create_server(('127.0.0.1', 0)) as silent:
            for port in self.c.http_port, silent.getsockname()[1]:
                with self.subTest(port=port):
                    agent = self.agent('--name', 'a@h', '--interval', '2s', '--conductor', f'127.0.0.1:{port}')
                    wait.until(lambda: 'conductor lost' in agent.log(), agent.log)
                    self.assertEqual(agent.log().splitlines()[0], 'warn agent: no answer of a conductor there yet; is it'
                                     f' another port? trying on conductor=127.0.0.1:{port}')
                    self.assertEqual(agent.log().count('another port'), 1)

    def test_an_end_that_no_conductor_has_heard_is_told_in_one_line(self):
        with socket.create_server(('127.0.0.1', 0)) as silent:
            place = f'127.0.0.1:{silent.getsockname()[1]}'
            agent = self.agent('--name', 'a@h', '--conductor', place, '--', 'sleep', '3')
            self.assertEqual(agent.wait(), 0)  # the 4 s of a silent one pass while the last word waits
            self.assertEqual(agent.log().splitlines(),
                             ['info agent: command ended agent=a@h status=0',
                              'warn agent: the conductor was not told of the end agent=a@h why="no answer of a '
                              f'conductor at {place}; is it another port?"'])

    def test_an_end_for_which_a_conductor_had_no_room_says_so(self):
        self.c.stop()
        self.c.set_config(Conductor.TIMES + '[conductor]\nmax_agents = 1\n')
        self.c.start()
        self.agent('--name', 'a@h')
        self.await_state('a@h', 'up')
        agent = self.agent('--name', 'b@h', '--', 'true')
        agent.wait()
        self.assertRegex(agent.log(), 'not told of the end agent=b@h why=.*max_agents is reached; raise it')

    def test_a_full_conductor_is_told_at_once_with_the_cure(self):
        self.c.stop()
        self.c.set_config(Conductor.TIMES + '[conductor]\nmax_agents = 1\n')
        self.c.start()
        first = self.agent('--name', 'a@h')
        self.await_state('a@h', 'up')
        began = time.monotonic()
        second = self.agent('--name', 'b@h')  # its interval would be 10 s, and its patience 30 s
        wait.until(lambda: 'refused for now' in second.log(), second.log)
        self.assertLess(time.monotonic() - began, 10)
        self.assertIn('max_agents is reached; raise it', second.log())
        self.assertEqual(second.log().count('warn'), 1)
        self.assertNotIn('warn', first.log())

    def test_conductor_may_die_and_come_back(self):
        agent = self.agent('--name', 'a@h', '--interval', '1s')
        self.await_state('a@h', 'up')
        before = self.c.agents()['a@h']
        self.c.kill()
        self.c.start()
        self.await_state('a@h', 'up')
        after = self.c.agents()['a@h']
        self.assertEqual((after['uuid'], after['incarnation']), (before['uuid'], before['incarnation']))
        self.assertIsNone(agent.process.poll())
        self.assertEqual(self.c.downs(), [])

    def test_it_ends_soon_without_a_conductor(self):
        agent = self.agent('--name', 'a@h')
        self.await_state('a@h', 'up')
        self.c.kill()
        begun = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - begun, 3 + SLACK)

    @unittest.skipIf(SANITIZED, 'a sanitizer wants to be loaded first')
    def test_a_resolver_that_hangs_holds_up_no_end(self):
        agent = Program('agent', '--name', 'a@h', '--conductor', 'nowhere.invalid:1',
                        env={'LD_PRELOAD': os.environ['SLOW_RESOLVER']})
        self.addCleanup(agent.__exit__)
        wait.until(lambda: 'resolving' in agent.log(), agent.log)
        begun = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - begun, 3 + SLACK)

    def test_second_conductor_of_the_list_serves_when_the_first_is_away(self):
        with socket.socket() as nobody:
            nobody.bind(('127.0.0.1', 0))
            agent = Program('agent', '--name', 'a@h', '--conductor',
                            f'127.0.0.1:{nobody.getsockname()[1]},127.0.0.1:{self.c.agents_port}')
            self.addCleanup(agent.__exit__)
            self.await_state('a@h', 'up')

    def test_name_of_a_conductor_is_looked_up(self):
        agent = Program('agent', '--name', 'a@h', '--conductor', f'localhost:{self.c.agents_port}')
        self.addCleanup(agent.__exit__)
        self.await_state('a@h', 'up')


class Six(unittest.TestCase):
    """Everything by IPv6: joins, datagrams, the API, the tools, a second start."""

    @unittest.skipUnless(has_ipv6(), 'this machine has no IPv6')
    def test_loopback_of_ipv6_is_as_good(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder:
            c = Conductor(folder=folder)
            c.command = lambda: [word.replace('127.0.0.1', '[::1]') for word in Conductor.command(c)]
            self.addCleanup(c.clean)
            c.start()
            agent = Program('agent', '--name', 'a@h', '--interval', '300ms', '--conductor',
                            f'[::1]:{c.agents_port}')
            self.addCleanup(agent.__exit__)
            web = Web(c.http_port, host='::1')

            def tool(*args):
                return muster(*args, '--conductor', f'http://[::1]:{c.http_port}')

            wait.until(lambda: tool('is-up', 'a@h').returncode == 0, 'a@h up')
            wait.until(lambda: web.metric('muster_datagrams_total') > 2, 'datagrams')
            c.kill()
            c.start()
            wait.until(lambda: tool('is-up', 'a@h').returncode == 0, 'a@h up again')
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(tool('list', '-f', 'value', '-c', 'State').stdout, 'left\n')
            self.assertEqual(tool('disable', 'a@h', '--reason', 'six').returncode, 0)


class Token(unittest.TestCase):
    def test_who_has_the_token_is_taken_and_who_has_not_is_told(self):
        c = Conductor()
        self.addCleanup(c.clean)
        token = os.path.join(c.folder, 'token')
        with open(token, 'w', encoding='ascii', opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write('correct-horse\n')
        c.set_config(f'{Conductor.TIMES}[conductor]\ntoken_file = {token}\n')
        c.start()
        with Program('agent', '--name', 'a@h', '--token-file', token, port=c.agents_port), \
                Program('agent', '--name', 'b@h', port=c.agents_port) as without:
            wait.until(lambda: c.states().get('a@h') == 'up', lambda: c.states())
            self.assertNotEqual(without.wait(), 0)
            self.assertIn('token', without.log())
            self.assertNotIn('correct-horse', without.log() + c.log())
        self.assertNotIn('b@h', c.states())
        os.chmod(token, 0o644)
        r = muster('agent', '--name', 'a@h', '--token-file', token)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn('chmod 600', r.stderr)


class Usage(unittest.TestCase):
    def test_each_mistake_gets_one_line_and_code_2(self):
        for args, says in (((), '--name'),
                           (('--name', 'a/b'), 'a/b'),
                           (('--name', 'a@h', '--label', 'x'), 'KEY=VALUE'),
                           (('--name', 'a@h', '--label', 'x=1', '--label', 'x=2'), 'x=2'),
                           (('--name', 'a@h', '--label', 'x=a\nb'), 'U+000A'),
                           (('--name', 'a@h', '--zone', 'z' * 256), '--zone'),
                           (('--name', 'a@h', '--interval', 'soon'), 'soon'),
                           (('--name', 'a@h', '--interval', '11d'), '10d'),
                           (('--name', 'a@h', '--pid', '1', '--', 'true'), 'only one of'),
                           (('--relay', '/tmp/x', '--label', 'a=b'), '--name'),
                           (('--name', 'a@h', '--conductor', 'ftp://x:1'), 'ftp')):
            with self.subTest(args=args):
                r = muster('agent', *args)
                self.assertEqual(r.returncode, 2, r.stderr)
                self.assertIn(says, r.stderr)
                self.assertEqual(r.stderr.count('\n'), 1)


if __name__ == '__main__':
    tap.main()
