#!/usr/bin/env python3
"""What a service manager hears and hands over; its units."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from lib import tap, wait
from lib.conductor import NO_NET_ADMIN, Conductor, has_ipv6
from lib.wire import Sender

PACKAGING = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../packaging')

# Runs a command with sockets from 3 on, as a service manager does: LISTEN_PID must be its own pid.
HAND_OVER = '''
import os, sys
for i, fd in enumerate(int(fd) for fd in sys.argv[2].split(',')):
    os.dup2(fd, 3 + i)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=sys.argv[1],
                  LISTEN_FDS=str(len(sys.argv[2].split(','))))
os.execv(sys.argv[3], sys.argv[3:])
'''


class Manager:
    """The socket that a service manager listens on."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(wait.PATIENCE)
        self.heard = []

    def until(self, line):
        """Listens until @line comes; returns the message it came in."""
        while True:
            message = self.socket.recv(4096).decode().split('\n')
            self.heard += message
            if line in message:
                return message


class Notify(unittest.TestCase):
    def manager(self, address):
        manager = Manager(address)
        self.addCleanup(manager.socket.close)
        return manager

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix='muster-test-')
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, 'notify')

    def test_ready_reloading_ready_stopping_come_in_this_order(self):
        manager = self.manager(self.path)
        with Conductor(env={'NOTIFY_SOCKET': self.path}) as c:
            manager.until('READY=1')
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            c.signal(signal.SIGHUP)
            usec = [line for line in manager.until('RELOADING=1') if line.startswith('MONOTONIC_USEC=')]
            self.assertEqual(len(usec), 1)
            self.assertGreaterEqual(int(usec[0].split('=')[1]), before)
            manager.until('READY=1')
            self.assertEqual(c.stop(), 0)
            manager.until('STOPPING=1')

    def test_it_is_not_ready_before_it_listens(self):
        manager = self.manager(self.path)
        c = Conductor(env={'NOTIFY_SOCKET': self.path})
        self.addCleanup(c.clean)
        c.launch()
        manager.until('READY=1')
        self.assertTrue(os.path.exists(c.ports_file))

    def test_a_status_counts_the_agents(self):
        manager = self.manager(self.path)
        with Conductor(env={'NOTIFY_SOCKET': self.path}) as c:
            manager.until('STATUS=0 agents: 0 up, 0 suspect, 0 down, 0 left, 0 unknown')
            c.web.ask('PUT', '/v1/agents/a@h/beat?interval=60s')
            manager.until('STATUS=1 agents: 1 up, 0 suspect, 0 down, 0 left, 0 unknown')

    def test_an_abstract_socket_is_as_good(self):
        name = f'muster-test-{os.getpid()}'
        manager = self.manager('\0' + name)
        with Conductor(env={'NOTIFY_SOCKET': '@' + name}):
            manager.until('READY=1')

    def test_the_watchdog_is_fed_while_it_lives_and_not_while_it_stands(self):
        manager = self.manager(self.path)
        with Conductor(env={'NOTIFY_SOCKET': self.path, 'WATCHDOG_USEC': '400000'}) as c:
            for _ in range(3):
                manager.until('WATCHDOG=1')
            c.signal(signal.SIGSTOP)
            try:
                manager.socket.settimeout(0.1)
                with self.assertRaises(socket.timeout):  # what was on its way comes first
                    while True:
                        manager.until('WATCHDOG=1')
                manager.socket.settimeout(1)
                self.assertRaises(socket.timeout, manager.until, 'WATCHDOG=1')
            finally:
                c.signal(signal.SIGCONT)
            manager.socket.settimeout(wait.PATIENCE)
            manager.until('WATCHDOG=1')

    def test_a_watchdog_of_another_process_is_left_alone(self):
        manager = self.manager(self.path)
        with Conductor(env={'NOTIFY_SOCKET': self.path, 'WATCHDOG_USEC': '200000', 'WATCHDOG_PID': '1'}):
            manager.until('READY=1')
            manager.socket.settimeout(1)
            self.assertRaises(socket.timeout, manager.until, 'WATCHDOG=1')

    def test_a_socket_that_is_none_is_an_error(self):
        c = Conductor(env={'NOTIFY_SOCKET': 'here'})
        self.addCleanup(c.clean)
        self.assertNotEqual(c.launch().process.wait(wait.PATIENCE), 0)
        self.assertIn('NOTIFY_SOCKET=here', c.log())


class Activation(unittest.TestCase):
    def bound(self, kind, listen=True):
        sock = socket.socket(socket.AF_INET, kind)
        sock.bind(('127.0.0.1', self.port if kind == socket.SOCK_DGRAM else 0))
        if kind == socket.SOCK_STREAM:
            sock.listen(128)
        sock.set_inheritable(True)
        self.addCleanup(sock.close)
        self.port = sock.getsockname()[1]
        return sock

    def conductor(self, names, socks, prefix=()):
        fds = [sock.fileno() for sock in socks]
        c = Conductor(prefix=['/usr/bin/python3', '-c', HAND_OVER, names, ','.join(map(str, fds)), *prefix])
        self.addCleanup(c.clean)
        return c, fds

    def test_agents_and_http_answer_on_the_sockets_handed_over(self):
        http = self.bound(socket.SOCK_STREAM)
        tcp = self.bound(socket.SOCK_STREAM)
        udp = self.bound(socket.SOCK_DGRAM)
        c, fds = self.conductor('http:agents:agents', [http, tcp, udp])
        c.start(pass_fds=fds)
        self.assertEqual(c.agents_port, tcp.getsockname()[1])
        self.assertEqual(c.http_port, http.getsockname()[1])
        with Sender(c.agents_port, ['a@h']) as sender:
            wait.until(lambda: sender.acked > 0, 'an acknowledged datagram')
            self.assertEqual(c.states(), {'a@h': 'up'})

    def test_a_receive_buffer_handed_over_is_not_made_less(self):
        tcp = self.bound(socket.SOCK_STREAM)
        udp = self.bound(socket.SOCK_DGRAM)
        try:
            udp.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        except PermissionError:
            self.skipTest('needs CAP_NET_ADMIN')
        c, fds = self.conductor('agents:agents', [tcp, udp], NO_NET_ADMIN)
        c.start(pass_fds=fds)
        c.await_log(f'bytes={64 << 20} asked={128 << 20}')
        self.assertIn(f'muster_receive_buffer_bytes {64 << 20}', c.web.get('/metrics').text)

    def test_a_join_that_comes_before_the_conductor_waits_for_it(self):
        tcp = self.bound(socket.SOCK_STREAM)
        udp = self.bound(socket.SOCK_DGRAM)
        sender = Sender(self.port, ['a@h'])
        self.addCleanup(sender.die)
        sender.stream = sender.dial()  # into the backlog
        c, fds = self.conductor('agents:agents', [tcp, udp])
        c.start(pass_fds=fds)
        sender.start()
        wait.until(lambda: sender.acked > 0, 'an acknowledged datagram')

    def test_an_unknown_name_is_refused_with_the_cure(self):
        tcp = self.bound(socket.SOCK_STREAM)
        c, fds = self.conductor('mail', [tcp])
        c.launch(pass_fds=fds)
        self.assertEqual(c.process.wait(wait.PATIENCE), 2)
        self.assertIn('mail', c.log())
        self.assertIn('FileDescriptorName=', c.log())

    def open_addresses(self):
        yield 'agents', socket.AF_INET, '0.0.0.0'
        yield 'http', socket.AF_INET, '0.0.0.0'
        if has_ipv6():
            yield 'http', socket.AF_INET6, '::'

    def test_one_that_others_can_reach_is_refused_unless_allowed(self):
        for name, family, address in self.open_addresses():
            with self.subTest(name=name), socket.socket(family) as door:
                door.bind((address, 0))
                door.listen()
                c, fds = self.conductor(name, [door])
                c.launch(pass_fds=fds)
                self.assertEqual(c.process.wait(wait.PATIENCE), 2)
                self.assertIn(f'{door.getsockname()[1]}: other machines could reach it', c.log())
                self.assertIn('insecure = true', c.log())
                c.args = ['--insecure']
                c.start(pass_fds=fds)
                self.assertEqual(c.stop(), 0)

    def test_systemd_itself_hands_them_over(self):
        tool = shutil.which('systemd-socket-activate')
        self.assertIsNotNone(tool, 'systemd-socket-activate is not installed')
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        c = Conductor(prefix=[tool, '-l', f'127.0.0.1:{port}', '--fdname=http'])
        self.addCleanup(c.clean)
        c.launch()
        c.http_port = port
        wait.until(c.web.reachable, c.log)


class Units(unittest.TestCase):
    def setUp(self):
        """The units as they are installed, but for a program that is there."""
        folder = tempfile.TemporaryDirectory(prefix='muster-test-')
        self.addCleanup(folder.cleanup)
        self.units = {}
        for name in os.listdir(PACKAGING):
            unit = name.removesuffix('.in')
            if not unit.endswith(('.service', '.socket')):
                continue
            with open(os.path.join(PACKAGING, name), encoding='utf-8') as file:
                text = file.read().replace('@bindir@/muster', '/bin/true')
            self.units[unit] = os.path.join(folder.name, unit)
            with open(self.units[unit], 'w', encoding='utf-8') as file:
                file.write(re.sub(r'(?m)^Documentation=.*\n', '', text))  # pages not installed here

    def analyze(self, *args):
        return subprocess.run(['systemd-analyze', *args], text=True, capture_output=True, timeout=60,
                              check=False)

    def test_systemd_has_nothing_to_say_against_them(self):
        result = self.analyze('verify', '--man=no', *self.units.values())
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def test_the_service_is_hardened(self):
        result = self.analyze('security', '--offline=true', '--no-pager', self.units['muster.service'])
        level = re.search(r'exposure level for \S+: ([\d.]+)', result.stdout)
        self.assertIsNotNone(level, result.stdout + result.stderr)
        self.assertLess(float(level.group(1)), 2.0)


if __name__ == '__main__':
    tap.main()
