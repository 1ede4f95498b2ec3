"""The HTTP API of a whole conductor: what docs/api.md shows, metrics under promtool, streams over a
restart, and floods."""

import http.client
import json
import os
import re
import socket
import subprocess
import time
import unittest

from lib import tap, wait
from lib.conductor import Conductor

DOCS = os.path.join(os.path.dirname(__file__), '../../docs')


class Stream:
    """An event stream, read line by line."""

    def __init__(self, port, path, headers=None):
        self.conn = http.client.HTTPConnection('127.0.0.1', port, timeout=wait.PATIENCE)
        self.conn.request('GET', path, headers={'Accept': 'text/event-stream', **(headers or {})})
        self.response = self.conn.getresponse()
        self.status = self.response.status

    def next(self):
        """The fields of the next message; None at the end."""
        fields = {}
        while True:
            line = self.response.readline().decode()
            if not line:
                return None
            line = line.rstrip('\n')
            if not line and 'data' in fields:
                return fields
            if line and not line.startswith(':'):
                key, value = line.split(': ', 1)
                fields[key] = value

    def until(self, kind):
        """The messages up to the first of @kind."""
        seen = []
        while not seen or seen[-1].get('event') != kind:
            message = self.next()
            if message is None:
                raise AssertionError(f'the stream ended before {kind}: {seen}')
            seen.append(message)
        return seen

    def close(self):
        self.conn.close()


def beat(c, name):
    answer = c.web.ask('PUT', f'/v1/agents/{name}/beat')
    assert answer.status in (200, 201), answer.text
    return answer


class Api(unittest.TestCase):
    def setUp(self):
        self.c = Conductor()
        self.addCleanup(self.c.clean)
        self.c.start()

    def test_every_command_of_the_page_works(self):
        with open(os.path.join(DOCS, 'api.md'), encoding='utf-8') as file:
            text = file.read()
        commands = re.findall(r'^    (curl .*)$', text, re.M) + re.findall(r'^\| `(curl [^`]*)`', text, re.M)
        self.assertGreater(len(commands), 14)
        c = f'http://127.0.0.1:{self.c.http_port}'
        for name in ('nova-compute@cmp-017', 'neutron-l3-agent@net-1'):
            beat(self.c, name)
        for command in commands:
            command = command.replace('since=4711', 'since=0').replace('wait=30s', 'wait=1s')
            # a stream goes on until it is told not to; what has no payload says so
            options = '-m 1 ' if '-sN' in command else ''
            result = subprocess.run(['bash', '-c', command.replace('curl ', f'curl -w "\\n%{{http_code}}" {options}', 1)],
                                    env={**os.environ, 'C': c}, capture_output=True, text=True, timeout=30)
            status = result.stdout.rsplit('\n', 1)[-1]
            self.assertIn(status, ('404',) if 'payload' in command else ('200', '201', '204'), command + result.stdout)

    def test_metrics_pass_promtool(self):
        beat(self.c, 'a@b')
        metrics = self.c.web.get('/metrics').text
        lint = subprocess.run(['promtool', 'check', 'metrics'], input=metrics, capture_output=True, text=True, timeout=30)
        self.assertEqual((lint.returncode, lint.stdout + lint.stderr), (0, ''))
        families = re.findall(r'^# TYPE (\S+)', metrics, re.M)
        self.assertEqual(len(families), len(set(families)))

    def test_the_document_is_served(self):
        with open(os.path.join(DOCS, 'openapi.json'), encoding='utf-8') as file:
            document = json.load(file)
        self.assertEqual(self.c.web.get('/v1/openapi.json').json, document)
        for path, item in document['paths'].items():
            allow = self.c.web.ask('OPTIONS', path.replace('{agent}', 'a@b')).headers['Allow']
            methods = {m.upper() for m in item if m != 'parameters'}
            self.assertEqual(set(allow.split(', ')), methods | {'OPTIONS'} | ({'HEAD'} if 'GET' in methods else set()))

    def test_an_answered_write_outlives_a_kill(self):
        uuid = beat(self.c, 'a@b').json['uuid']
        answer = self.c.web.ask('PUT', '/v1/agents/a@b/status', {'status': 'disabled', 'reason': 'disk'})
        etag = answer.headers['ETag']
        self.c.kill()
        self.c.start()
        answer = self.c.web.get(f'/v1/agents/{uuid}')
        self.assertEqual(answer.status, 200, answer.text + self.c.log())
        self.assertEqual((answer.json['status'], answer.json['disabled_reason']), ('disabled', 'disk'))
        self.assertEqual((answer.json['state'], answer.headers['ETag']), ('unknown', etag))
        beat(self.c, 'a@b')
        self.assertEqual(self.c.agents()['a@b']['state'], 'up')

    def test_a_stream_goes_on_after_a_restart(self):
        first = Stream(self.c.http_port, '/v1/events?since=0')
        self.addCleanup(first.close)
        beat(self.c, 'a@b')
        last = first.until('joined')[-1]['id']
        self.c.signal(15)
        self.assertEqual(first.until('end')[-1]['event'], 'end')
        self.assertIsNone(first.next())
        self.assertEqual(self.c.process.wait(10), 0)
        self.c.start()
        again = Stream(self.c.http_port, '/v1/events', {'Last-Event-ID': last})
        self.addCleanup(again.close)
        beat(self.c, 'c@d')
        seen = again.until('joined')
        numbers = [int(m['id']) for m in seen]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertGreater(numbers[0], int(last))
        self.assertEqual(json.loads(seen[-1]['data'])['agent'], 'c@d')

    def test_silent_connections_starve_nobody(self):
        sockets = []
        self.addCleanup(lambda: [s.close() for s in sockets])
        worst = 0
        for i in range(3000):
            s = socket.socket()
            s.connect(('127.0.0.1', self.c.http_port))
            s.setblocking(False)
            if i % 3 == 0:
                s.send(b'GET /v1/agents HTTP/1.1\r\nHost: local')
            sockets.append(s)
            if len(sockets) > 800:  # ours are few, those who attack have more
                sockets.pop(0).close() if i % 2 else sockets.pop(400).close()
            if i % 500 == 499:
                began = time.monotonic()
                self.assertEqual(self.c.web.get('/v1/summary').status, 200)
                worst = max(worst, time.monotonic() - began)
        if not wait.SANITIZED:
            self.assertLess(worst, 1)
        refused = self.c.web.metric('muster_http_connections')
        self.assertLessEqual(refused, 1024 + 1)

    def test_half_requests_and_rubbish_end_nothing(self):
        put = b'PUT /v1/agents/a@b/status HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
        for data, status in ((b'\0' * 1000, None), (b'GET', None), (b'GET / HTTP/1.1\r\nHo', None),
                             (put + b'Content-Length: 10\r\n\r\n{', None),
                             (b'GET / HTTP/9.9\r\n\r\n', 505), (b'GET /\r\n\r\n', 400), (b'\r\nx y z\r\n\r\n', 400),
                             (b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'y' * 100000 + b'\r\n\r\n', 431),
                             (put + b'Content-Length: -5\r\n\r\n', 400),
                             (put + b'Content-Length: 99999999999999999999\r\n\r\n', 413),
                             (put + b'Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n', 413),
                             (put + b'Transfer-Encoding: chunked\r\n\r\nnonsense\r\n', 400)):
            with socket.create_connection(('127.0.0.1', self.c.http_port), timeout=wait.PATIENCE) as s:
                try:
                    s.sendall(data)
                    answer = s.recv(100) if status else b''
                except ConnectionError:
                    continue  # it was closed on us while we spoke: fair
                if status:
                    self.assertEqual(answer[:12], f'HTTP/1.1 {status}'.encode(), data[:80])
            self.assertEqual(self.c.web.get('/livez').status, 200)
        self.assertEqual(self.c.agents(), {})


class Full(unittest.TestCase):
    def test_a_fleet_that_fills_up_is_told_of_in_time_and_refuses_who_is_too_many(self):
        with Conductor(Conductor.TIMES + '[conductor]\nmax_agents = 5\n') as c:
            for i in range(4):
                beat(c, f'a@h{i}')
            c.await_log('nearly full')
            beat(c, 'a@h4')
            answer = c.web.ask('PUT', '/v1/agents/a@h5/beat')
            self.assertEqual((answer.status, answer.json['type']), (503, 'urn:muster:problem:full'))
            beat(c, 'a@h0')  # who is known is heard
            self.assertEqual(c.web.ask('DELETE', '/v1/agents/a@h1').status, 204)
            beat(c, 'a@h5')
            self.assertEqual(c.web.get('/v1/summary').json['agents'], 5)
            self.assertEqual(c.log().count('nearly full'), 1)


if __name__ == '__main__':
    tap.main()
