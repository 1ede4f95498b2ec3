#!/usr/bin/env python3
"""A conductor that stands still, and a clock on the wall that jumps."""

import glob
import os
import re
import signal
import time
import unittest

from lib import tap, wait
from lib.conductor import SOAK, Conductor
from lib.wait import SANITIZED
from lib.wire import Sender

STOPS = (5, 30, 90) if SOAK else (12,)
DOWN = 3.0
SLACK = 5.0 if SANITIZED else 0.5
FAKETIME = glob.glob('/usr/lib/*/faketime/libfaketime.so.1')


def state_events(c, to):
    return [e for e in c.events(kind='state') if e['to'] == to]


class Stop(unittest.TestCase):
    def test_who_lives_stays_and_who_died_meanwhile_is_down_in_time(self):
        for seconds in STOPS:
            with self.subTest(seconds=seconds), Conductor() as c:
                self.one_stop(c, seconds)

    def one_stop(self, c, seconds):
        living = Sender(c.agents_port, [f'a{i}@living' for i in range(20)])
        dying = Sender(c.agents_port, ['a@dying'])
        self.addCleanup(living.die)
        self.addCleanup(dying.die)
        living.start()
        dying.start()
        wait.until(lambda: living.acked > 2 and dying.acked > 2, 'acks')
        c.signal(signal.SIGSTOP)
        try:
            time.sleep(seconds / 2)
            dying.die()
            time.sleep(seconds / 2)
        finally:
            c.signal(signal.SIGCONT)
        resumed, wall = time.monotonic(), time.time()
        wait.until(lambda: state_events(c, 'down'), c.log, patience=DOWN + SLACK + 10)
        took = time.monotonic() - resumed
        self.assertLess(took, DOWN + SLACK + 0.5)  # we look every now and then
        wait.until(lambda: c.states()['a0@living'] == 'up', c.log)
        self.assertEqual(c.downs(), ['a@dying'])
        stalls = [e for e in c.events(kind='conductor') if 'stalled' in (e['reason'] or '')]
        self.assertTrue(stalls, c.events(kind='conductor'))
        self.assertGreater(max(e['detail'].get('stall_ms', 0) for e in stalls), seconds * 900)
        self.assertLess(abs(time.time() - time.monotonic() + resumed - wall), 5)
        lag = re.search(r'^muster_loop_lag_seconds_sum (\S+)$', c.web.get('/metrics').text, re.M)
        self.assertGreater(float(lag[1]), seconds * 0.9)

    def test_the_first_stop_is_told_on_the_way_to_ready(self):
        """Deaf is not ready, and it is over by itself."""
        with Conductor() as c, Sender(c.agents_port, ['a@h']) as sender:
            wait.until(lambda: sender.acked > 1, 'acks')
            c.signal(signal.SIGSTOP)
            time.sleep(2)
            c.signal(signal.SIGCONT)
            wait.until(c.web.ready, c.log)
            self.assertEqual(c.downs(), [])


@unittest.skipIf(SANITIZED, 'libfaketime and a sanitizer cannot both come first')
class Wall(unittest.TestCase):
    def test_an_hour_each_way_moves_nobody(self):
        self.assertTrue(FAKETIME, 'libfaketime is not installed')
        offset = os.path.join(os.environ.get('TMPDIR', '/tmp'), f'muster-test-offset-{os.getpid()}')
        self.addCleanup(lambda: os.path.exists(offset) and os.unlink(offset))

        def step(text):
            with open(offset + '.new', 'w', encoding='ascii') as file:
                file.write(text)
            os.rename(offset + '.new', offset)

        step('+0')
        env = {'LD_PRELOAD': FAKETIME[0], 'FAKETIME_TIMESTAMP_FILE': offset, 'FAKETIME_NO_CACHE': '1',
               'DONT_FAKE_MONOTONIC': '1', 'FAKETIME_DONT_FAKE_MONOTONIC': '1'}
        with Conductor(env=env) as c, Sender(c.agents_port, [f'a{i}@h' for i in range(5)]) as sender:
            wait.until(lambda: sender.acked > 2, 'acks')
            self.hours_off(c)
            joined = c.events()[-1]['seq']
            for hours in (+1, -1, 0):
                step(f'{hours * 3600:+d}')
                wait.until(lambda: self.hours_off(c) == hours, f'a clock that is {hours} h off')
                acked = sender.acked
                wait.until(lambda: sender.acked > acked + 4, 'acks')
                self.assertEqual(set(c.states().values()), {'up'})
            self.assertEqual(c.events(since=joined), [])
            self.assertEqual(sender.joins, 1)

    def hours_off(self, c):
        """What the conductor's clock says, by a beat that it takes now."""
        at = c.web.ask('PUT', '/v1/agents/clock@h/beat?interval=300s').json['last_seen_at']
        stamp = time.mktime(time.strptime(at[:19], '%Y-%m-%dT%H:%M:%S')) - time.timezone
        return round((stamp - time.time()) / 3600)


if __name__ == '__main__':
    tap.main()
