#!/usr/bin/env python3
"""`muster agent --relay`: local programs as agents, and what their ends are called."""

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

from lib import tap, wait
from lib.conductor import Conductor
from lib.program import Program
from lib.wait import SANITIZED

SOON = 5.0 if SANITIZED else 0.25


class Local:
    """A local program: a connection to the relay."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(wait.PATIENCE)
        self.sock.connect(path)
        self.file = self.sock.makefile('rb')

    def say(self, line):
        self.sock.sendall(line if isinstance(line, bytes) else line.encode() + b'\n')
        return self.file.readline().decode().rstrip('\n')

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Relay(unittest.TestCase):
    def setUp(self):
        self.c = Conductor()
        self.addCleanup(self.c.clean)
        self.c.start()
        self.folder = tempfile.TemporaryDirectory(prefix='muster-test-')
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, 'sock')
        self.relay = self.start_relay()

    def start_relay(self, *args):
        relay = Program('agent', '--relay', self.path, *args, port=self.c.agents_port)
        self.addCleanup(relay.__exit__)
        wait.until(lambda: self.connects(), relay.log)
        return relay

    def connects(self):
        try:
            with Local(self.path):
                return True
        except OSError:
            return False

    def local(self):
        local = Local(self.path)
        self.addCleanup(local.close)
        return local

    def await_state(self, name, state):
        wait.until(lambda: self.c.states().get(name) == state,
                   lambda: f'{name} {state}: {self.c.states()} {self.relay.log()}', pause=0.005)

    def streams(self):
        """The relay's open connections to the conductor: others may have one to a port of that number."""
        folder = f'/proc/{self.relay.pid}/fd'
        own = {os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)}
        with open('/proc/net/tcp', encoding='ascii') as file:
            rows = [line.split() for line in file.readlines()[1:]]
        return sum(row[2] == f'0100007F:{self.c.agents_port:04X}' and row[3] == '01' and
                   f'socket:[{row[9]}]' in own for row in rows)

    def reason(self, name):
        return self.c.agents()[name]['state_reason']

    def test_local_programs_are_agents_over_one_stream(self):
        programs = [self.local() for _ in range(5)]
        for i, program in enumerate(programs):
            self.assertEqual(program.say(f'beat a{i}@h interval=2s zone=z{i} label.rack=r{i}'), 'ok')
        for i in range(5):
            self.await_state(f'a{i}@h', 'up')
        agent = self.c.agents()['a3@h']
        self.assertEqual((agent['zone'], agent['labels']), ('z3', {'rack': 'r3'}))
        self.assertEqual(self.streams(), 1)

    def test_the_folder_says_who_may_connect(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o666)

    def test_name_without_a_host_is_of_this_machine(self):
        local = self.local()
        self.assertEqual(local.say('beat "Open vSwitch agent"'), 'ok')
        self.await_state(f'Open vSwitch agent@{socket.gethostname()}', 'up')

    def test_end_of_a_connection_is_down_at_once(self):
        local = self.local()
        local.say('beat a@h')
        self.await_state('a@h', 'up')
        local.close()
        ended = time.monotonic()
        self.await_state('a@h', 'down')
        self.assertLess(time.monotonic() - ended, SOON)
        self.assertEqual(self.reason('a@h'), 'ended, status unknown')

    def test_end_of_a_process_is_down_though_its_connection_lives_on(self):
        script = ('import socket, sys, os\n'
                  's = socket.socket(socket.AF_UNIX)\n'
                  's.connect(sys.argv[1])\n'
                  's.sendall(b"beat a@h\\n")\n'
                  's.recv(10)\n'
                  'if os.fork() == 0:\n'
                  '    print(os.getpid(), flush=True)\n'
                  '    sys.stdin.read()\n'  # the child keeps the connection
                  '    os._exit(0)\n'
                  'sys.stdin.readline()\n')
        with subprocess.Popen([sys.executable, '-c', script, self.path], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as program:
            program.stdout.readline()
            self.await_state('a@h', 'up')
            program.send_signal(signal.SIGKILL)
            self.await_state('a@h', 'down')
            self.assertEqual(self.reason('a@h'), 'ended, status unknown')
            program.stdin.close()

    def test_bye_is_left(self):
        local = self.local()
        local.say('beat a@h')
        self.await_state('a@h', 'up')
        self.assertEqual(local.say('bye a@h'), 'ok')
        self.await_state('a@h', 'left')

    def test_last_lines_count_though_the_program_has_ended(self):
        local = self.local()
        local.say('beat a@h')
        self.await_state('a@h', 'up')
        local.sock.sendall(b'bye a@h\n')
        local.close()
        self.await_state('a@h', 'left')
        self.assertEqual(self.c.downs(), [])

    def test_program_that_hangs_is_down_by_silence(self):
        local = self.local()
        local.say('beat a@h interval=1s')
        self.await_state('a@h', 'up')
        self.await_state('a@h', 'down')
        self.assertEqual(self.reason('a@h'), 'silence')
        self.assertEqual(local.say('beat a@h'), 'ok')
        self.await_state('a@h', 'up')

    def test_name_comes_back_after_its_end(self):
        for _ in range(3):
            with Local(self.path) as local:
                self.assertEqual(local.say('beat a@h'), 'ok')
                self.await_state('a@h', 'up')
        local = self.local()
        self.assertEqual(local.say('beat a@h'), 'ok')
        self.await_state('a@h', 'up')

    def test_program_whose_name_was_taken_is_told_and_leaves_it(self):
        local = self.local()
        self.assertEqual(local.say('beat a@h'), 'ok')
        self.await_state('a@h', 'up')
        with Program('agent', '--name', 'a@h', port=self.c.agents_port):
            wait.until(lambda: local.say('beat a@h') == 'error: a@h: the name was taken over by a newer process',
                       self.relay.log)
            taken = self.c.agents()['a@h']['incarnation']
            self.assertTrue(local.say('report a@h {}').startswith('error: a@h: the name was taken'))
            self.assertEqual(local.say('beat b@h'), 'ok')
            self.await_state('b@h', 'up')
            self.assertEqual(self.c.agents()['a@h']['incarnation'], taken)
            self.assertEqual(local.say('bye a@h'), 'ok')
            self.assertEqual(self.c.states()['a@h'], 'up')
        self.assertEqual(local.say('beat a@h'), 'ok')
        self.await_state('a@h', 'up')
        self.assertGreater(self.c.agents()['a@h']['incarnation'], taken)

    def test_report_is_the_payload(self):
        local = self.local()
        local.say('beat a@h')
        self.assertEqual(local.say('report a@h {"load": 3}'), 'ok')
        self.assertTrue(local.say('report a@h ' + 'x' * 65537).startswith('error: '))
        for rubbish in 'nojson', '{"load": 3', '{} {}':
            self.assertEqual(local.say('report a@h ' + rubbish), 'error: a@h: what it reports is not JSON')
        self.await_state('a@h', 'up')

    def test_each_bad_line_gets_one_error_and_the_next_is_read(self):
        local = self.local()
        for line in ('frobnicate', 'beat a/b', 'beat x interval=soon', 'bye nobody@h', '',
                     b'beat a\0b\n', b'beat \xff\xfe\n'):
            with self.subTest(line=line):
                self.assertTrue(local.say(line).startswith('error: '))
        self.assertEqual(local.say('beat a@h'), 'ok')
        other = self.local()
        self.assertTrue(other.say('beat a@h').startswith('error: a@h: another'))
        self.assertTrue(other.say('bye a@h').startswith('error: '))
        self.await_state('a@h', 'up')

    def test_each_line_of_a_burst_is_answered(self):
        local, lines = self.local(), 20000
        local.sock.sendall(b'x\n' * lines)
        for _ in range(lines):
            self.assertTrue(local.file.readline().startswith(b'error: '))
        self.assertEqual(local.say('beat a@h'), 'ok')

    def test_program_that_reads_no_answers_lives_on(self):
        local = self.local()
        local.sock.sendall(b'beat a@h\n' * 100000)
        local.sock.sendall(b'beat b@h\n')
        self.await_state('b@h', 'up')
        self.assertEqual(self.relay.log().count('does not read its answers, and gets no more agent=a@h'), 1)
        self.assertEqual(self.c.states()['a@h'], 'up')

    def test_line_without_an_end_is_cut_off(self):
        local = self.local()
        try:
            for _ in range(100):
                local.sock.sendall(b'x' * 65536)
        except OSError:
            pass
        self.assertTrue(local.file.readline().startswith(b'error: a line of over 69632 bytes'))
        self.assertEqual(self.local().say('beat a@h'), 'ok')

    def test_without_a_descriptor_left_the_door_rests(self):
        used = len(os.listdir(f'/proc/{self.relay.pid}/fd'))
        _, most = resource.prlimit(self.relay.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.relay.pid, resource.RLIMIT_NOFILE, (used + 4, most))
        programs = [self.local() for _ in range(8)]
        wait.until(lambda: self.relay.log().count('cannot accept') == 1, self.relay.log)
        before = self.processor_time()
        wait.until(lambda: self.relay.log().count('cannot accept') == 2, self.relay.log)
        self.assertLess(self.processor_time() - before, 0.5)
        resource.prlimit(self.relay.pid, resource.RLIMIT_NOFILE, (most, most))
        for i, program in enumerate(programs):
            self.assertEqual(program.say(f'beat p{i}'), 'ok')

    def processor_time(self):
        with open(f'/proc/{self.relay.pid}/stat', encoding='ascii') as file:
            return sum(map(int, file.read().rsplit(')', 1)[1].split()[11:13])) / os.sysconf('SC_CLK_TCK')

    def test_relay_told_to_stop_has_its_agents_leave(self):
        locals_ = [self.local() for _ in range(3)]
        for i, local in enumerate(locals_):
            local.say(f'beat a{i}@h')
            self.await_state(f'a{i}@h', 'up')
        self.assertEqual(self.relay.stop(), 0)
        self.assertEqual(set(self.c.states().values()), {'left'})
        self.assertFalse(os.path.exists(self.path))

    def test_conductor_may_be_away_meanwhile(self):
        self.c.kill()
        local = self.local()
        self.assertEqual(local.say('beat a@h'), 'ok')
        with Local(self.path) as other:
            self.assertEqual(other.say('beat b@h'), 'ok')
        self.c.start()
        self.await_state('a@h', 'up')
        self.assertNotIn('b@h', {n for n, s in self.c.states().items() if s == 'up'})


if __name__ == '__main__':
    tap.main()
