"""The command line against a server of the test's own: every exit code, every way an answer can go
wrong, formats, terminals, completion. test_cli.py has a real conductor."""

import csv
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import yaml

from lib import tap, wait
from lib.conductor import MUSTER, clean_env
from lib.fake_api import JSON, FakeApi, agent, event, problem, whole

FLEET = [
    agent('nova-compute', 'cmp-1'),
    agent('nova-compute', 'cmp-10', state='down', zone=None, labels={}, age_s=100.5),
    agent('neutron-l3-agent', 'net-1', state='suspect', version='2, "beta"'),
    agent('Open vSwitch agent', 'nét-1', state='left', status='disabled', disabled_reason='x'),
]
COMMANDS = [['list'], ['summary'], ['show', 'a@b'], ['explain', 'a@b'], ['events'], ['events', '-w'], ['watch'],
            ['wait', '--for', 'up', 'a@b'], ['is-up', 'a@b'], ['enable', 'a@b'],
            ['disable', 'a@b'], ['force-down', 'a@b'], ['delete', 'a@b']]


def muster(*args, env=None, **kwargs):
    kwargs.setdefault('stdout', subprocess.PIPE)
    return subprocess.run([MUSTER, *args], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, timeout=wait.PATIENCE * 2, env=clean_env(env), **kwargs)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Silent:
    """Listens, and hands every connection to @serve."""

    def __init__(self, serve):
        self.serve = serve
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.socket.getsockname()[1]}'
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                self.serve(peer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Case(unittest.TestCase):
    def setUp(self):
        events = [event(1, 'nova-compute@cmp-1', 'up', 'down'),
                  event(5, 'nova-compute@cmp-1', 'down', 'up', reason='heard', detail={}),
                  event(6, None, None, None, kind='conductor', reason='conductor started', detail={'count': 3})]
        self.api = FakeApi(FLEET, events)
        self.api.agents = [dict(a) for a in self.api.agents]
        self.api.__enter__()
        self.addCleanup(self.api.__exit__)

    def run_ok(self, *args, code=0):
        result = muster(*args, '--conductor', self.api.url)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout

    def complains(self, result, code, *words):
        """Exit @code, nothing on standard output, one line that has every word."""
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count('\n'), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)


class Usage(Case):
    def test_unknown_things_name_the_nearest(self):
        self.complains(muster('lsit'), 2, 'lsit', '"list"')
        self.complains(muster('expl'), 2, '"explain"')
        self.complains(muster('list', '--colunm', 'x'), 2, '--colunm', '--column')
        self.complains(muster('--conducter', 'x', 'list'), 2, '--conductor')
        self.complains(muster('list', '-c', 'hots'), 2, 'hots', 'host')
        self.complains(muster('list', '--filter', 'stat=up'), 2, 'state')
        self.complains(muster('list', '-f', 'xml'), 2, 'xml', 'json')

    def test_contradictions_and_missing_things_are_usage_errors(self):
        for args in (['list', '--utc', '--epoch'], ['list', '-f', 'json', '-o', 'csv'],
                     ['list', '--sort-ascending', '--sort-descending'], ['list', '--limit', '0'],
                     ['list', '--filter', 'up'], ['list', 'x'], ['show'], ['wait', 'a@b'],
                     ['wait', '--for', 'dead', 'a@b'], ['wait', '--for', 'up', 'a@b', '--timeout', '-1'],
                     ['is-up', 'nohost'], ['is-up', 'a/b@c'], ['is-up', ''], ['delete', ''], ['show', ''],
                     ['force-down', '--undo', '--reason', 'x', 'a@b'], ['events', '-w', '--sort-column', 'at'],
                     ['list', '--timeout', 'soon'], ['list', '--color', 'red'], ['version', 'x'],
                     ['completion', 'tcsh']):
            with self.subTest(args=args):
                more = ['--conductor', self.api.url] if args[0] not in ('version', 'completion') else []
                self.complains(muster(*args, *more), 2)
        self.assertEqual(muster().returncode, 2)

    def test_wrong_addresses_are_usage_errors(self):
        for where in ('ftp://x', 'http://', 'http://x:99999', 'http://h o:1', ','):
            with self.subTest(where=where):
                self.complains(muster('list', '--conductor', where), 2)
        self.complains(muster('list', env={'MUSTER_CONDUCTOR': 'ftp://x'}), 2, 'MUSTER_CONDUCTOR')
        for command in (['agent', '--name', 'a@b'], ['sim', '-n', '1']):
            self.complains(muster(*command, env={'MUSTER_CONDUCTOR': 'foo'}), 2, 'MUSTER_CONDUCTOR', 'foo')
        self.complains(muster('db', 'bakup', 'x'), 2, '"bakup" is none of status, upgrade, backup')

    def test_options_stand_anywhere(self):
        a = muster('--conductor', self.api.url, 'show', 'nova-compute@cmp-1', '-f', 'json')
        b = muster('show', '-f', 'json', 'nova-compute@cmp-1', '--conductor', self.api.url)
        self.assertEqual((a.returncode, a.stdout), (0, b.stdout))
        self.complains(muster('--timeout', '1s', 'completion', 'bash'), 2, '--timeout')

    def test_help_has_examples_before_options(self):
        commands = re.findall(r'^  ([a-z-]+) {2,}', muster('--help').stdout.split('Commands:')[1].split('Options:')[0],
                              re.M)
        self.assertIn('list', commands)
        for command in commands:
            with self.subTest(command=command):
                result = muster(command, '--help')
                self.assertEqual((result.returncode, result.stderr), (0, ''))
                self.assertLess(result.stdout.index('Examples:'), result.stdout.index('Options:'))
                self.assertLessEqual(max(map(len, result.stdout.split('\n'))), 100)


class Failures(Case):
    def test_nobody_listens_is_5(self):
        where = f'http://127.0.0.1:{free_port()}'
        for command in COMMANDS:
            with self.subTest(command=command):
                self.complains(muster(*command, '--conductor', where), 5, where, '--conductor')

    def test_no_answer_in_time_is_5(self):
        go = threading.Event()
        with Silent(lambda peer: go.wait(wait.PATIENCE)) as silent:
            result = muster('list', '--conductor', silent.url, '--timeout', '200ms')
            go.set()
        self.complains(result, 5, silent.url, '200ms')

    def test_wait_is_out_of_time_when_the_conductor_is_mute(self):
        go = threading.Event()
        start = time.monotonic()
        with Silent(lambda peer: go.wait(wait.PATIENCE)) as silent:
            result = muster('wait', '--for', 'up', 'a@b', '--conductor', silent.url, '--timeout', '200ms')
            took = time.monotonic() - start
            go.set()
        self.complains(result, 7, 'a@b', '200ms')
        self.assertLess(took, 5)

    def test_what_does_not_speak_http_is_1(self):
        with Silent(lambda peer: peer.sendall(b'SSH-2.0-OpenSSH_9.2p1\r\n')) as other:
            self.complains(muster('list', '--conductor', other.url), 1, other.url)

    def test_an_answer_that_breaks_off_is_5(self):
        def half(peer):
            peer.recv(4096)
            peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"agents":[')
        with Silent(half) as other:
            self.complains(muster('list', '--conductor', other.url), 5)

    def test_rubbish_is_1(self):
        for kind, text in ((JSON, b'{"agents":['), ('text/html', b'<html>'), (JSON, b'[]'), (JSON, b'7'),
                           (JSON, b'{"agents":{}}'), (JSON, b''), (JSON, b'{"agents":"\xff"}')):
            for status in (200, 404):
                self.api.answers['/v1/agents'] = lambda q, a=(status, kind, text): a
                with self.subTest(text=text, status=status):
                    self.complains(muster('list', '--conductor', self.api.url), 1)

    def test_each_problem_has_its_code(self):
        for status, name, code in ((400, 'bad-parameter', 2), (403, 'foreign-host', 6), (404, 'no-such-agent', 4),
                                   (409, 'write-pending', 8), (412, 'changed-meanwhile', 8), (500, 'internal', 1),
                                   (503, 'store-away', 5), (503, 'outcome-unknown', 5)):
            self.api.answers['/v1/agents/a@b/status'] = lambda q: problem(status, name, f'because {name}\x1b[2J\nx')
            with self.subTest(name=name):
                self.complains(muster('enable', 'a@b', '--conductor', self.api.url), code, f'because {name}?[2J?x')

    def test_a_bare_500_is_1(self):
        self.api.answers['/v1/agents'] = lambda q: (500, 'text/plain', b'oops')
        self.complains(muster('list', '--conductor', self.api.url), 1, '500')

    def test_no_such_agent_is_4(self):
        for command in COMMANDS:
            if 'a@b' in command and command[0] != 'wait':
                with self.subTest(command=command):
                    self.complains(muster(*command, '--conductor', self.api.url), 4, 'a@b')

    def test_a_full_disk_is_1(self):
        for args in (['list'], ['list', '-f', 'json'], ['show', 'net-1'], ['explain', 'net-1'], ['events'],
                     ['is-up', 'nova-compute@cmp-1'], ['events', '-w', '--since', '0', '--limit', '1'],
                     ['watch', '--since', '0', '--limit', '1']):
            with self.subTest(args=args), open('/dev/full', 'wb') as full:
                self.complains(muster(*args, '--conductor', self.api.url, stdout=full), 1, 'No space')
        with open('/dev/full', 'wb') as full:
            self.complains(muster('--help', stdout=full), 1, 'No space')

    def test_a_closed_output_is_1(self):
        result = subprocess.run(['sh', '-c', 'exec "$0" list --conductor "$1" >&-', MUSTER, self.api.url],
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=clean_env(),
                                timeout=wait.PATIENCE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn('cannot write standard output', result.stderr)

    def test_a_closed_pipe_ends_quietly(self):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, 'wb') as closed:
            result = muster('list', '--conductor', self.api.url, stdout=closed)
        self.assertEqual((result.returncode, result.stderr), (-13, ''))

    def test_nobody_reading_any_more_ends_what_waits_for_events(self):
        for args in (['watch'], ['events', '-w']):
            with self.subTest(args=args), subprocess.Popen(
                    [MUSTER, *args, '--since', '5', '--conductor', self.api.url], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, env=clean_env()) as watching:
                patience = threading.Timer(wait.PATIENCE, watching.kill)
                patience.start()
                self.addCleanup(patience.cancel)
                lines = iter(watching.stdout.readline, '')
                self.assertTrue(any('conductor started' in line for line in lines))
                watching.stdout.close()
                self.assertEqual(watching.wait(wait.PATIENCE), -signal.SIGPIPE)
                self.assertEqual(watching.stderr.read(), '')


class Places(Case):
    def test_the_first_that_answers_is_taken(self):
        where = f'http://127.0.0.1:{free_port()},{self.api.url},http://127.0.0.1:{free_port()}'
        self.assertEqual(muster('list', '-q', env={'MUSTER_CONDUCTOR': where}).returncode, 0)
        nobody = f'http://127.0.0.1:{free_port()},http://127.0.0.1:{free_port()}'
        self.complains(muster('list', '--conductor', nobody), 5, 'none of 2 conductors')

    def test_own_scheme_wins(self):
        where = f'muster://127.0.0.1:1,{self.api.url}'
        result = muster('list', '-q', '-v', '--conductor', where)
        self.assertEqual(result.returncode, 0)
        self.assertNotIn(':4681', result.stderr)

    def test_a_unix_socket_is_a_place(self):
        where = '/nowhere/muster.sock'
        result = muster('list', '--conductor', where)
        self.complains(result, 5, f'{where}: No such file or directory; write http://HOST:PORT')
        self.assertNotIn('localhost', result.stderr)

    def test_proxies_are_not_asked(self):
        env = {'http_proxy': f'http://127.0.0.1:{free_port()}', 'MUSTER_CONDUCTOR': self.api.url}
        self.assertEqual(muster('list', '-q', env=env).returncode, 0)


class Formats(Case):
    NAMES = ['nova-compute@cmp-1', 'nova-compute@cmp-10', 'neutron-l3-agent@net-1', 'Open vSwitch agent@nét-1']

    def test_json_is_the_api_s(self):
        self.assertEqual(json.loads(self.run_ok('list', '-f', 'json')), self.api.agents)
        self.assertEqual(json.loads(self.run_ok('events', '-o', 'json')), self.api.events)
        self.assertEqual(json.loads(self.run_ok('show', 'net-1', '-f', 'json')), self.api.agents[2])

    def test_yaml_says_what_json_says(self):
        for args in (['list'], ['events'], ['show', 'net-1'], ['explain', 'net-1']):
            with self.subTest(args=args):
                self.assertEqual(yaml.safe_load(self.run_ok(*args, '-f', 'yaml')),
                                 json.loads(self.run_ok(*args, '-f', 'json')))

    def test_csv_can_be_read_back(self):
        keys = ['host', 'version', 'labels', 'zone', 'label.rack']
        rows = list(csv.DictReader(io.StringIO(self.run_ok('list', '-f', 'csv', *sum((['-c', k] for k in keys), [])),
                                               newline='')))
        self.assertEqual([r['version'] for r in rows], [a['version'] for a in self.api.agents])
        self.assertEqual([json.loads(r['labels']) for r in rows], [a['labels'] for a in self.api.agents])
        self.assertEqual([r['zone'] for r in rows], [a['zone'] or '' for a in self.api.agents])
        self.assertEqual([r['label.rack'] for r in rows], [a['labels'].get('rack', '') for a in self.api.agents])

    def test_names_and_values(self):
        self.assertEqual(self.run_ok('list', '-q').split('\n')[:-1], self.NAMES)
        self.assertEqual(self.run_ok('list', '-f', 'value', '-c', 'host,state').split('\n')[0], 'cmp-1 up')

    def test_every_page_is_read(self):
        self.api.page = 1
        self.assertEqual(self.run_ok('list', '-q').split('\n')[:-1], self.NAMES)
        self.assertEqual(json.loads(self.run_ok('list', '-f', 'json')), self.api.agents)

    def test_filters_limits_and_sorting(self):
        def names(*args, code=0):
            return self.run_ok('list', '-q', *args, code=code).split('\n')[:-1]
        self.assertEqual(names('--filter', 'host=cmp-*'), self.NAMES[:2])
        self.assertEqual(names('--filter', 'state=down,left'), [self.NAMES[1], self.NAMES[3]])
        self.assertEqual(names('--filter', 'host=cmp-*', '--filter', 'state=up'), self.NAMES[:1])
        self.assertEqual(names('--filter', 'zone='), self.NAMES[1:2])
        self.assertEqual(names('--filter', 'label.rack=r1', '--limit', '2'), [self.NAMES[0], self.NAMES[2]])
        self.assertEqual(names('--filter', 'name=*vSwitch*'), self.NAMES[3:])
        self.assertEqual(names('--limit', '3'), self.NAMES[:3])
        self.assertEqual(names('--sort-column', 'age_s', '--sort-descending', '--limit', '1'), self.NAMES[1:2])
        self.assertEqual(names('--filter', 'host=nobody', code=4), [])
        self.api.agents = []
        self.assertEqual(self.run_ok('list', '-f', 'json'), '[]\n')

    def test_several_filters_of_one_key_all_hold(self):
        self.assertEqual(self.run_ok('list', '-q', '--filter', 'host=cmp*', '--filter', 'host=*10'),
                         'nova-compute@cmp-10\n')
        self.run_ok('list', '-q', '--filter', 'host=cmp-1', '--filter', 'host=cmp-10', code=4)

    def test_beginnings_and_hosts_name_an_agent_for_readers(self):
        self.assertEqual(self.run_ok('show', 'net-1', '-f', 'name'), 'neutron-l3-agent@net-1\n')
        self.assertEqual(self.run_ok('show', 'neutron', '-f', 'name'), 'neutron-l3-agent@net-1\n')
        self.assertEqual(self.run_ok('show', 'nova-compute@cmp-1', '-f', 'name'), 'nova-compute@cmp-1\n')
        uuid = self.api.agents[0]['uuid']
        self.assertEqual(self.run_ok('show', uuid, '-f', 'value', '-c', 'host'), 'cmp-1\n')
        result = muster('show', 'nova', '--conductor', self.api.url)
        self.complains(result, 4, 'nova-compute@cmp-1,', 'nova-compute@cmp-10')

    def test_writers_take_whole_names_only(self):
        result = muster('delete', 'neutron-l3-agent@net', '--conductor', self.api.url)
        self.complains(result, 4)
        self.assertEqual(len(self.api.agents), 4)
        self.complains(muster('delete', 'nova', '--conductor', self.api.url), 2,
                       'a whole name is wanted: name "nova" has no \'@\': write BINARY@HOST')


class Commands(Case):
    def test_summary_counts_all_or_a_part(self):
        told = json.loads(self.run_ok('summary', '-f', 'json'))
        self.assertEqual(told['agents'], 4)
        self.assertEqual(self.run_ok('summary', '-f', 'value', '-c', 'agents,up,Down,disabled'), '4\n1\n1\n1\n')
        self.assertEqual(self.run_ok('summary', '-f', 'value', '-c', 'agents', '--filter', 'state=down,left'), '2\n')
        self.assertEqual(self.run_ok('summary', '-f', 'value', '-c', 'agents', '--filter', 'zone=nowhere'), '0\n')
        self.assertIn('Forced Down  0\n', self.run_ok('summary'))

    def test_summary_has_a_row_for_each_part(self):
        rows = json.loads(self.run_ok('summary', '--by', 'zone', '-f', 'json'))
        self.assertEqual([r['name'] for r in rows], sorted({a['zone'] or '' for a in self.api.agents}))
        self.assertEqual(sum(r['agents'] for r in rows), 4)
        self.assertRegex(self.run_ok('summary', '--by', 'zone'), '\n-  ')  # as `muster list` has it
        rows = list(csv.DictReader(io.StringIO(self.run_ok(
            'summary', '--by', 'binary', '-f', 'csv', '--sort-column', 'agents', '--sort-descending', '--limit', '1'))))
        self.assertEqual(rows, [{'name': 'nova-compute', 'agents': '2', 'up': '1', 'suspect': '0', 'down': '1',
                                 'left': '0', 'unknown': '0'}])
        self.assertEqual(self.run_ok('summary', '--by', 'binary', '-q', '--limit', '1'), 'Open vSwitch agent\n')

    def test_summary_refuses_what_it_cannot_count_by(self):
        for args, why in ((['--by', 'host'], 'zone or binary'), (['--filter', 'host=cmp-*'], 'host=cmp-*'),
                          (['--filter', 'version=1'], 'version=1')):
            self.complains(muster('summary', *args, '--conductor', self.api.url), 2, why)
        self.api.answers['/v1/summary'] = lambda query: (200, 'application/json', b'{}')
        self.complains(muster('summary', '--conductor', self.api.url), 1, 'no summary')

    def test_is_up_tells_by_its_code(self):
        self.assertEqual(self.run_ok('is-up', 'nova-compute@cmp-1'), 'up\n')
        self.assertEqual(self.run_ok('is-up', 'nova-compute@cmp-10', code=3), 'down\n')
        self.assertEqual(self.run_ok('is-up', '-q', 'neutron-l3-agent@net-1', code=3), '')

    def test_writes_say_what_they_did(self):
        name = 'Open vSwitch agent@nét-1'
        self.assertEqual(self.run_ok('enable', name), f'{name}: enabled\n')
        self.run_ok('disable', '--reason', 'a "disk"', name)
        self.run_ok('force-down', '--reason', 'é', name)
        self.run_ok('force-down', '--undo', name)
        self.run_ok('delete', name)
        path = '/v1/agents/Open%20vSwitch%20agent@n%C3%A9t-1'
        self.assertEqual([(m, p, json.loads(b) if b else None) for m, p, b in self.api.asked],
                         [('PUT', path + '/status', {'status': 'enabled'}),
                          ('PUT', path + '/status', {'status': 'disabled', 'reason': 'a "disk"'}),
                          ('PUT', path + '/forced-down', {'forced_down': True, 'reason': 'é'}),
                          ('PUT', path + '/forced-down', {'forced_down': False}),
                          ('DELETE', path, None)])

    def test_one_failure_does_not_keep_the_others(self):
        result = muster('disable', 'a@b', 'nova-compute@cmp-1', '--conductor', self.api.url)
        self.assertEqual((result.returncode, result.stdout), (4, 'nova-compute@cmp-1: disabled\n'))

    def test_a_name_that_is_none_changes_nothing(self):
        for args in (['enable'], ['disable'], ['force-down'], ['force-down', '--undo'], ['delete']):
            with self.subTest(args=args):
                self.complains(muster(*args, 'nova-compute@cmp-1', 'bad', '--conductor', self.api.url), 2, '"bad"')
        self.assertEqual(self.api.asked, [])

    def test_explain_tells_people_the_verdict_first(self):
        lines = self.run_ok('explain', 'nova-compute@cmp-1').split('\n')
        self.assertEqual(lines[0], '+ nova-compute@cmp-1 is up: heard 3.2 s ago, suspect after 25 s of silence')
        for part in ('Rule', 'Numbers', 'Last beats (2)', 'Our own hearing', 'What would change it'):
            self.assertIn(part, lines)
        for fact in ('detector         phi, policy DEFAULT', 'suspect after    15 s, at the latest 25 s',
                     'down after       35 s, between 35 s and 60 s', 'mean gap         10.001 s', 'phi              0.139'):
            self.assertIn('  ' + fact, lines)

    def test_events_are_the_newest_or_those_since(self):
        self.assertEqual(self.run_ok('events', '-f', 'value', '-c', 'seq', '--limit', '2'), '5\n6\n')
        self.assertEqual(self.run_ok('events', '-f', 'value', '-c', 'seq', '--since', '0', '--limit', '2'), '1\n5\n')
        self.assertEqual(self.run_ok('events', '-f', 'value', '-c', 'seq', '--filter', 'to=up'), '5\n')
        self.assertEqual(self.run_ok('events', '-f', 'value', '-c', 'seq', '--filter', 'kind=conductor'), '6\n')

    def test_watch_says_what_a_number_of_the_conductor_counts(self):
        lines = (('conductor started', {'count': 3}, 'conductor started, 3 unknown'),
                 ('datagrams dropped by the kernel', {'count': 7}, 'by the kernel, 7 datagrams'),
                 ('events lost', {'count': 2, 'first': 8, 'last': 9}, 'events lost, 2 from 8 to 9'),
                 ('conductor stalled', {'stall_ms': 5000}, 'conductor stalled, for 5.0 s'))
        for seq, (reason, detail, _) in enumerate(lines, 20):
            self.api.happen(event(seq, None, None, None, kind='conductor', reason=reason, detail=detail))
        out = self.run_ok('watch', '--since', '6', '--limit', str(len(lines))).splitlines()
        for line, (_, _, end) in zip(out, lines, strict=True):
            self.assertTrue(line.endswith(end), line)

    def test_wait_sees_what_holds_already(self):
        self.run_ok('wait', '--for', 'up', 'nova-compute@cmp-1')
        self.run_ok('wait', '--for', 'gone', 'Open vSwitch agent@nét-1')
        self.run_ok('wait', '--for', 'gone', 'a@b')
        result = muster('wait', '--for', 'up', 'a@b', '--timeout', '100ms', '--conductor', self.api.url)
        self.complains(result, 7, 'a@b', 'gone', '100ms')

    def test_wait_is_woken_by_an_event(self):
        with subprocess.Popen([MUSTER, 'wait', '--for', 'down', 'nova-compute@cmp-1', '--conductor', self.api.url],
                              env=clean_env()) as waiting:
            wait.until(lambda: any('wait=' in p for _, p, _ in self.api.asked), 'a long poll')
            self.api.agents[0]['state'] = 'down'
            self.api.happen(event(9, 'nova-compute@cmp-1', 'up', 'down'))
            self.assertEqual(waiting.wait(wait.PATIENCE), 0)
        self.assertLess(len(self.api.asked), 8)

    def test_events_w_goes_on_after_the_conductor_was_away(self):
        """Nothing twice, nothing missed."""
        broken = threading.Event()

        def away(query):
            return problem(503, 'draining', 'the conductor stops') if broken.is_set() else self.api.feed(query)
        self.api.answers['/v1/events'] = away
        with subprocess.Popen([MUSTER, 'events', '-w', '-f', 'json', '--since', '5', '--conductor', self.api.url],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=clean_env()) as watching:
            patience = threading.Timer(wait.PATIENCE, watching.kill)
            patience.start()
            self.assertEqual(json.loads(watching.stdout.readline())['seq'], 6)
            broken.set()
            self.api.happen(event(7, 'nova-compute@cmp-1', 'up', 'down'))  # a poll may be under way
            self.assertIn('trying again', watching.stderr.readline())
            self.api.happen(event(8, 'nova-compute@cmp-1', 'down', 'up'))
            broken.clear()
            self.assertEqual([json.loads(watching.stdout.readline())['seq'] for _ in 'ab'], [7, 8])
            self.assertIn('is back', watching.stderr.readline())
            patience.cancel()
            watching.terminate()

    def test_trimmed_events_are_told_and_passed_over(self):
        def trimmed(query):
            if int(query.get('since', 5)) < 4:
                return problem(410, 'events-trimmed', 'gone', oldest=5)
            return self.api.feed(query)
        self.api.answers['/v1/events'] = trimmed
        result = muster('events', '--since', '0', '-f', 'value', '-c', 'seq', '--conductor', self.api.url)
        self.assertEqual((result.returncode, result.stdout), (0, '5\n6\n'))
        self.assertIn('events 1 to 4 are no longer kept', result.stderr)


class Terminal(Case):
    def on_terminal(self, *args, width=80, env=None):
        """What `muster @args` prints on a terminal of this width."""
        main, sub = pty.openpty()
        import fcntl
        import struct
        import termios
        fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack('HHHH', 24, width, 0, 0))
        env = clean_env({'TERM': 'xterm', 'LC_ALL': 'C'} | (env or {}))
        env.pop('NO_COLOR', None) if 'NO_COLOR' not in env else None
        with subprocess.Popen([MUSTER, *args, '--conductor', self.api.url], stdin=sub, stdout=sub, stderr=sub,
                              env=env) as process:
            os.close(sub)
            out = b''
            while True:
                try:
                    more = os.read(main, 65536)
                except OSError:
                    break
                if not more:
                    break
                out += more
            process.wait(wait.PATIENCE)
        os.close(main)
        return out.decode().replace('\r\n', '\n')

    def test_colour_only_where_it_is_wanted(self):
        for args, env, coloured in (([], {}, True), ([], {'NO_COLOR': '1'}, False), ([], {'TERM': 'dumb'}, False),
                                    (['--color', 'never'], {}, False), (['--color', 'always'], {'NO_COLOR': '1'}, True)):
            for command in (['list'], ['show', 'net-1'], ['explain', 'net-1'], ['watch', '--since', '0', '--limit', '1']):
                with self.subTest(args=args, env=env, command=command):
                    out = self.on_terminal(*command, *args, env=env)
                    self.assertEqual('\x1b[' in out, coloured, out)
        self.assertNotIn('\x1b', self.run_ok('list'))
        self.assertIn('\x1b[', self.run_ok('list', '--color', 'always'))
        forced = muster('list', '--conductor', self.api.url, env={'CLICOLOR_FORCE': '1'})
        self.assertIn('\x1b[', forced.stdout)

    def test_state_is_told_by_word_and_sign(self):
        out = self.on_terminal('list', '--color', 'never')
        for text in ('+ up', '! down', '~ suspect', '- left'):
            self.assertIn(text, out)

    def test_a_terminal_cuts_and_a_pipe_does_not(self):
        self.api.agents[0]['state_reason'] = 'long ' * 60
        out = self.on_terminal('list', '-c', 'host,state_reason', '--color', 'never', width=60)
        self.assertLessEqual(max(map(len, out.split('\n'))), 60)
        self.assertIn('long ' * 60, self.run_ok('list', '-c', 'host,state_reason'))

    def test_names_keep_their_letters_in_any_locale(self):
        self.assertIn('nét-1', self.on_terminal('list', '--color', 'never', env={'LC_ALL': 'C'}))
        self.assertIn('nét-1', muster('list', '--conductor', self.api.url, env={'LC_ALL': 'POSIX'}).stdout)


class Completion(Case):
    def complete(self, line):
        """What bash offers at the end of @line."""
        script = (f'PATH={os.path.dirname(os.path.abspath(MUSTER))}:$PATH\n. <(muster completion bash)\n'
                  'COMP_LINE=$1 COMP_POINT=${#1}\n_muster\nprintf "%s\\n" "${COMPREPLY[@]}"\n')
        result = subprocess.run(['bash', '--norc', '-c', script, 'bash', line], capture_output=True, text=True,
                                timeout=wait.PATIENCE, env=clean_env({'MUSTER_CONDUCTOR': self.api.url}))
        self.assertEqual(result.stderr, '')
        return result.stdout.split('\n')[:-1]

    def test_bash_completes_commands_options_and_values(self):
        self.assertEqual(self.complete('muster exp'), ['explain'])
        self.assertIn('--sort-column', self.complete('muster list --s'))
        self.assertEqual(self.complete('muster --conductor x list --qu'), ['--quiet'])
        self.assertEqual(self.complete('muster list -f j'), ['json'])
        self.assertEqual(self.complete('muster wait --for d'), ['down'])
        self.assertEqual(self.complete('muster completion z'), ['zsh'])

    def test_bash_completes_living_names(self):
        self.assertEqual(self.complete('muster show nova-compute@cmp-10'), ['cmp-10'])
        self.assertEqual(self.complete('muster show neu'), ['neutron-l3-agent@net-1'])
        self.assertEqual(self.complete('muster show Open'), ['Open\\ vSwitch\\ agent@nét-1'])

    def test_every_shell_is_told_every_option(self):
        options = set(re.findall(r'--([a-z-]+)', muster('list', '--help').stdout))
        for shell, form in (('bash', '--{}'), ('zsh', '--{}'), ('fish', '-l {}')):
            script = muster('completion', shell).stdout
            for option in options - {'filter'}:
                with self.subTest(shell=shell, option=option):
                    self.assertIn(form.format(option), script)


if __name__ == '__main__':
    tap.main()
