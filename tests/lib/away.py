"""What tests of every store have in common: a conductor that does not start without its store, and one
that goes on when the store is away."""

import os
import time

from lib import wait
from lib.wire import Sender


class Refused:
    """Beside unittest.TestCase."""

    def refuse(self, c, *words):
        """Expects that @c ends with one line that has @words."""
        self.addCleanup(c.clean)
        before = len(c.log()) if os.path.exists(c.log_file) else 0
        c.launch()
        self.assertNotEqual(c.process.wait(wait.PATIENCE), 0)
        log = c.log()[before:]
        self.assertEqual(log.count('\n'), 1, log)
        for word in words:
            self.assertIn(word, log)
        self.assertFalse(os.path.exists(c.ports_file))


class Away:
    """The store is not to be had; beats and verdicts go on, and it comes back by itself. Beside
    unittest.TestCase."""

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
        self.assertGreater(living.acked, acked)
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
