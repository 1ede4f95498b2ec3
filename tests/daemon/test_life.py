#!/usr/bin/env python3
"""A conductor's life as a process: start, ports, signals, log, end."""

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from lib import tap, wait
from lib.conductor import MUSTER, NO_NET_ADMIN, Conductor, clean_env
from lib.program import Program
from lib.wire import Sender

NOBODY = 65534

# Root without its rights. setpriv gives them up after the program was found, which may lie under /root.
ORDINARY = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups'] if os.geteuid() == 0 else []


class Begin(unittest.TestCase):
    def test_the_ports_file_names_both_ports_and_nothing_else(self):
        with Conductor() as c:
            with open(c.ports_file, encoding='ascii') as file:
                self.assertRegex(file.read(), r'\Aagents=\d+\nhttp=\d+\n\Z')
            self.assertEqual([n for n in os.listdir(c.folder) if n.startswith('ports')], ['ports'])
            socket.create_connection(('127.0.0.1', c.agents_port), timeout=5).close()
            self.assertEqual(c.web.get('/livez').status, 200)

    def test_it_is_ready_once_it_listens(self):
        with Conductor() as c:
            self.assertEqual(c.web.get('/readyz').status, 200)
            text = c.web.get('/readyz?verbose').text
            for check in ('store', 'journal', 'hearing', 'draining'):
                self.assertIn(f'[+]{check} ok', text)

    def test_the_log_tells_that_it_is_ready_and_where(self):
        with Conductor() as c:
            line = next(line for line in c.log().splitlines() if 'ready' in line)
            self.assertIn(f'agents_port={c.agents_port}', line)
            self.assertIn(f'http_port={c.http_port}', line)
            self.assertRegex(line, r'max_streams=[1-9]\d*')

    def test_the_log_tells_what_the_receive_buffer_holds(self):
        with Conductor(config='[conductor]\nreceive_buffer = 64KiB\n') as c:
            self.assertIn(f'info transport: receive buffer bytes={64 << 10} holds_beats=157 ', c.log())
            self.assertIn(f'muster_receive_buffer_bytes {64 << 10}\n', c.web.get('/metrics').text)

    def test_a_small_receive_buffer_is_told_with_the_cure(self):
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 30)
            most = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        if most >= 1 << 30:
            self.skipTest('net.core.rmem_max allows 1 GiB')
        with Conductor(config='[conductor]\nreceive_buffer = 1GiB\n', prefix=NO_NET_ADMIN) as c:
            line = next(line for line in c.log().splitlines() if 'receive buffer' in line)
            self.assertIn(f'bytes={most} asked={1 << 30} ', line)
            self.assertIn(f'net.core.rmem_max={1 << 30}', line)
            self.assertIn(f'muster_receive_buffer_bytes {most}\n', c.web.get('/metrics').text)

    def test_a_taken_port_is_named_with_its_owner_and_the_flag(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            port = taken.getsockname()[1]
            for flag in ('--listen', '--http'):
                c = Conductor(args=[flag, f'127.0.0.1:{port}'])
                self.addCleanup(c.clean)
                self.assertEqual(c.launch().process.wait(wait.PATIENCE), 1)
                self.assertIn(str(port), c.log())
                self.assertIn(f'process {os.getpid()} ', c.log())
                self.assertIn(flag, c.log())

    def test_a_signal_to_one_that_cannot_begin_does_no_harm(self):
        with Conductor() as c:
            c.stop()
            os.chmod(c.db + '.secret', 0o644)  # for which it will give up, once it has the database
            for signum in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
                db = sqlite3.connect(c.db, isolation_level=None)
                db.execute('BEGIN EXCLUSIVE')
                c.launch()
                wait.until(lambda: self.holder(c) == c.process.pid, c.log, pause=0.001)
                c.signal(signum)
                db.close()
                self.assertEqual(c.process.wait(wait.PATIENCE), 6, c.log())

    @staticmethod
    def holder(c):
        with open(c.db + '.lock', encoding='ascii') as file:
            return int((file.read().split() or [0])[0])

    def test_the_place_of_the_database_is_made_where_none_was_given(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder:
            os.chmod(folder, 0o777)
            ports = os.path.join(folder, 'ports')
            with Program('conductor', '--config', os.devnull, '--listen', '127.0.0.1:0', '--http',
                         '127.0.0.1:0', '--ports-file', ports, env={'XDG_STATE_HOME': folder + '/state'},
                         prefix=ORDINARY) as program:
                wait.until(lambda: os.path.exists(ports), program.log)
                self.assertEqual(program.stop(), 0)
            self.assertEqual(stat.S_IMODE(os.stat(folder + '/state/muster').st_mode), 0o700)
            self.assertEqual(stat.S_IMODE(os.stat(folder + '/state/muster/muster.db').st_mode), 0o600)

    def test_the_place_of_root_is_made_too(self):
        inside = 'mount -t tmpfs none /var/lib && mkdir /var/lib/t && exec "$@"'
        alone = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', inside, 'sh']
        if subprocess.run([*alone, 'true'], stderr=subprocess.DEVNULL).returncode:
            self.skipTest('no namespaces of one\'s own here')
        script = ('"$0" conductor --config /dev/null --listen 127.0.0.1:0 --http 127.0.0.1:0 --ports-file'
                  ' /var/lib/t/ports & while [ ! -e /var/lib/t/ports ] && kill -0 $!; do sleep 0.02; done;'
                  ' stat -c "%a %n" /var/lib/muster /var/lib/muster/muster.db; kill $!; wait $!')
        result = subprocess.run([*alone, 'sh', '-c', script, MUSTER], env=clean_env(), capture_output=True,
                                text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, '700 /var/lib/muster\n600 /var/lib/muster/muster.db\n')

    def test_the_fleet_secret_is_made_once_and_for_its_owner_alone(self):
        with Conductor() as c:
            path = c.db + '.secret'
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with open(path, encoding='ascii') as file:
                first = file.read()
            self.assertRegex(first, r'\A[0-9a-f]{32}\n\Z')
            self.assertEqual(c.web.ask('PUT', '/v1/agents/a@b/beat').status, 201)
            c.stop()
            c.start()
            with open(path, encoding='ascii') as file:
                self.assertEqual(file.read(), first)

    def test_who_reported_to_a_database_that_is_gone_joins_the_new_one_and_is_no_other(self):
        with Conductor() as c, Sender(c.agents_port, ['a@old']) as old:
            with open(c.db + '.secret', encoding='ascii') as file:
                secret = file.read()
            c.kill()
            old.silent.set()
            for end in ('', '-wal', '-shm'):
                os.unlink(c.db + end)
            c.start()
            new = Sender(c.agents_port, ['b@new'])
            self.addCleanup(new.die)
            new.join()
            self.assertEqual(new.session, old.session)
            self.assertNotEqual(new.key, old.key)
            with open(c.db + '.secret', encoding='ascii') as file:
                self.assertEqual(file.read(), secret)  # of another database, it may be
            old.silent.clear()
            wait.until(lambda: c.states() == {'a@old': 'up', 'b@new': 'down'}, c.log)
            self.assertEqual(c.agents()['b@new']['report_count'], 1)

    def test_a_secret_that_others_can_read_is_refused(self):
        with Conductor() as c:
            c.stop()
            os.chmod(c.db + '.secret', 0o644)
            self.assertNotEqual(c.launch().process.wait(wait.PATIENCE), 0)
            self.assertIn('chmod 600', c.log())

    def test_a_secret_that_is_none_is_refused(self):
        with Conductor() as c:
            c.stop()
            with open(c.db + '.secret', 'w', encoding='ascii') as file:
                file.write('0123')
            self.assertNotEqual(c.launch().process.wait(wait.PATIENCE), 0)
            self.assertIn('holds no fleet secret', c.log())

    def test_an_agent_without_the_token_is_refused(self):
        with Conductor() as c:
            c.stop()
            token = os.path.join(c.folder, 'token')
            with open(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), 'w', encoding='ascii') as file:
                file.write('sesame\n')
            c.set_config(Conductor.TIMES + f'[conductor]\ntoken_file = {token}\n')
            c.start()
            sender = Sender(c.agents_port, ['a@h'])
            with self.assertRaises((ConnectionError, AssertionError)):
                sender.join()
            sender.die()
            self.assertEqual(c.agents(), {})
            self.assertNotIn('sesame', c.log())

    def test_few_descriptors_are_told_with_the_cure(self):
        c = Conductor(prefix=['prlimit', '--nofile=100:100'])
        self.addCleanup(c.clean)
        self.assertNotEqual(c.launch().process.wait(wait.PATIENCE), 0)
        self.assertIn('LimitNOFILE', c.log())


class Folder(unittest.TestCase):
    def test_one_that_cannot_be_made_is_told_with_its_reason(self):
        for env, why in (({'HOME': '/proc/none'}, 'No such file or directory'),
                         ({'XDG_STATE_HOME': '/dev/null/x'}, 'Not a directory')):
            with self.subTest(env=env):
                r = subprocess.run([*ORDINARY, MUSTER, 'conductor', '--config', os.devnull, '--listen',
                                    '127.0.0.1:0', '--http', '127.0.0.1:0'], env=clean_env(env),
                                   capture_output=True, text=True, timeout=60)
                self.assertEqual(r.returncode, 1)
                self.assertIn('cannot make the folder', r.stderr)
                self.assertIn(why, r.stderr)
                self.assertIn('--store', r.stderr)

    def test_a_socket_of_another_is_left_and_told(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder, \
             socket.socket(socket.AF_UNIX) as other:
            os.chmod(folder, 0o777)
            path = os.path.join(folder, 'agents.sock')
            other.bind(path)
            os.chmod(path, 0)
            r = subprocess.run([*ORDINARY, MUSTER, 'conductor', '--config', os.devnull, '--store', 'memory:',
                                '--listen', path, '--http', '127.0.0.1:0'], env=clean_env(),
                               capture_output=True, text=True, timeout=60)
            self.assertEqual(r.returncode, 6)
            self.assertIn(f'cannot listen on {path}: a socket is there to which we may not connect', r.stderr)
            self.assertTrue(os.path.exists(path))


class Log(unittest.TestCase):
    def test_each_change_is_a_line_with_its_reason(self):
        with Conductor() as c:
            with Sender(c.agents_port, [f'a{i}@h' for i in range(20)]) as sender:
                wait.until(lambda: sender.acked > 1, 'acks')
                sender.silent.set()
                wait.until(lambda: len(c.downs()) == 20, lambda: c.states())
            c.web.ask('PUT', '/v1/agents/a1@h/status', {'status': 'disabled', 'reason': 'new disks'})
            c.stop()
            lines = c.log().splitlines()
            for i in range(20):
                about = [line for line in lines if f' agent=a{i}@h ' in line]
                self.assertIn('info fleet: joined ', about[0])
                self.assertRegex('\n'.join(about), r'warn fleet: down .*from=suspect to=down '
                                                    r'reason=silence silence_ms=\d+ threshold_ms=3000')
            self.assertRegex(c.log(), 'info fleet: disabled agent=a1@h .*reason="new disks"')

    def test_in_json_each_line_is_an_object_whatever_the_name(self):
        names = ['a"b@h', 'a\\b@h', 'ä é@h', 'a=b {c}@"x": 1', '😀@h']
        with Conductor(args=['--log-format', 'json']) as c:
            for name in names:
                path = '/v1/agents/' + urllib.parse.quote(name, safe='@') + '/beat'
                self.assertEqual(c.web.ask('PUT', path).status, 201)
            c.stop()
            lines = [json.loads(line) for line in c.log().splitlines()]
            self.assertEqual([line['agent'] for line in lines if line['message'] == 'joined'], names)


class End(unittest.TestCase):
    def test_a_term_stores_what_there_is_and_ends_with_0(self):
        with Conductor() as c:
            with Sender(c.agents_port, [f'a{i}@h' for i in range(50)]) as sender:
                wait.until(lambda: sender.acked > 1, 'acks')
                started = time.monotonic()
                self.assertEqual(c.stop(), 0, c.log())
                self.assertLess(time.monotonic() - started, 5)
                c.start()
                agents = c.agents()
                self.assertEqual(len(agents), 50)
                for agent in agents.values():  # the last checkpoint has its beats
                    self.assertGreater(agent['report_count'], 0)

    def frozen(self, c):
        """Something waits for a store that does not answer."""
        db = sqlite3.connect(c.db, isolation_level=None)
        self.addCleanup(db.close)
        db.execute('BEGIN EXCLUSIVE')
        self.assertEqual(c.web.ask('PUT', '/v1/agents/a@h/beat').status, 503)

    def test_a_store_that_does_not_answer_holds_up_the_end_for_5_s_at_most(self):
        with Conductor() as c:
            self.frozen(c)
            started = time.monotonic()
            self.assertEqual(c.stop(patience=30), 1)
            if not wait.SANITIZED:
                self.assertLess(time.monotonic() - started, 5.5)
            self.assertIn('could not be stored', c.log())

    def test_a_second_term_ends_it_at_once(self):
        with Conductor() as c:
            self.frozen(c)
            c.signal(signal.SIGTERM)
            c.await_log('draining')
            started = time.monotonic()
            wait.until(lambda: c.signal(signal.SIGTERM) or c.process.poll() is not None, c.log, pause=0.06)
            self.assertEqual(c.process.wait(10), 1)
            self.assertLess(time.monotonic() - started, 1.5)

    def test_a_term_that_comes_twice_is_one(self):
        with Conductor() as c:
            for _ in range(5):
                began = time.monotonic()
                c.signal(signal.SIGTERM)
                c.signal(signal.SIGTERM)  # as timeout(1) hands it on: to its child, then to the group
                apart = time.monotonic() - began
                code = c.process.wait(10)
                if apart < 0.01 and not wait.SANITIZED:  # else we were held up: they may be two
                    self.assertEqual(code, 0, c.log())
                c.start()

    def test_a_draining_one_is_alive_but_not_ready_and_takes_no_new_agents(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/known@h/beat?interval=300s')
            self.frozen(c)
            c.signal(signal.SIGTERM)
            c.await_log('draining')
            self.assertEqual(c.web.get('/livez').status, 200)
            self.assertIn('[-]draining', c.web.get('/readyz?verbose').text)
            self.assertEqual(c.web.ask('PUT', '/v1/agents/new@h/beat').status, 503)
            self.assertEqual(c.web.ask('PUT', '/v1/agents/known@h/beat?interval=300s').status, 200)

    def test_its_socket_files_go_and_those_of_others_stay(self):
        with tempfile.TemporaryDirectory(prefix='muster-test-') as folder:
            paths = [os.path.join(folder, name) for name in ('agents', 'http')]
            args = ['--listen', paths[0], '--http', paths[1]]
            with Conductor(args=args) as c:
                self.assertEqual(sorted(os.listdir(folder)), ['agents', 'http'])
                c.stop()
                self.assertEqual(os.listdir(folder), [])
            with Conductor(args=args) as c:
                for path in paths:
                    os.rename(path, path + '.old')
                    with socket.socket(socket.AF_UNIX) as other:
                        other.bind(path)
                c.stop()
                for path in paths:
                    self.assertTrue(os.path.exists(path), path)

    def test_an_interrupt_is_as_good_as_a_term(self):
        with Conductor() as c:
            c.signal(signal.SIGINT)
            self.assertEqual(c.process.wait(10), 0)

    def test_the_ports_are_free_again_at_once(self):
        with Conductor() as c:
            ports = c.agents_port, c.http_port
            for _ in range(3):
                self.assertEqual(c.stop(), 0)
                c.start()
                self.assertEqual((c.agents_port, c.http_port), ports)

    def test_the_state_is_told_in_the_log_on_usr1(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/a@h/beat')
            c.signal(signal.SIGUSR1)
            c.await_log('state of the transport')
            line = next(line for line in c.log().splitlines() if 'state of the fleet' in line)
            self.assertTrue(re.search(r'\bagents=1\b', line) and re.search(r'\bup=1\b', line), line)

    def test_a_reader_that_waits_is_let_go(self):
        with Conductor() as c:
            with socket.create_connection(('127.0.0.1', c.http_port), timeout=10) as sock:
                sock.sendall(b'GET /v1/events HTTP/1.1\r\nHost: localhost\r\n'
                             b'Accept: text/event-stream\r\n\r\n')
                self.assertIn(b'200', sock.recv(4096))
                self.assertEqual(c.stop(), 0)
                while sock.recv(4096):
                    pass


if __name__ == '__main__':
    tap.main()
