#!/usr/bin/env python3
"""Connections that say nothing, tens of thousands: the good ones notice nothing of it."""

import errno
import os
import re
import resource
import select
import signal
import socket
import threading
import time
import unittest

from lib import tap, wait
from lib.conductor import SOAK, Conductor, muster
from lib.wait import SANITIZED
from lib.wire import Sender

ATTEMPTS = 100000 if SOAK else 20000
QUICK = 10.0 if SANITIZED else 1.0
MEMORY = 256 << 20


class Flood(threading.Thread):
    """Opens connections as fast as it can and says nothing on any. Holds as many as it may, and lets
    the oldest go for a new one."""

    def __init__(self, port, attempts):
        super().__init__(daemon=True)
        self.port, self.attempts = port, attempts
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.most = min(hard, 1 << 20) - 200
        self.made = self.held = 0
        self.socks = []
        self.stopped = threading.Event()

    def run(self):
        waiting = []
        while self.made < self.attempts and not self.stopped.is_set():
            if len(self.socks) >= self.most:
                for sock in self.socks[:1000]:
                    sock.close()
                del self.socks[:1000]
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            # another source for each 20,000: ports are few
            sock.bind((f'127.0.0.{2 + self.made // 20000}', 0))
            if sock.connect_ex(('127.0.0.1', self.port)) not in (0, errno.EINPROGRESS):
                sock.close()
                continue
            self.made += 1
            self.socks.append(sock)
            self.held = max(self.held, len(self.socks))
            waiting.append(sock)
            if len(waiting) == 500:  # what is being connected is bounded, or the backlog drops it
                self.let_connect(waiting)

    def let_connect(self, waiting):
        poll = select.poll()
        for sock in waiting:
            poll.register(sock, select.POLLOUT)
        end = time.monotonic() + 5
        left = len(waiting)
        while left and time.monotonic() < end:
            for fd, _ in poll.poll(100):
                poll.unregister(fd)
                left -= 1
        waiting.clear()

    def end(self):
        self.stopped.set()
        self.join()
        for sock in self.socks:
            sock.close()
        self.socks.clear()


class Silence(unittest.TestCase):
    def flood(self, c, port):
        with Sender(c.agents_port, [f'a{i}@h' for i in range(20)]) as sender:
            wait.until(lambda: sender.acked > 1, 'acks')
            flood = Flood(port, ATTEMPTS)
            flood.start()
            self.addCleanup(flood.end)
            slowest = 0.0
            while flood.is_alive():
                began = time.monotonic()
                self.assertEqual(c.web.get('/v1/agents/a0@h').json['state'], 'up')
                slowest = max(slowest, time.monotonic() - began)
                flood.join(0.05)
            began = time.monotonic()
            result = muster('list', '--conductor', f'http://127.0.0.1:{c.http_port}', '-f', 'name')
            slowest = max(slowest, time.monotonic() - began)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(len(result.stdout.splitlines()), 20)
            self.assertLess(slowest, QUICK)
            self.assertEqual(flood.made, ATTEMPTS)
            print(f'# {flood.made} attempts, {flood.held} held at once, slowest answer {slowest:.3f} s, '
                  f'{c.memory() >> 20} MiB', flush=True)
            if not SANITIZED:
                self.assertLess(c.memory(), MEMORY)
            flood.end()
            acked = sender.acked
            wait.until(lambda: sender.acked > acked + 2, 'acks')
            self.assertEqual(set(c.states().values()), {'up'})
            self.assertEqual(c.downs(), [])
            self.assertEqual(sender.joins, 1)

    def test_at_the_agents_door(self):
        with Conductor() as c:
            self.flood(c, c.agents_port)
            with Sender(c.agents_port, ['late@h']) as late:  # the door is open for a new one too
                wait.until(lambda: late.acked > 0, 'acks')

    def test_at_the_http_door(self):
        with Conductor() as c:
            self.flood(c, c.http_port)

    def test_few_streams_are_no_loss_of_agents(self):
        """More senders than streams: the others live by datagrams, and newcomers can join."""
        with Conductor(config=Conductor.TIMES + '[conductor]\nmax_streams = 4\n') as c:
            senders = []
            for i in range(10):
                sender = Sender(c.agents_port, [f'a{i}@h'])
                self.addCleanup(sender.die)
                senders.append(sender.start())
            wait.until(lambda: all(s.acked > 3 for s in senders), 'acks')
            self.assertEqual(set(c.states().values()), {'up'})
            self.assertEqual(c.downs(), [])
            self.assertLessEqual(sum(bool(s.stream) for s in senders), 4)


# A sweep waits for all that fits the buffer, which takes a slow build its time.
FULL_SOON = Conductor.TIMES + ('[conductor]\nreceive_buffer = 8MiB\n' if SANITIZED else '')


class Datagrams(threading.Thread):
    """Sends what means nothing, 64 datagrams a call."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        self.sock.connect(('127.0.0.1', port))
        self.sock.setsockopt(socket.IPPROTO_UDP, 103, 56)  # UDP_SEGMENT
        self.stopped = threading.Event()

    def run(self):
        many = bytes(64 * 56)
        while not self.stopped.is_set():
            self.sock.send(many)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()
        self.sock.close()


class Noise(unittest.TestCase):
    @staticmethod
    def metric(c, name):
        return float(re.search(rf'(?m)^{name} (\S+)$', c.web.get('/metrics').text).group(1))

    @staticmethod
    def dropped(port):
        with open('/proc/net/udp', encoding='ascii') as file:
            return sum(int(line.split()[-1]) for line in file if f':{port:04X} 00000000:0000 ' in line)

    def test_datagrams_without_end_starve_nobody(self):
        """With a full buffer and more to come, joins, HTTP and the sweep have their turns, and nobody is
        down whose beats were lost."""
        with Conductor(config=FULL_SOON) as c, Sender(c.agents_port, ['a@h']) as sender:
            wait.until(lambda: sender.acked > 1, 'acks')
            with Datagrams(c.agents_port), Datagrams(c.agents_port):
                c.signal(signal.SIGSTOP)
                wait.until(lambda: self.dropped(c.agents_port), 'a full buffer')
                c.signal(signal.SIGCONT)
                slowest, turns, end = 0.0, 0, time.monotonic() + 4  # longer than it takes to be down
                while time.monotonic() < end:
                    began = time.monotonic()
                    self.assertNotEqual(c.states()['a@h'], 'down')
                    with Sender(c.agents_port, [f'late{turns}@h']) as late:
                        wait.until(lambda: late.joins, 'an answer on a stream', pause=0.001)
                    slowest = max(slowest, time.monotonic() - began)
                    turns += 1
                sweeps = self.metric(c, 'muster_sweep_seconds_count')
                wait.until(lambda: self.metric(c, 'muster_sweep_seconds_count') > sweeps, 'a sweep')
                dropped = self.metric(c, 'muster_datagrams_dropped_total')
                print(f'# {dropped:.0f} dropped, {turns} turns, slowest {slowest:.3f} s', flush=True)
                self.assertLess(slowest, QUICK)
                self.assertGreater(dropped, 0)
            acked = sender.acked
            wait.until(lambda: sender.acked > acked + 2, 'acks')
            self.assertNotIn('a@h', c.downs())


class Descriptors(unittest.TestCase):
    def test_every_descriptor_is_back_afterwards(self):
        def count():
            return len(os.listdir(f'/proc/{c.process.pid}/fd'))

        with Conductor() as c:
            c.web.get('/livez')
            before = count()
            socks = [socket.create_connection(('127.0.0.1', port), timeout=5)
                     for port in (c.agents_port, c.http_port) for _ in range(200)]
            wait.until(lambda: count() >= before + 300, 'accepted connections')
            for sock in socks:
                sock.close()
            wait.until(lambda: count() <= before + 1, lambda: f'{count()} descriptors, were {before}')


if __name__ == '__main__':
    tap.main()
