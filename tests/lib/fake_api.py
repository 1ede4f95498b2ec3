"""A server that answers as docs/api.md says, or as a test wants: wrong, late, never.

    with FakeApi(agents=[agent('nova-compute', 'cmp-1')]) as api:
        muster('list', '--conductor', api.url)

What is asked is kept in .asked, as (method, path, body). A test that wants another answer puts a
function into .answers under the path: it is handed the request and returns (status, type, bytes)."""

import http.server
import json
import threading
import time
import uuid
from urllib.parse import parse_qs, unquote, urlsplit

JSON = 'application/json'


def agent(binary, host, **more):
    made = {'uuid': str(uuid.uuid5(uuid.NAMESPACE_DNS, f'{binary}@{host}')), 'binary': binary,
            'host': host, 'zone': 'az1', 'labels': {'rack': 'r1'}, 'version': '1.0',
            'status': 'enabled', 'disabled_reason': None, 'forced_down': False, 'state': 'up',
            'state_reason': 'heard', 'state_since': '2026-11-22T18:48:18.123Z',
            'last_seen_at': '2026-11-22T18:59:01.004Z', 'age_s': 3.204, 'report_count': 1204,
            'incarnation': 4294967297, 'report_interval_s': 10.0, 'down_time_s': 60.0}
    return made | more


def event(seq, who, came_from, to, **more):
    made = {'seq': seq, 'at': '2026-11-22T18:59:01.004Z', 'agent': who, 'uuid': None,
            'kind': 'state', 'from': came_from, 'to': to, 'reason': 'silence',
            'detail': {'silence_ms': 60012, 'threshold_ms': 60000, 'stall_ms': 0}}
    return made | more


def problem(status, name, detail, **more):
    body = {'type': f'urn:muster:problem:{name}', 'title': name, 'status': status,
            'detail': detail} | more
    return status, 'application/problem+json', json.dumps(body).encode()


def whole(value, status=200):
    return status, JSON, json.dumps(value).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.server.api.asked.append((self.command, self.path, body.decode()))
        given = self.server.api.route(self.command, self.path, body)
        if given is None:  # no answer at all
            self.close_connection = True
            return
        status, kind, text = given
        self.send_response(status)
        self.send_header('Content-Type', kind)
        if status != 204:
            self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        if status != 204:
            self.wfile.write(text)

    do_GET = do_PUT = do_DELETE = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that went away is none."""


class FakeApi:
    def __init__(self, agents=(), events=(), page=1000):
        self.agents = sorted(agents, key=lambda a: (a['host'], a['binary']))
        self.events, self.page = list(events), page
        self.asked, self.answers = [], {}
        self.changed = threading.Condition()
        self.closing = False

    def __enter__(self):
        self.server = Server(('127.0.0.1', 0), Handler)
        self.server.api = self
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}'
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def happen(self, what):
        with self.changed:
            self.events.append(what)
            self.changed.notify_all()

    def find(self, name):
        for a in self.agents:
            if name in (a['uuid'], f"{a['binary']}@{a['host']}"):
                return a
        return None

    def route(self, method, target, body):
        parts = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.path in self.answers:
            return self.answers[parts.path](query)
        if parts.path == '/v1/agents':
            return self.list(query)
        if parts.path == '/v1/summary':
            return whole(summary(self.pick(query)))
        if parts.path == '/v1/events':
            return self.feed(query)
        names = [unquote(p) for p in parts.path.split('/')[3:]]
        found = self.find(names[0]) if names else None
        if not found:
            return problem(404, 'no-such-agent', f'no agent "{names[0]}"')
        return self.one(method, found, names[1] if len(names) > 1 else '', body)

    def one(self, method, found, what, body):
        if method == 'DELETE':
            self.agents.remove(found)
            return 204, JSON, b''
        if method == 'PUT':
            told = json.loads(body)
            if what == 'status':
                found['status'], found['disabled_reason'] = told['status'], told.get('reason')
            else:
                found['forced_down'] = told['forced_down']
                found['state'] = 'down' if told['forced_down'] else 'up'
        if what == 'explain':
            return whole(explanation(found))
        return whole(found)

    def pick(self, query):
        found = self.agents
        for key, value in query.items():
            if key.startswith('label.'):
                found = [a for a in found if a['labels'].get(key[6:]) == value]
            elif key == 'state':
                found = [a for a in found if a['state'] in value.split(',')]
            elif key == 'name_prefix':
                found = [a for a in found if f"{a['binary']}@{a['host']}".startswith(value)]
            elif key in ('binary', 'host', 'zone', 'status'):
                found = [a for a in found if (a[key] or '') == value]
        return found

    def list(self, query):
        found = self.pick(query)
        start, n = int(query.get('page_token', 0)), min(int(query.get('limit', 1000)), self.page)
        more = str(start + n) if start + n < len(found) else None
        return whole({'agents': found[start:start + n], 'next_page_token': more})

    def feed(self, query):
        since, limit = int(query.get('since', -1)), int(query.get('limit', 100))
        wait = float(query.get('wait', '0ms').removesuffix('ms')) / 1000

        def wanted():
            return [e for e in self.events if e['seq'] > since
                    and query.get('agent', e['agent']) == e['agent']
                    and query.get('kind', e['kind']) == e['kind']]
        with self.changed:
            until = time.monotonic() + wait
            while not wanted() and not self.closing and time.monotonic() < until:
                self.changed.wait(until - time.monotonic())
            found = wanted()[:limit] if since >= 0 else wanted()[-limit:]
            newest = max((e['seq'] for e in self.events), default=0)
            last = found[-1]['seq'] if len(found) == limit and since >= 0 else newest
            return whole({'events': found, 'next': max(last, since, 0), 'oldest': 1})


def summary(found):
    def states(agents):
        return {state: sum(a['state'] == state for a in agents)
                for state in ('up', 'suspect', 'down', 'left', 'unknown')}

    def parts(key):
        return {name: states([a for a in found if (a[key] or '') == name])
                for name in sorted({a[key] or '' for a in found})}
    disabled = sum(a['status'] == 'disabled' for a in found)
    return {'as_of': '2026-11-22T18:59:01.004Z', 'agents': len(found), 'states': states(found),
            'status': {'enabled': len(found) - disabled, 'disabled': disabled},
            'forced_down': sum(a['forced_down'] for a in found),
            'zones': parts('zone'), 'binaries': parts('binary')}


def explanation(found):
    return {'agent': found, 'verdict': f"{found['state']}: heard 3.2 s ago, suspect after 25 s of silence",
            'rule': 'silence of more than 60 s is down', 'detector': 'phi', 'policy': 'DEFAULT',
            'suspect_time_s': 25.0, 'earliest_down_time_s': 35.0, 'suspect_after_s': 15.0,
            'down_after_s': 35.0, 'level': 0.092,
            'numbers': [{'name': 'mean gap', 'value': 10.001, 'unit': 's'},
                        {'name': 'phi', 'value': 0.139, 'unit': None}],
            'silence_s': 3.204, 'stalls_s': 0.0, 'suspect_in_s': 21.796,
            'down_in_s': 56.796,
            'beats': [{'at': '2026-11-22T18:59:01.004Z', 'gap_s': 10.001},
                      {'at': '2026-11-22T18:58:51.003Z', 'gap_s': None}],
            'path': 'datagram 127.0.0.1:51234', 'session': '00000001a3f09c11', 'index': 0,
            'hearing': {'deaf': False, 'summary': 'we hear', 'stalled_total_s': 0.0,
                        'last_stall_at': None, 'last_stall_s': 0.0, 'drops': 0},
            'changes': ['no beat for 25 s: suspect']}
