#!/usr/bin/env python3
"""SIGKILL at any moment, under joins, beats and operators' writes: nothing answered is lost."""

import http.client
import os
import random
import sys
import threading
import time
import unittest

from lib import tap, wait
from lib.conductor import SOAK, Conductor
from lib.wire import ATTACH, DONE, EAGAIN, OK, REPORT, RESYNC, Sender, frame, receive_frame

ROUNDS = 100 if SOAK else 10
SENDERS, AGENTS = 4, 10


class Operator(threading.Thread):
    """Disables one agent again and again, each time with another reason, and makes new agents by HTTP.
    Remembers what was answered and what was only asked."""

    def __init__(self, conductor, name):
        super().__init__(daemon=True)
        self.c, self.name_of_agent = conductor, name
        self.asked = self.answered = 0
        self.made = []
        self.stopped = threading.Event()

    def try_put(self, path, body=None):
        try:
            return self.c.web.ask('PUT', path, body).status
        except (OSError, http.client.HTTPException):
            return 0

    def run(self):
        while not self.stopped.is_set():
            self.asked += 1
            status = self.try_put(f'/v1/agents/{self.name_of_agent}/status',
                                  {'status': 'disabled', 'reason': f'reason {self.asked}'})
            if status == 200:
                self.answered = self.asked
            name = f'made@{self.name_of_agent.replace("@", "-")}-{self.asked}'
            if self.try_put(f'/v1/agents/{name}/beat?interval=300s') in (200, 201):
                self.made.append(name)
            if not status:
                self.stopped.wait(0.05)


class Watcher(threading.Thread):
    """Reads every event as soon as it can, also those that a kill takes with it."""

    def __init__(self, conductor):
        super().__init__(daemon=True)
        self.c = conductor
        self.seen, self.repeated = {}, []
        self.stopped = threading.Event()

    def run(self):
        since = 0
        while not self.stopped.is_set():
            try:
                answer = self.c.web.get(f'/v1/events?since={since}&limit=1000&wait=1s')
            except (OSError, http.client.HTTPException):
                self.stopped.wait(0.02)
                continue
            if answer.status != 200:
                self.stopped.wait(0.02)
                continue
            for event in answer.json['events']:
                self.note(event)
            since = answer.json['next']

    def note(self, event):
        known = self.seen.setdefault(event['seq'], event)
        if known != event:
            self.repeated.append((known, event))


def attach(sender):
    """A new stream of a sender that has no thread. Returns the status of the ack."""
    sender.drop_stream()
    sender.attach()
    _, ack = receive_frame(sender.stream)
    if ack[24] == RESYNC:
        sender.take_ack(ack)
        sender.stream.sendall(frame(ATTACH, sender.sealed(3, [], 1)))
        _, ack = receive_frame(sender.stream)
    return ack[24]


def report(sender, number, json):
    """Returns what DONE says, told to come again or not."""
    while True:
        sender.stream.sendall(frame(REPORT, {0: number, 1: sender.agents[0]['index'], 2: json}))
        kind, body = receive_frame(sender.stream)
        while kind != DONE or body[0] != number:
            kind, body = receive_frame(sender.stream)
        if body.get(1, 0) != EAGAIN:
            return body.get(1, 0)
        time.sleep(body[2] / 1000)


class Kill(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get('SEED', random.SystemRandom().randrange(1 << 32)))
        print(f'# SEED={self.seed}', flush=True)
        self.random = random.Random(self.seed)

    def test_nothing_that_was_answered_is_lost_and_nobody_is_falsely_down(self):
        with Conductor() as c:
            senders = [Sender(c.agents_port, [f'wire{i}@host-{s}' for i in range(AGENTS)]).start()
                       for s in range(SENDERS)]
            for sender in senders:
                self.addCleanup(sender.die)
            identities = {name: a['uuid'] for name, a in c.agents().items()}
            operators = [Operator(c, f'wire0@host-{i}') for i in range(3)]
            watcher = Watcher(c)
            for thread in (*operators, watcher):
                thread.start()
                self.addCleanup(thread.join)
                self.addCleanup(thread.stopped.set)
            for n in range(ROUNDS):
                self.one_round(c, n, senders, operators, identities)
            for operator in operators:
                operator.stopped.set()
            self.assertEqual(watcher.repeated, [])
            self.assertTrue(all(o.answered for o in operators), 'no operator was ever answered')
            self.settle(c, senders)
            for event in c.events():
                watcher.note(event)
            self.assertEqual(watcher.repeated, [])

    def one_round(self, c, n, senders, operators, identities):
        """Kills, starts again, and looks whether everything is there."""
        time.sleep(self.random.uniform(0.05, 1.2))
        newcomer = Sender(c.agents_port, [f'new{n}@host-new'])
        newcomer.start()
        self.addCleanup(newcomer.die)
        senders.append(newcomer)
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, 0.1))
        floor = [(o.answered, list(o.made)) for o in operators]
        joined = {f"{a['binary']}@{a['host']}": a for s in senders for a in s.agents}
        c.kill()
        floor = [(max(was[0], o.answered), o.made[:]) for was, o in zip(floor, operators)]
        c.start()
        agents = c.agents()
        for name, mine in joined.items():
            self.assertIn(name, agents, f'round {n}: {name} had joined and is gone')
            self.assertEqual(agents[name]['uuid'].replace('-', ''), mine['uuid'].hex())
            self.assertEqual(agents[name]['incarnation'], mine['incarnation'])
        for name, uuid in identities.items():
            self.assertEqual(agents[name]['uuid'], uuid)
        for operator, (answered, made) in zip(operators, floor):
            reason = agents[operator.name_of_agent]['disabled_reason']
            self.assertGreaterEqual(int((reason or 'reason 0').split()[1]), answered,
                                    f'round {n}: an answered write is gone')
            for name in made:
                self.assertIn(name, agents, f'round {n}: {name} was answered and is gone')

    def settle(self, c, senders):
        """Everybody is heard again, without a join, and nobody was ever down."""
        names = {name for sender in senders for name in sender.names()}
        wait.until(lambda: {n for n, s in c.states().items() if s == 'up'} >= names, c.log)
        self.assertEqual(c.downs(), [])
        self.assertEqual([s.names() for s in senders if s.joins != 1], [])
        self.assertTrue(all(s.resyncs for s in senders[:SENDERS]))

    @staticmethod
    def payload(c):
        return c.web.get('/v1/agents/a@h/payload').text

    def test_reports_that_were_answered_are_there(self):
        with Conductor() as c:
            sender = Sender(c.agents_port, ['a@h'])
            sender.agents[0]['payload'] = '{"n":0}'
            sender.join()
            c.kill()
            c.start()
            self.assertEqual(self.payload(c), '{"n":0}')
            for n in range(1, 6):
                self.assertEqual(attach(sender), OK)
                self.assertEqual(report(sender, n, f'{{"n":{n}}}'), 0)
                c.kill()
                c.start()
                self.assertEqual(self.payload(c), f'{{"n":{n}}}')

    def test_a_known_name_joins_again_or_what_it_joined_with_is_there(self):
        with Conductor() as c:
            joined = 0
            for n in range(10):
                sender = Sender(c.agents_port, ['a@h'])
                sender.agents[0]['payload'] = f'{{"n":{n}}}'
                sender.join()
                if n < 9:
                    time.sleep(self.random.uniform(0, 0.2))
                else:
                    wait.until(lambda: self.payload(c) == '{"n":9}', 'the payload')
                c.kill()
                c.start()
                if attach(sender) == OK:
                    self.assertEqual(self.payload(c), f'{{"n":{n}}}')
                    joined += 1
            self.assertGreater(joined, 0)


if __name__ == '__main__':
    sys.setswitchinterval(0.001)
    tap.main()
