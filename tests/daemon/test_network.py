#!/usr/bin/env python3
"""Bad networks between living agents and a conductor, at 1 s / 3 s: none of them may kill anybody."""

import time
import unittest

from lib import tap, wait
from lib.conductor import Conductor
from lib.program import Program
from lib.proxy import Proxy

N = 5
WATCHED = 8  # s that a bad network is watched: well over two down times


class Network(unittest.TestCase):
    def setUp(self):
        self.c = Conductor()
        self.addCleanup(self.c.clean)
        self.c.start()
        self.net = Proxy(self.c.agents_port)
        self.net.__enter__()
        self.addCleanup(self.net.__exit__)
        self.names = [f'a{i}@h' for i in range(N)]
        for name in self.names:
            agent = Program('agent', '--name', name, '--interval', '1s', port=self.net.port)
            self.addCleanup(agent.__exit__)
        self.await_all('up')
        # Up by its join; that the answer has come back through the proxy is seen by a beat.
        before = self.beats()
        wait.until(lambda: all(n > before[name] for name, n in self.beats().items()), self.beats)

    def await_all(self, state):
        wait.until(lambda: list(self.c.states().values()) == [state] * N, self.c.states)

    def beats(self):
        return {name: agent['report_count'] for name, agent in self.c.agents().items()}

    def watch(self):
        """Everybody goes on being heard, and nobody is said to be down."""
        before = self.beats()
        end = time.monotonic() + WATCHED
        while time.monotonic() < end:
            self.assertNotIn('down', self.c.states().values())
            time.sleep(0.2)
        after = self.beats()
        for name in self.names:
            self.assertGreater(after[name], before[name] + 2, name)
        self.assertEqual(self.c.downs(), [])

    def test_loss(self):
        self.net.up.loss = self.net.down.loss = 0.3
        self.watch()
        self.assertGreater(self.net.up.lost, 0)

    def test_delay(self):
        self.net.up.delay = self.net.down.delay = 0.4
        self.watch()

    def test_copies(self):
        self.net.up.duplicate = self.net.down.duplicate = 1.0
        self.watch()

    def test_disorder(self):
        self.net.up.reorder = self.net.down.reorder = 0.5
        self.net.up.duplicate = 0.5
        self.watch()

    def test_datagrams_pass_one_way_only(self):
        for way in (self.net.up, self.net.down):
            way.loss = 1.0
            self.watch()
            way.loss = 0.0

    def test_without_datagrams_beats_go_by_the_stream_and_come_back(self):
        self.net.up.loss = self.net.down.loss = 1.0
        self.watch()
        self.assertGreater(self.net.up.lost, 0)
        self.net.up.loss = self.net.down.loss = 0.0
        # Datagrams are tried again every 30 s; one that is answered brings them all back.
        passed = self.net.up.passed
        wait.until(lambda: self.net.up.passed > passed + 3 * N, lambda: self.net.up.passed,
                   patience=45 + wait.PATIENCE)
        self.assertEqual(self.c.downs(), [])

    def test_streams_that_stand_still_matter_not(self):
        self.net.streams = False
        self.watch()
        self.net.streams = True

    def test_who_is_cut_off_is_down_in_time_and_up_again(self):
        self.net.streams = False
        self.net.up.loss = self.net.down.loss = 1.0
        self.await_all('down')
        for event in self.c.events(kind='state'):
            if event['to'] == 'down':
                self.assertEqual(event['reason'], 'silence')
                self.assertGreaterEqual(event['detail']['silence_ms'], 3000)
        self.net.streams = True
        self.net.up.loss = self.net.down.loss = 0.0
        self.await_all('up')


if __name__ == '__main__':
    tap.main()
