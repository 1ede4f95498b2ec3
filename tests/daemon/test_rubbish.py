#!/usr/bin/env python3
"""Rubbish at every door: each gets its one clear error, counter or status; good agents stay up."""

import os
import random
import socket
import struct
import time
import unittest
import urllib.parse

from lib import tap, wait
from lib.conductor import Conductor
from lib.wait import SANITIZED
from lib import wire
from lib.wire import Sender

FORBIDDEN = ['a b/c', 'a\nb', 'a\x01', 'a\u202eb', 'a\u200bb', 'a\x7f', 'x' * 256, '']


class Rubbish(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.c = Conductor().start()
        cls.addClassCleanup(cls.c.clean)
        cls.good = Sender(cls.c.agents_port, [f'good{i}@h' for i in range(10)]).start()
        cls.addClassCleanup(cls.good.die)
        cls.random = random.Random(7)

    def tearDown(self):
        """Whatever came: it lives, and its good agents are up."""
        self.assertIsNone(self.c.process.poll(), self.c.log())
        acked = self.good.acked
        wait.until(lambda: self.good.acked > acked, 'acks')
        self.assertEqual({s for n, s in self.c.states().items() if n.startswith('good')}, {'up'})
        self.assertFalse([n for n in self.c.downs() if n.startswith('good')])
        self.assertEqual(self.good.joins, 1)

    def metric(self, name):
        return self.c.web.metric(name)

    def grows(self, name, before, by=1):
        wait.until(lambda: self.metric(name) >= before + by,
                   lambda: f'{name} is {self.metric(name)}, was {before}')

    def stream(self):
        sock = socket.create_connection(('127.0.0.1', self.c.agents_port), timeout=wait.PATIENCE)
        self.addCleanup(sock.close)
        return sock

    def is_closed(self, sock):
        """Reads to the end; returns what came before it."""
        data = b''
        try:
            while True:
                more = sock.recv(65536)
                if not more:
                    return data
                data += more
        except ConnectionResetError:
            return data

    def answer(self, raw):
        """Sends a frame's bytes; returns what kind of frame answers, and its body."""
        sock = self.stream()
        sock.sendall(raw)
        try:
            return wire.receive_frame(sock)
        except ConnectionError:
            return None, None

    # Datagrams.

    def test_random_datagrams_are_counted_and_get_no_answer(self):
        before = self.metric('muster_datagrams_invalid_total')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(('127.0.0.1', self.c.agents_port))
            for n in [0, 1, 3, 36, 52, 56, 100, 1199, 1200, 1201, 1472, 9000, 65000] * 20:
                udp.send(self.random.randbytes(n))
            self.grows('muster_datagrams_invalid_total', before, 13 * 20)
            udp.setblocking(False)
            self.assertRaises(BlockingIOError, udp.recv, 100)

    def test_a_forged_a_repeated_and_a_turned_beat_get_no_answer(self):
        with Sender(self.c.agents_port, ['forged@h']) as sender:
            wait.until(lambda: sender.acked > 0, 'an ack')
            indexes = [sender.agents[0]['index']]
            sender.stopped.set()
            sender.thread.join()
            good = sender.sealed(1, indexes, 0)
            forged = bytearray(sender.sealed(1, indexes, 0))
            forged[-1] ^= 1
            turned = bytearray(good)
            turned[3] = 2  # an ack, sent to the conductor
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.connect(('127.0.0.1', self.c.agents_port))
                udp.settimeout(wait.PATIENCE)
                bad = self.metric('muster_datagrams_invalid_total')
                old = self.metric('muster_datagrams_replayed_total')
                udp.send(forged)
                udp.send(turned)
                self.grows('muster_datagrams_invalid_total', bad, 2)
                udp.send(good)
                self.assertEqual(len(udp.recv(100)), 52)
                udp.send(good)
                self.grows('muster_datagrams_replayed_total', old)
                udp.setblocking(False)
                self.assertRaises(BlockingIOError, udp.recv, 100)

    def test_what_was_recorded_before_a_restart_revives_nobody(self):
        with Conductor() as c:
            sender = Sender(c.agents_port, ['dead@h']).start()
            wait.until(lambda: sender.acked > 1, 'acks')
            sender.stopped.set()
            sender.thread.join()
            recorded = sender.sealed(1, [sender.agents[0]['index']], 0)
            c.kill()
            sender.die()
            c.start()
            self.assertEqual(c.states()['dead@h'], 'unknown')
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.connect(('127.0.0.1', c.agents_port))
                udp.settimeout(wait.PATIENCE)
                for _ in range(3):
                    udp.send(recorded)
                status = udp.recv(100)[24]
            self.assertEqual(status, wire.RESYNC)
            self.assertEqual(c.states()['dead@h'], 'unknown')
            wait.until(lambda: c.states()['dead@h'] == 'down', c.log)

    # Streams.

    def test_random_bytes_close_the_stream(self):
        before = self.metric('muster_frames_invalid_total')
        for _ in range(50):
            sock = self.stream()
            try:
                sock.sendall(struct.pack('>I', 64) + self.random.randbytes(64))
            except OSError:
                pass
            self.is_closed(sock)
        self.grows('muster_frames_invalid_total', before, 50)

    def test_frames_of_no_length_and_of_too_much_close_the_stream(self):
        for length in (0, 128 * 1024 + 1, 0x7fffffff, 0xffffffff):
            sock = self.stream()
            sock.sendall(struct.pack('>I', length) + b'x' * 100)
            self.is_closed(sock)

    def test_a_frame_that_never_ends_holds_no_place_for_long(self):
        with Conductor(config=Conductor.TIMES + '[conductor]\nsilent_stream_time = 1s\n') as c:
            for raw in (b'', b'\0', struct.pack('>I', 1000) + b'\x01half of it'):
                with socket.create_connection(('127.0.0.1', c.agents_port), timeout=wait.PATIENCE) as sock:
                    sock.sendall(raw)
                    began = time.monotonic()
                    self.is_closed(sock)
                    if not SANITIZED:
                        self.assertLess(time.monotonic() - began, 4)

    def test_a_wrong_version_is_told_so(self):
        kind, body = self.answer(wire.frame(wire.JOIN, wire.join_body(
            [{'binary': 'a', 'host': 'h'}], 1, version=0)))
        self.assertEqual(kind, wire.ERROR)
        self.assertIn('version', body[2])

    def test_a_join_cut_anywhere_closes_the_stream(self):
        whole = wire.frame(wire.JOIN, wire.join_body(
            [{'binary': 'cut', 'host': 'h', 'zone': 'z', 'labels': {'k': 'v'}}], 1))[4:]
        for n in range(1, len(whole), 3):
            sock = self.stream()
            sock.sendall(struct.pack('>I', n) + whole[:n])
            self.is_closed(sock)
        self.assertNotIn('cut@h', self.c.agents())

    def test_forbidden_names_are_refused_at_the_wire(self):
        before = set(self.c.agents())
        for part in FORBIDDEN:
            for agent in ({'binary': part, 'host': 'h'}, {'binary': 'a', 'host': part}):
                kind, body = self.answer(wire.frame(wire.JOIN, wire.join_body([agent], 1)))
                if kind == wire.JOINED:
                    self.assertLess(body[3][0].get(0, 0), 0, part)
                else:
                    self.assertIn(kind, (wire.ERROR, None), part)
        self.assertEqual(set(self.c.agents()), before)

    def test_a_payload_one_byte_too_long_is_refused(self):
        head = '{"x":"'
        for n, taken in ((64 * 1024, True), (64 * 1024 + 1, False)):
            payload = head + 'y' * (n - len(head) - 2) + '"}'
            name = f'payload-{taken}'
            self.answer(wire.frame(wire.JOIN, wire_join_big(name, payload)))
            self.assertEqual(name + '@h' in self.c.agents(), taken)

    def test_huge_intervals_are_clamped(self):
        for i, interval in enumerate((0, 1, 0xffffffff)):
            kind, body = self.answer(wire.frame(wire.JOIN, wire.join_body(
                [{'binary': f'interval{i}', 'host': 'h', 'interval_ms': interval}], 1)))
            self.assertEqual(kind, wire.JOINED)
            agent = self.c.agents()[f'interval{i}@h']
            self.assertLessEqual(agent['report_interval_s'], 3.0 / 2.5)
            self.assertGreater(agent['report_interval_s'], 0)

    def test_two_of_one_name_are_one_agent(self):
        first = Sender(self.c.agents_port, ['twin@h']).start()
        self.addCleanup(first.die)
        wait.until(lambda: first.acked > 0, 'an ack')
        second = Sender(self.c.agents_port, ['twin@h']).start()
        self.addCleanup(second.die)
        wait.until(lambda: first.superseded, 'the older one is told')
        self.assertEqual(first.agents[0]['uuid'], second.agents[0]['uuid'])
        self.assertGreater(second.agents[0]['incarnation'], first.agents[0]['incarnation'])
        self.assertEqual(self.c.states()['twin@h'], 'up')

    # HTTP.

    def raw_http(self, raw):
        with socket.create_connection(('127.0.0.1', self.c.http_port), timeout=wait.PATIENCE) as sock:
            try:
                sock.sendall(raw)
                sock.shutdown(socket.SHUT_WR)
            except OSError:  # closed already: seen by the read
                pass
            return self.is_closed(sock)

    def test_random_bytes_at_the_http_door_are_answered_or_closed(self):
        for n in (1, 10, 1000, 40000):
            answer = self.raw_http(self.random.randbytes(n) + b'\r\n\r\n')
            self.assertFalse(answer.startswith(b'HTTP/1.1 2'), answer[:100])

    def test_forbidden_names_are_refused_in_urls(self):
        before = set(self.c.agents())
        quoted = [urllib.parse.quote(part, safe='') + '@h' for part in FORBIDDEN]
        for name in quoted + ['a%00@h', 'a%2Fb@h', 'a@h%00', 'a@h%2F', 'a@%ff', 'a%zz@h', '%', 'a', '@h', 'a@']:
            status = self.c.web.ask('PUT', f'/v1/agents/{name}/beat').status
            self.assertIn(status, (400, 404), name)
        self.assertEqual(set(self.c.agents()), before)

    def test_json_that_is_none_changes_nothing(self):
        path = '/v1/agents/good0@h/status'
        kind = b'Content-Type: application/json\r\n'
        for body in (b'', b'{', b'nonsense', b'[]', b'"x"', b'{"status":1}', b'{"status":"gone"}',
                     b'{"status":"enabled","status":"disabled"}', b'{"status":"disabled","x":1}',
                     b'{"status":"disabled","reason":"\\u0000"}', b'[' * 10000, b'\xff\xfe',
                     b'{"status":"disabled","reason":"' + b'r' * 300 + b'"}'):
            answer = self.raw_http(b'PUT ' + path.encode() + b' HTTP/1.1\r\nHost: localhost\r\n' + kind +
                                   b'Connection: close\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            self.assertTrue(answer.startswith(b'HTTP/1.1 400'), (body[:50], answer[:200]))
            self.assertIn(b'application/problem+json', answer)
        self.assertEqual(self.c.agents()['good0@h']['status'], 'enabled')

    def test_a_body_that_is_empty_is_told_so(self):
        answer = self.c.web.ask('PUT', '/v1/agents/good0@h/status',
                                headers={'Content-Type': 'application/json', 'Content-Length': '0'})
        self.assertEqual(answer.status, 400)
        self.assertIn('empty', answer.json['detail'])

    def test_a_body_one_byte_too_long_is_refused(self):
        answer = self.c.web.ask('PUT', '/v1/agents/good0@h/status',
                                {'status': 'disabled', 'reason': 'x' * 65536})
        self.assertEqual(answer.status, 413)

    def test_negative_and_huge_durations_are_refused(self):
        for text in ('-1s', '-5', '99999999999d', '1e99', 'nan', '', '0x10', '1' * 400):
            status = self.c.web.ask('PUT', f'/v1/agents/dur@h/beat?interval={text}').status
            self.assertEqual(status, 400, text)
        self.assertNotIn('dur@h', self.c.agents())

    def test_a_foreign_page_may_not_write(self):
        path = '/v1/agents/good0@h/status'
        body = {'status': 'disabled'}
        for headers in ({'Origin': 'http://evil.example'}, {'Host': 'evil.example'}, {'Origin': 'null'}):
            self.assertEqual(self.c.web.ask('PUT', path, body, headers).status, 403, headers)
        self.assertEqual(self.c.web.ask('PUT', path, body, {'Content-Type': 'text/plain'}).status, 415)
        self.assertEqual(self.c.agents()['good0@h']['status'], 'enabled')

    def test_memory_is_bounded(self):
        """After a storm of datagrams and of frames that never end."""
        before = self.c.memory()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(('127.0.0.1', self.c.agents_port))
            for _ in range(20000):
                udp.send(os.urandom(64))
        for _ in range(500):
            sock = self.stream()
            sock.sendall(struct.pack('>I', 100000) + b'\x01' + b'x' * 50000)
            sock.close()
        if not SANITIZED:
            self.assertLess(self.c.memory(), before + (64 << 20))


def wire_join_big(binary, payload):
    return wire.join_body([{'binary': binary, 'host': 'h', 'payload': payload}], 1)


if __name__ == '__main__':
    tap.main()
