"""The store is not to be had; beats and verdicts go on, and it comes back by itself."""

import os
import socket
import subprocess
import threading
import time
import unittest

from lib import wait
from lib.conductor import SOAK
from lib.wire import Sender

FROZEN = 120 if SOAK else 8


def fill(path):
    """Takes all the room there is for a file."""
    with open(path, 'wb', buffering=0) as file:
        for size in (65536, 256):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


class Relay:
    """Passes connections on to a server. cut() ends the clients' halves and keeps the server's, who then
    does not know: so it is when a network breaks."""

    def __init__(self, port):
        self.target = ('127.0.0.1', port)
        self.pairs = []
        self.door = socket.create_server(('127.0.0.1', 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                pair = self.door.accept()[0], socket.create_connection(self.target)
            except OSError:
                return
            self.pairs.append(pair)
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def cut(self):
        for client, _ in self.pairs:
            client.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        for sock in [sock for pair in self.pairs for sock in pair]:
            sock.close()


class Away(unittest.TestCase):
    """A test that takes a conductor's store away, and gives it back."""

    def disable(self, c, name, reason):
        return c.web.ask('PUT', f'/v1/agents/{name}/status', {'status': 'disabled', 'reason': reason})

    def away(self, c, take_away, give_back, seconds):
        living = Sender(c.agents_port, [f'a{i}@living' for i in range(20)])
        dying = Sender(c.agents_port, ['a@dying'])
        self.addCleanup(living.die)
        self.addCleanup(dying.die)
        living.start()
        dying.start()
        wait.until(lambda: living.acked > 1, 'acks')
        take_away()
        taken = time.monotonic()
        dying.die()
        wait.until(lambda: c.states()['a@dying'] == 'down', c.log)
        answer = self.disable(c, 'a0@living', 'x')
        self.assertEqual(answer.status, 503, answer.text)
        self.assertIn('Retry-After', answer.headers)
        wait.until(lambda: not c.web.ready(), c.log)
        self.assertIn('[-]store', c.web.get('/readyz?verbose').text)
        acked = living.acked
        while time.monotonic() < taken + seconds:
            began = time.monotonic()
            self.assertEqual(c.web.get('/livez').status, 200)
            self.assertLess(time.monotonic() - began, 1)
            time.sleep(0.2)
        wait.until(lambda: living.acked > acked, c.log)
        self.assertEqual({s for n, s in c.states().items() if 'living' in n}, {'up'})
        give_back()
        wait.until(c.web.ready, c.log, patience=30)
        wait.until(lambda: self.disable(c, 'a1@living', 'y').status == 200, c.log)
        c.await_log('info store: back')
        for word in ('warn store: away', 'info store: back'):
            self.assertEqual(c.log().count(word), 1, c.log())
        self.assertEqual(c.downs(), ['a@dying'])
        self.assertEqual(c.web.metric('muster_events_lost_total'), 0)
        self.assertEqual((living.joins, dying.joins), (1, 1))
        c.kill()
        c.start()  # what waited was stored
        agents = c.agents()
        self.assertEqual(agents['a@dying']['state'], 'down')
        self.assertEqual(agents['a1@living']['disabled_reason'], 'y')
        self.assertEqual(c.downs(), ['a@dying'])

    def mount(self, folder):
        """Mounts 2 MB at @folder, for a process of ours alone. Returns its pid."""
        # in a chroot nothing can be said of how mounts spread, and they must be looked after
        for spread in ([], ['--propagation', 'unchanged']):
            holder = subprocess.Popen(
                ['unshare', '-m' if os.geteuid() == 0 else '-rm', *spread, 'sh', '-c',
                 'mount -t tmpfs -o size=2m none "$0" && echo && exec sleep 3600', folder],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            self.addCleanup(holder.wait)
            self.addCleanup(holder.kill)
            self.addCleanup(holder.stdout.close)
            mounted = holder.stdout.readline() == b'\n'
            if os.path.ismount(folder):
                subprocess.run(['umount', folder], check=True)
                mounted = False
            if mounted:
                return holder.pid
        self.skipTest("no file system of one's own may be mounted here")
