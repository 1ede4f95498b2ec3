#!/usr/bin/env python3
"""A fleet kept in MariaDB: who is refused, and what may happen to the server. The driver by itself is
looked at by contract/store.c."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
from urllib.parse import quote

from lib import away, tap, wait
from lib.conductor import SOAK, Conductor, muster
from lib.mariadb import PASSWORD, USER, Server, Session

PAGE = os.path.join(os.path.dirname(__file__), '../../docs/store.md')
AWAY = 4  # seconds
SECRETS = PASSWORD, quote(PASSWORD, safe='')
TABLES = ('agents', 'beats', 'events', 'history', 'meta')


class Base(away.Away):
    """A server for a class of tests, a database for each."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server())

    def setUp(self):
        self.database = self.id().rsplit('.', 1)[1][-60:]
        self.place = self.server.place(self.database)
        self.addCleanup(self.server.be_there)

    def conductor(self, store=None, **kwargs):
        c = Conductor(store=store or self.place, **kwargs)
        self.addCleanup(c.clean)
        return c

    def session(self):
        session = Session(self.server, self.database)
        self.addCleanup(session.close)
        return session

    def number(self, sql):
        return int(self.server.sql(sql, self.database)[0][0])

    def check_events(self):
        """None twice, and as many as are counted: in one look, since the conductor goes on."""
        self.assertEqual(self.number("SELECT value - (SELECT COUNT(*) FROM events) FROM meta "
                                     "WHERE `key` = 'event_count'"), 0)

    def put(self, c, name):
        return c.web.ask('PUT', f'/v1/agents/{name}/beat?interval=300s').status


class Refused(Base):
    def refuse(self, c, *words, code=1):
        """Expects that @c ends with @code and one line that has @words."""
        self.addCleanup(c.clean)
        before = len(c.log()) if os.path.exists(c.log_file) else 0
        self.assertEqual(c.launch().process.wait(wait.PATIENCE), code, c.log())
        log = c.log()[before:]
        self.assertEqual(log.count('\n'), 1, log)
        for word in words:
            self.assertIn(word, log)
        for secret in SECRETS:
            self.assertNotIn(secret, log)

    def test_a_wrong_password_names_the_user(self):
        self.refuse(Conductor(store=self.server.url(self.database, password='else')), USER, 'password_file', code=6)

    def test_a_database_that_is_not_there_is_named(self):
        self.server.sql(f'GRANT ALL ON none.* TO {USER}')
        self.refuse(Conductor(store=self.server.url('none')), 'CREATE DATABASE `none`')

    def test_a_server_that_is_not_there_is_named(self):
        c = self.conductor()
        c.store = f'mysql://{USER}@127.0.0.1:{c.agents_port}/{self.database}'
        self.refuse(c, f'127.0.0.1:{c.agents_port}', code=5)

    def test_an_unknown_key_tells_those_there_are(self):
        self.refuse(Conductor(store=self.place + '?sslca=x'), 'sslca', 'unix_socket', 'password_file', 'ssl_ca',
                    code=2)

    def test_a_file_that_is_not_there_is_named(self):
        for key in 'ssl_ca', 'password_file':
            url = self.server.url(self.database, password='').replace(':@', '@') + f'?{key}=/nonexistent/file'
            with self.subTest(key=key):
                self.refuse(Conductor(store=url), f'{key} /nonexistent/file: No such file', code=2)

    def test_a_database_of_something_else_is_left_alone(self):
        self.server.sql('CREATE TABLE songs (name TEXT)', self.database)
        self.refuse(Conductor(store=self.place), self.database)
        self.assertEqual(self.server.sql('SHOW TABLES', self.database), [['songs']])

    def test_a_newer_schema_is_not_touched(self):
        with self.conductor() as c:
            c.stop()
            self.server.sql("UPDATE meta SET value = 999 WHERE `key` = 'schema'", self.database)
            self.refuse(c, '999')
            status = muster('db', 'status', '--store', self.place)
            self.assertRegex(status.stdout, 'schema   999 .*\nwants .*\nagents   0\nevents   .*\nstarts   1\n')
            self.server.sql('RENAME TABLE agents TO members', self.database)
            status = muster('db', 'status', '--store', self.place)
            self.assertEqual(status.returncode, 0, status.stderr)
            self.assertRegex(status.stdout, 'agents   unknown\n.*\nstarts   unknown\nbytes    [1-9]')

    def test_a_number_that_is_gone_ends_the_start(self):
        with self.conductor() as c:
            c.stop()
            self.server.sql('CREATE TABLE good AS SELECT * FROM meta', self.database)
            for key in ('epoch', 'event_limit', 'next_row'):
                with self.subTest(key=key):
                    self.server.sql(f"DELETE FROM meta WHERE `key` = '{key}'", self.database)
                    self.refuse(c, f"the row '{key}' of meta is gone or damaged")
                    self.server.sql('REPLACE INTO meta SELECT * FROM good', self.database)

    def test_a_second_conductor_names_the_first(self):
        with self.conductor() as first:
            self.refuse(Conductor(store=self.place), f'pid {first.process.pid}')
            self.assertTrue(first.web.ready())

    def test_a_password_file_that_others_may_read_is_refused(self):
        c = self.conductor()
        file = os.path.join(c.folder, 'password')
        with open(file, 'w', encoding='ascii') as out:
            out.write(PASSWORD + '\n')
        os.chmod(file, 0o644)
        c.store = f'mysql://{USER}@127.0.0.1:{self.server.port.number}/{self.database}?password_file={file}'
        self.refuse(c, file, 'chmod 600', code=6)
        os.chmod(file, 0o600)
        c.start()
        self.assertTrue(c.web.ready())


class Beside(Base):
    """muster db and other programs beside a running conductor."""

    def test_status_tells_who_has_it_and_upgrade_waits(self):
        with self.conductor() as c:
            self.put(c, 'a@h')
            status = muster('db', 'status', '--store', self.place)
            self.assertEqual(status.returncode, 0, status.stderr)
            self.assertIn('agents   1\n', status.stdout)
            self.assertIn(f'open by  {c.process.pid} ', status.stdout)
            upgrade = muster('db', 'upgrade', '--store', self.place)
            self.assertEqual(upgrade.returncode, 1)
            self.assertIn(str(c.process.pid), upgrade.stderr)
            self.assertEqual(c.stop(), 0)
            self.assertIn('open by  nobody', muster('db', 'status', '--store', self.place).stdout)
            upgrade = muster('db', 'upgrade', '--store', self.place)
            self.assertIn('up to date', upgrade.stdout, upgrade.stderr)

    def test_backup_names_the_tool_that_does_it(self):
        backup = muster('db', 'backup', '/nonexistent/copy', '--store', self.place)
        self.assertEqual(backup.returncode, 1)
        for word in (f'--result-file=/nonexistent/copy {self.database};', 'mariadb-dump', 'epoch', 'event_limit'):
            self.assertIn(word, backup.stderr)

    def test_a_step_that_was_cut_off_is_taken_again(self):
        with self.conductor() as c:
            self.put(c, 'a@h')
            c.stop()
            self.server.sql("DROP VIEW history; UPDATE meta SET value = 0 WHERE `key` = 'schema'", self.database)
            c.start()
            self.assertIn('a@h', c.agents())
            self.assertGreater(self.number('SELECT COUNT(*) FROM history'), 0)

    def test_the_password_is_shown_nowhere(self):
        with self.conductor(args=['--log-level', 'debug']) as c:
            said = [c.web.get('/readyz?verbose').text, c.web.get('/metrics').text]
            self.server.kill()
            self.put(c, 'a@h')  # is something to write
            wait.until(lambda: not c.web.ready(), c.log)
            said.append(c.web.get('/readyz?verbose').text)
            self.server.start()
            wait.until(c.web.ready, c.log, patience=30)
            for args in (['config', 'show'], ['db', 'status']):
                result = muster(*args, '--store', self.place)
                said += [result.stdout, result.stderr]
            said.append(c.log())
            with open(f'/proc/{c.process.pid}/cmdline', encoding='utf-8') as file:
                said.append(file.read())
            for text in said:
                for secret in SECRETS:
                    self.assertNotIn(secret, text)

    def test_what_people_read_is_as_documented(self):
        with self.conductor() as c:
            self.put(c, 'nova-compute@cmp-1')
            self.disable(c, 'nova-compute@cmp-1', 'disk')
            row = self.server.sql('SELECT agent, state, status, disabled_reason, joined_at FROM fleet', self.database)
            self.assertEqual(row[0][:4], ['nova-compute@cmp-1', 'up', 'disabled', 'disk'])
            self.assertRegex(row[0][4], r'^20..-..-..T..:..:..\....Z$')
            self.assertEqual(self.server.sql("SELECT `from`, `to`, reason FROM history WHERE kind = 'status'",
                                             self.database), [['enabled', 'disabled', 'disk']])

    def test_the_pages_queries_run(self):
        with open(PAGE, encoding='utf-8') as page:
            text = page.read()
        queries = re.findall(r'```mariadb\n(.*?)```', text, re.S)
        queries += [q for q in re.findall(r'```sql\n(.*?)```', text, re.S)
                    if not re.search(r'json_|strftime|printf|"|binary', q)]
        self.assertGreater(len(queries), 8)
        with self.conductor() as c:
            self.put(c, 'nova-compute@cmp-1')
            self.disable(c, 'nova-compute@cmp-1', 'disk')
            answers = [self.server.sql(query, self.database) for query in queries]
        section = text.split('\n## On a MariaDB server\n')[1].split('\n## ')[0]
        for raised in re.findall(r'^UPDATE meta .*;$', section, re.M):
            self.server.sql(raised, self.database)
        self.assertEqual(self.number("SELECT value FROM meta WHERE `key` = 'epoch'"), 1001)
        self.assertGreater(self.number("SELECT value FROM meta WHERE `key` = 'event_limit'"), 10 ** 9)
        self.assertIn([['nova-compute', 'up', '1']], answers)
        self.assertIn([['nova-compute', 'cmp-1', '0' * 16]], answers)


class Ways(Base):
    """How a server is reached."""

    def test_by_its_socket(self):
        c = self.conductor(self.server.url(self.database).replace(f'127.0.0.1:{self.server.port.number}', '')
                           + f'?unix_socket={self.server.socket}')
        with c:
            self.assertTrue(c.web.ready())

    def test_by_tls_with_a_certificate_that_is_right(self):
        folder = self.certificates()
        options = [f'--ssl-{key}={folder}/{name}.pem' for key, name in (('ca', 'ca'), ('cert', 'server'),
                                                                       ('key', 'server-key'))]
        with Server(options) as server:
            url = server.place('fleet')
            server.sql(f'ALTER USER {USER} REQUIRE X509')
            ours = f'&ssl_cert={folder}/client.pem&ssl_key={folder}/client-key.pem'
            for query, words in ((f'?ssl_ca={folder}/other.pem{ours}', 'ertificate'),
                                 (f'?ssl_ca={folder}/ca.pem', 'password_file'),
                                 ('', 'password_file')):
                with self.subTest(query=query):
                    c = self.conductor(url + query)
                    self.assertNotEqual(c.launch().process.wait(wait.PATIENCE), 0)
                    self.assertIn(words, c.log())
            with self.conductor(f'{url}?ssl_ca={folder}/ca.pem{ours}') as c:
                self.assertTrue(c.web.ready())
            status = muster('db', 'status', '--store', self.server.url(self.database) + f'?ssl_ca={folder}/ca.pem')
            self.assertEqual(status.returncode, 1)  # that server speaks no TLS
            self.assertIn('SSL', status.stderr)

    def certificates(self):
        """Two authorities, and what the first one has signed."""
        folder = tempfile.mkdtemp(prefix='muster-test-')
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)

        def openssl(*args):
            subprocess.run(['openssl', *args], cwd=folder, check=True, capture_output=True)

        for name in ('ca', 'other'):
            openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', f'/CN={name}', '-days', '2',
                    '-keyout', f'{name}-key.pem', '-out', f'{name}.pem')
        for name in ('server', 'client'):
            openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=127.0.0.1', '-keyout', f'{name}-key.pem',
                    '-out', f'{name}.csr')
            openssl('x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial',
                    '-days', '2', '-out', f'{name}.pem')
        for name in os.listdir(folder):
            os.chmod(os.path.join(folder, name), 0o644)  # the server is another user
        return folder


class Away(Base):
    def away(self, c, *args):
        super().away(c, *args)
        self.check_events()

    def test_a_frozen_server_stops_nothing(self):
        with self.conductor() as c:
            self.away(c, self.server.freeze, self.server.thaw, away.FROZEN)

    def test_a_server_that_is_killed_stops_nothing(self):
        with self.conductor() as c:
            self.away(c, self.server.kill, self.server.start, AWAY)

    def test_a_server_that_takes_nobody_stops_nothing(self):
        with self.conductor() as c:
            def refuse():
                self.server.sql(f'ALTER USER {USER} ACCOUNT LOCK')
                self.end_connections()

            self.addCleanup(self.server.sql, f'ALTER USER {USER} ACCOUNT UNLOCK')
            self.away(c, refuse, lambda: self.server.sql(f'ALTER USER {USER} ACCOUNT UNLOCK'), AWAY)

    def test_a_server_that_may_not_be_written_stops_nothing(self):
        with self.conductor() as c:
            self.addCleanup(self.server.sql, 'SET GLOBAL read_only = 0')
            self.away(c, lambda: self.server.sql('SET GLOBAL read_only = 1'),
                      lambda: self.server.sql('SET GLOBAL read_only = 0'), AWAY)

    def test_tables_that_another_has_locked_stop_nothing(self):
        with self.conductor() as c:
            other = self.session()
            self.away(c, lambda: other.ask('BEGIN; SELECT * FROM meta FOR UPDATE'), lambda: other.ask('ROLLBACK'), AWAY)

    def test_another_server_at_the_address_stops_nothing(self):
        """A copy that does not know of what was stored last."""
        with Server() as first:
            first.sql(f'CREATE DATABASE fleet; GRANT ALL ON fleet.* TO {USER}')
            with self.conductor(first.url('fleet')) as c:
                self.put(c, 'early@h')
                self.assertEqual(c.stop(), 0)
                first.stop()
                second = Server(copy_of=first, port=first.port)
                self.addCleanup(second.clean)
                first.start()
                c.start()
                self.put(c, 'late@h')
                epoch = first.sql("SELECT value FROM meta WHERE `key` = 'epoch'", 'fleet')
                limit = first.sql("SELECT value FROM meta WHERE `key` = 'event_limit'", 'fleet')
                super().away(c, first.kill, second.__enter__, AWAY)
                self.assertIn('early@h', c.agents())
                # the copy knew of no such life; the one that followed began beyond it
                self.assertEqual(int(second.sql("SELECT value FROM meta WHERE `key` = 'epoch'", 'fleet')[0][0]),
                                 int(epoch[0][0]) + 1)
                self.assertGreater(int(second.sql("SELECT value FROM meta WHERE `key` = 'event_limit'", 'fleet')[0][0]),
                                   int(limit[0][0]))

    def end_connections(self):
        for (number,) in self.server.sql(f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'"):
            self.server.sql(f'KILL {number}')


class Trouble(Base):
    def test_a_deadlock_is_tried_again(self):
        with self.conductor() as c:
            self.put(c, 'a@h')
            other = self.session()
            other.ask('CREATE TABLE ballast (n INT PRIMARY KEY)')
            other.ask('BEGIN; INSERT INTO ballast SELECT seq FROM seq_1_to_2000')  # the lighter one is the victim
            other.ask('UPDATE agents SET version = version')
            other.ask("UPDATE agents SET revision = revision + 0, zone = 'x'")
            answers = []
            asker = threading.Thread(target=lambda: answers.append(self.disable(c, 'a@h', 'y').status))
            asker.start()
            waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            wait.until(lambda: self.number(waiting) == 1, c.log)
            self.assertEqual(other.ask("UPDATE meta SET value = value + 0 WHERE `key` = 'epoch'"), [])
            other.ask('UPDATE meta SET value = value')
            self.assertEqual(other.ask("SELECT zone FROM agents"), ['x'])
            other.ask('ROLLBACK')
            asker.join()
            wait.until(lambda: self.disable(c, 'a@h', 'z').status == 200, c.log)
            self.assertGreaterEqual(c.web.metric('muster_store_errors_total'), 1)
            self.assertEqual(c.agents()['a@h']['disabled_reason'], 'z')
            self.check_events()

    def test_a_table_that_is_full_waits_for_room(self):
        with Server(['--innodb-file-per-table=0', '--innodb-data-file-path=ibdata1:12M:autoextend:max:24M']) as server:
            server.sql(f'CREATE DATABASE fleet; GRANT ALL ON fleet.* TO {USER}')
            with self.conductor(server.url('fleet')) as c:
                self.put(c, 'first@h')
                fill = Session(server, 'fleet')
                self.addCleanup(fill.close)
                fill.ask('CREATE TABLE filler (n INT AUTO_INCREMENT PRIMARY KEY, t LONGTEXT)')
                room = Session(server, 'fleet')  # a full server drops no table, but takes back what was not committed
                self.addCleanup(room.close)
                room.ask("BEGIN; INSERT INTO filler (t) VALUES (REPEAT('x', 4000000))")
                for size in (1000000, 60000, 8000):
                    wait.until(lambda: fill.ask(f"INSERT INTO filler (t) VALUES (REPEAT('x', {size}))"), 'full', 60, 0)
                made = []

                def make():
                    made.append(f'a{len(made)}@{"h" * 200}')
                    return self.put(c, made[-1]) == 503

                wait.until(make, 'a 503', 60, 0)
                wait.until(lambda: 'no room' in c.web.get('/readyz?verbose').text, c.log)
                self.assertEqual(room.ask('ROLLBACK'), [])
                wait.until(c.web.ready, c.log, patience=30)
                wait.until(lambda: self.put(c, made[-1]) == 200, c.log)
                self.assertEqual(set(c.agents()), {'first@h', *made})
                self.assertEqual(server.sql('SELECT COUNT(*) FROM events', 'fleet'),
                                 server.sql("SELECT value FROM meta WHERE `key` = 'event_count'", 'fleet'))

    def test_one_that_was_taken_for_dead_writes_nothing_more(self):
        first, second = self.conductor(), self.conductor()
        with first:
            self.put(first, 'a@h')
            first.signal(signal.SIGSTOP)
            self.server.sql(f"KILL {self.number('SELECT connection FROM holder')}")
            with second:
                self.put(second, 'b@h')
                before = [self.server.sql(f'SELECT * FROM {table}', self.database) for table in TABLES]
                first.signal(signal.SIGCONT)
                self.assertIn(self.disable(first, 'a@h', 'x').status, (500, 503))
                self.assertNotEqual(first.process.wait(wait.PATIENCE), 0)
                self.assertIn('taken over', first.log())
                self.assertEqual([self.server.sql(f'SELECT * FROM {table}', self.database) for table in TABLES],
                                 before)
                self.assertTrue(second.web.ready())

    def test_what_is_left_of_a_lost_connection_is_ended(self):
        relay = away.Relay(self.server.port.number)
        self.addCleanup(relay.close)
        place = self.place.replace(f':{self.server.port.number}/', f':{relay.port}/')
        with self.conductor(place) as c:
            self.put(c, 'a@h')
            lost = self.number('SELECT connection FROM holder')
            relay.cut()
            sessions = 'SELECT COUNT(*) FROM information_schema.processlist WHERE id = '
            self.assertEqual(self.number(f'{sessions}{lost}'), 1)  # and it has the lock
            wait.until(lambda: self.disable(c, 'a@h', 'x').status == 200, c.log, patience=60)
            self.assertEqual(self.number(f'{sessions}{lost}'), 0)
            self.assertNotEqual(self.number('SELECT connection FROM holder'), lost)
            self.check_events()

    @unittest.skipUnless(SOAK, 'takes two minutes: soak only')
    def test_one_that_says_nothing_loses_the_lock(self):
        with self.conductor() as first:
            first.signal(signal.SIGSTOP)
            wait.until(lambda: not self.number("SELECT COUNT(*) FROM information_schema.processlist"
                                               f" WHERE user = '{USER}'"), 'the end of the session', 150, 1)
            with self.conductor() as second:
                first.signal(signal.SIGCONT)
                self.assertNotEqual(first.process.wait(60), 0)
                self.assertIn('taken over', first.log())
                self.assertTrue(second.web.ready())

    def test_a_killed_server_loses_nothing_that_was_answered(self):
        with self.conductor() as c:
            self.put(c, 'a@h')
            answered, stopped = [0], threading.Event()

            def write():
                n = 0
                while not stopped.is_set():
                    n += 1
                    if self.disable(c, 'a@h', f'reason {n}').status == 200:
                        answered.append(n)

            writer = threading.Thread(target=write)
            writer.start()
            self.addCleanup(writer.join)
            self.addCleanup(stopped.set)
            for _ in range(3):
                before = len(answered)
                wait.until(lambda: len(answered) > before + 20, c.log, patience=60)
                self.server.kill()
                self.server.start()
            before = len(answered)
            wait.until(lambda: len(answered) > before + 5, c.log, patience=60)
            stopped.set()
            writer.join()
            reasons = [row[0] for row in self.server.sql("SELECT reason FROM events WHERE kind = 'status' ORDER BY seq",
                                                         self.database)]
            self.assertEqual(len(reasons), len(set(reasons)))
            self.assertLessEqual({f'reason {n}' for n in answered[1:]}, set(reasons))
            self.check_events()


if __name__ == '__main__':
    tap.main()
