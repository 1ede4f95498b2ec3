#!/usr/bin/env python3
"""A conductor whose database is a PostgreSQL server, and what may happen to that server."""

import os
import re
import socket
import subprocess
import tempfile
import unittest

from lib import away, tap, wait
from lib.conductor import Conductor, muster
from lib.postgres import Server, program
from lib.program import Program
from lib.wire import Sender

PAGE = os.path.join(os.path.dirname(__file__), '../../docs/store.md')


class OnServer(unittest.TestCase):
    """One server for all tests of a class, one schema for each."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.clean)
        cls.server.start()
        cls.schemas = 0

    def place(self, **kwargs):
        """The URL of an empty schema."""
        type(self).schemas += 1
        self.schema = f's{self.schemas}'
        self.server.psql(f'CREATE SCHEMA {self.schema}')
        return self.server.url(self.schema, **kwargs)

    def conductor(self, url, **kwargs):
        c = Conductor(store=url, **kwargs)
        self.addCleanup(c.clean)
        c.set_config(f'{c.TIMES}[conductor]\nsecret_file = {c.folder}/secret\n')
        return c

    def sql(self, sql):
        return self.server.psql(f'SET search_path = {self.schema};' + sql)

    def backend(self):
        """The server's pid for the conductor."""
        return self.server.psql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'muster: %'")[0]


class Refused(OnServer):
    def refuse(self, url, *words, code=1):
        """Expects that a conductor ends with @code and one line that has @words."""
        c = self.conductor(url).launch()
        self.assertEqual(c.process.wait(wait.PATIENCE), code, c.log())
        self.assertNotIn('  ', c.log())
        self.assertEqual(c.log().count('\n'), 1, c.log())
        for word in words:
            self.assertIn(word, c.log())
        self.assertNotIn('s3cret', c.log())

    def test_a_wrong_password_is_told_and_not_shown(self):
        url = self.place(password='s3cretly')
        self.server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        self.refuse(url, 'muster:***@127.0.0.1', 'password authentication failed', 'correct user and password',
                    code=6)

    def test_a_password_that_is_missing_is_told(self):
        self.refuse(self.place(password='').replace(':@', '@'), 'no password supplied', 'passfile', code=6)

    def test_a_passfile_without_the_password_is_named(self):
        url = self.place(password='').replace(':@', '@')
        with tempfile.NamedTemporaryFile('w', suffix='.pgpass') as file:
            self.refuse(f'{url}&passfile={file.name}', f'passfile {file.name}: has no line', code=6)
        self.refuse(f'{url}&passfile={file.name}', f'passfile {file.name}: No such file', 'mode 0600', code=6)

    def test_a_passfile_for_all_to_read_is_named_with_the_cure(self):
        with tempfile.NamedTemporaryFile('w', suffix='.pgpass') as file:
            os.chmod(file.name, 0o644)
            c = self.conductor(self.place(password='').replace(':@', '@') + f'&passfile={file.name}').launch()
            self.assertEqual(c.process.wait(wait.PATIENCE), 6, c.log())
            self.assertIn(f'passfile {file.name}: is not for its owner alone: chmod 600 it', c.log())

    def test_a_password_that_breaks_the_url_is_not_shown(self):
        for password in ('s3cret/s3cret', '1/s3cret', '1/?s3cret=x', '%zzs3cret'):
            with self.subTest(password=password):
                self.refuse(self.server.url(password=password), 'write postgresql://', '%2F', code=2)

    def test_a_database_that_is_not_there_is_named(self):
        self.server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        for password in (None, 's3cret'):
            with self.subTest(password=password):
                self.refuse(self.server.url(database='fleets', password=password), '"fleets" does not exist',
                            'create it: createdb', ' fleets,')

    def test_a_server_that_is_not_there_is_named(self):
        self.refuse('postgresql://127.0.0.1:1,127.0.0.1:2/fleet', 'port 1 failed: Connection refused; ',
                    'port 2 failed: Connection refused; is the server running, and the URL right?', code=5)
        status = muster('db', 'status', '--store', 'postgresql://127.0.0.1:1/fleet')
        self.assertEqual(status.returncode, 5, status.stderr)

    def test_a_schema_that_is_not_there_is_told(self):
        self.refuse(self.server.url('nowhere'), 'no schema of the search_path exists')

    def test_a_user_without_rights_is_told(self):
        url = self.place(user='guest')
        self.server.psql(f'CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA {self.schema} TO guest')
        self.refuse(url, 'permission denied for schema', 'grant it CREATE')

    def test_another_encoding_is_refused(self):
        self.server.psql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        self.refuse(self.server.url(database='latin'), 'LATIN1', "ENCODING 'UTF8'")

    def test_tables_of_something_else_are_left_alone(self):
        url = self.place()
        self.sql('CREATE TABLE events (name text)')
        self.refuse(url, 'not muster')
        self.assertEqual(self.sql("SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"),
                         ['events'])

    def test_a_newer_schema_is_not_touched(self):
        url = self.place()
        c = self.conductor(url).start()
        c.stop()
        self.sql("UPDATE meta SET value = 999 WHERE key = 'schema'")
        self.refuse(url, '999')
        self.assertRegex(muster('db', 'status', '--store', url).stdout, 'schema   999 .*\nwants .*\nagents   0\nevents   .*\nstarts   1\n')
        self.sql('ALTER TABLE agents RENAME TO members; CREATE VIEW agents AS SELECT 1/(random()::int * 0)')
        status = muster('db', 'status', '--store', url)
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertRegex(status.stdout, 'agents   unknown\n.*\nstarts   unknown\nbytes    [1-9]')

    def test_a_number_that_is_gone_ends_the_start(self):
        url = self.place()
        self.conductor(url).start().stop()
        for spoil in ("DELETE FROM meta WHERE key = 'epoch'", "INSERT INTO meta (key, value) VALUES ('epoch', -1)"):
            with self.subTest(spoil=spoil):
                self.sql(spoil)
                self.refuse(url, "the row 'epoch' of meta is gone or damaged")

    def test_a_parameter_that_is_none_is_named(self):
        self.refuse(self.server.url() + '&sslmod=x', 'invalid URI query parameter: "sslmod"', code=2)

    def test_a_second_conductor_names_the_first_and_follows_when_it_is_dead(self):
        url = self.place()
        first = self.conductor(url).start()
        self.refuse(url, f'pid {first.process.pid} on ')
        self.assertTrue(first.web.ready())
        first.kill()
        second = self.conductor(url).start()
        self.assertTrue(second.web.ready())


class Secret(OnServer):
    def test_a_password_is_nowhere_to_be_seen(self):
        url = self.place(password='s3cret')
        self.server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        c = self.conductor(url).start()
        self.assertNotIn('s3cret', c.log())
        for what in ('cmdline', 'maps'):
            with open(f'/proc/{c.process.pid}/{what}', encoding='utf-8') as file:
                self.assertNotIn('s3cret', file.read())
        shown = muster('config', 'show', env=dict(os.environ, MUSTER_CONDUCTOR_STORE=url))
        self.assertIn('muster:***@', shown.stdout)
        self.assertNotIn('s3cret', shown.stdout)
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')  # is something to write
        wait.until(lambda: not c.web.ready(), c.log)
        self.assertNotIn('s3cret', c.web.get('/readyz?verbose').text + c.log())

    def test_db_leaves_nothing_of_a_password_among_its_arguments(self):
        with socket.create_server(('127.0.0.1', 0)) as silent:
            url = f'postgresql://muster:a-book-with-seven-seals@127.0.0.1:{silent.getsockname()[1]}/x'
            with Program('db', 'status', '--store', url) as db:
                dialled = silent.accept()[0]  # so it has read its arguments, and waits for an answer
                with dialled, open(f'/proc/{db.pid}/cmdline', encoding='utf-8') as file:
                    arguments = file.read()
        self.assertIn('muster:***@127.0.0.1', arguments)
        self.assertNotIn('seals', arguments)

    def test_a_password_comes_from_a_file(self):
        self.server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        with tempfile.NamedTemporaryFile('w', suffix='.pgpass') as file:
            file.write('*:*:*:muster:s3cret\n')
            file.flush()
            c = self.conductor(self.place(password='').replace(':@', '@') + f'&passfile={file.name}').start()
            self.assertTrue(c.web.ready())


class Db(OnServer):
    def test_status_works_while_it_runs_and_upgrade_waits(self):
        url = self.place()
        c = self.conductor(url).start()
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
        status = muster('db', 'status', '--store', url)
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn('agents   1\n', status.stdout)
        self.assertIn(f'open by  {c.process.pid} ', status.stdout)
        upgrade = muster('db', 'upgrade', '--store', url)
        self.assertEqual(upgrade.returncode, 1)
        self.assertIn(f'pid {c.process.pid} ', upgrade.stderr)
        backup = muster('db', 'backup', 'copy', '--store', url)
        self.assertEqual(backup.returncode, 1)
        self.assertIn('pg_dump --file=copy postgres;', backup.stderr)
        self.assertEqual(c.stop(), 0)
        upgrade = muster('db', 'upgrade', '--store', url)
        self.assertIn('up to date', upgrade.stdout)

    def test_the_second_of_two_hosts_is_taken_where_the_first_is_away(self):
        self.server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        url = self.place(password='s3cret').replace('@127.0.0.1', '@127.0.0.1:1,127.0.0.1')
        c = self.conductor(url + '&target_session_attrs=read-write').start()
        self.assertTrue(c.web.ready())

    def test_a_dump_restored_as_the_page_says_begins_a_life_beyond_all_others(self):
        c = self.conductor(self.place()).start()
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
        wait.until(lambda: self.sql('SELECT 1 FROM agents'), c.log)
        dump = self.server.run('pg_dump', '-h', self.server.folder, '-p', str(self.server.port.number), '-U', 'muster',
                               '-n', self.schema, 'postgres')
        c.stop()
        self.sql(f'DROP SCHEMA {self.schema} CASCADE')
        self.server.psql(dump)
        with open(PAGE, encoding='utf-8') as page:
            section = page.read().split('\n## On a PostgreSQL server\n')[1].split('\n## ')[0]
        for raised in re.findall(r'^UPDATE meta .*;$', section, re.M):
            self.sql(raised)
        c.start()
        self.assertIn('a@h', c.agents())
        self.assertGreater(int(self.sql("SELECT value FROM meta WHERE key = 'epoch'")[0]), 1000)
        self.assertGreater(int(self.sql("SELECT value FROM meta WHERE key = 'event_limit'")[0]), 10 ** 9)

    def test_the_pages_queries_run(self):
        c = self.conductor(self.place()).start()
        sender = Sender(c.agents_port, ['nova-compute@cmp-1'])
        self.addCleanup(sender.die)
        sender.start()
        wait.until(lambda: 'up' in c.states().values(), c.log)
        c.web.ask('PUT', '/v1/agents/nova-compute@cmp-1/status', {'status': 'disabled', 'reason': 'disk'})
        sender.die()
        wait.until(lambda: c.downs(), c.log)
        wait.until(lambda: self.sql("SELECT 1 FROM fleet WHERE state = 'down'"), c.log)
        self.sql("UPDATE agents SET labels = '{\"rack\": \"r1\"}'; UPDATE beats SET last_seen_at = 1;"
                 "INSERT INTO payloads SELECT id, 2, '{}' FROM agents")
        with open(PAGE, encoding='utf-8') as page:
            text = page.read()
        queries = re.findall(r'```postgresql\n(.*?)```', text, re.S)
        queries += [q for q in re.findall(r'```sql\n(.*?)```', text, re.S) if not re.search(r'json_|strftime|printf|SELECT binary', q)]
        self.assertGreater(len(queries), 8)
        for query in queries:
            with self.subTest(query=query):
                self.assertTrue(self.sql(query))


class Away(OnServer, away.Away):
    """As in lib/away.py, with a server."""

    def test_a_frozen_server_stops_nothing(self):
        c = self.conductor(self.place()).start()
        self.addCleanup(self.server.thaw)
        self.away(c, self.server.freeze, self.server.thaw, away.FROZEN)

    def test_a_killed_server_stops_nothing(self):
        self.server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        c = self.conductor(self.place(password='s3cret')).start()
        self.away(c, self.server.kill, self.server.start, 3)

    def test_a_server_that_is_stopped_stops_nothing(self):
        c = self.conductor(self.place()).start()
        self.away(c, self.server.stop, self.server.start, 3)

    def test_a_database_that_lets_nobody_in_stops_nothing(self):
        self.server.psql('CREATE ROLE owner LOGIN SUPERUSER')
        c = self.conductor(self.place(user='owner')).start()
        self.away(c, lambda: (self.server.psql('ALTER ROLE owner NOLOGIN'),
                              self.server.psql(f'SELECT pg_terminate_backend({self.backend()})')),
                  lambda: self.server.psql('ALTER ROLE owner LOGIN'), 3)

    def test_a_locked_table_stops_nothing(self):
        c = self.conductor(self.place()).start()
        holder = subprocess.Popen([program('psql'), *self.server.psql_args()], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, text=True)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stdin.close)

        def lock():
            holder.stdin.write(f'BEGIN; LOCK TABLE {self.schema}.events;\n')
            holder.stdin.flush()
            wait.until(lambda: self.sql("SELECT 1 FROM pg_locks WHERE relation = 'events'::regclass AND granted"
                                        " AND mode = 'AccessExclusiveLock'"), 'the lock')

        def unlock():
            holder.stdin.write('ROLLBACK;\n')
            holder.stdin.flush()

        self.away(c, lock, unlock, 12)  # longer than a statement waits for a lock


class OwnServer(away.Away):
    """With a server of the test's own."""

    def make(self, **kwargs):
        server = Server(**kwargs)
        self.addCleanup(server.clean)
        return server.start()

    def conductor(self, url):
        c = Conductor(store=url)
        self.addCleanup(c.clean)
        c.set_config(f'{c.TIMES}[conductor]\nsecret_file = {c.folder}/secret\n')
        return c.start()

    def test_a_failover_loses_nothing(self):
        server = self.make()
        server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        c = self.conductor(server.url(password='s3cret'))
        server.stand_by()
        # For a while the new one only reads.
        self.away(c, server.fail_over, server.promote, 5)

    def test_a_full_disk_stops_nothing(self):
        folder = tempfile.mkdtemp(prefix='muster-test-')
        self.addCleanup(os.rmdir, folder)
        holder = self.mount(folder)
        inside = ['nsenter', '-t', str(holder), '-m', '-r', '-w', *(['-U'] if os.geteuid() else [])]
        server = self.make(prefix=inside)
        subprocess.run([*inside, 'chmod', '777', folder], check=True)
        subprocess.run([*server.prefix, 'mkdir', folder + '/space'], check=True)
        server.psql(f"CREATE TABLESPACE small LOCATION '{folder}/space'")
        c = self.conductor(server.url() + '&options=-cdefault_tablespace%3Dsmall')
        filler = f'/proc/{holder}/root{folder}/filler'

        def fill():
            """Then what is left in the pages that there are already."""
            away.fill(filler)
            wait.until(lambda: self.disable(c, 'a2@living', 'x').status == 503, c.log)

        self.away(c, fill, lambda: os.unlink(filler), 3)
        self.assertIn('No space left on device', c.log())


class Nothing(OnServer):
    """Nothing that was answered is lost, and nothing is there twice."""

    def disable(self, c, name, reason):
        return c.web.ask('PUT', f'/v1/agents/{name}/status', {'status': 'disabled', 'reason': reason})

    def test_a_deadlock_that_another_client_makes_is_tried_again(self):
        c = self.conductor(self.place()).start()
        sender = Sender(c.agents_port, ['a@h', 'b@h'])
        self.addCleanup(sender.die)
        sender.start()
        wait.until(lambda: len(self.sql("SELECT 1 FROM beats WHERE state = 'up'")) == 2, c.log)
        first, second = self.sql('SELECT id FROM agents ORDER BY id')
        # The other one waits long before he looks for a deadlock: the conductor finds it.
        other = subprocess.Popen([program('psql'), *self.server.psql_args()], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, text=True)
        self.addCleanup(other.wait)
        other.stdin.write(f"""SET search_path = {self.schema}; SET deadlock_timeout = '1h'; BEGIN;
            UPDATE beats SET report_count = 0 WHERE agent = {second};
            DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = {self.backend()}) LOOP
                PERFORM pg_sleep(0.01); END LOOP; END $$;
            UPDATE beats SET report_count = 0 WHERE agent = {first}; COMMIT;\n""")
        other.stdin.close()
        sender.die()
        wait.until(lambda: len(self.sql("SELECT 1 FROM beats WHERE state = 'down'")) == 2, c.log)
        self.assertIn('deadlock detected', self.server.log())
        wait.until(c.web.ready, c.log)
        self.assertEqual(c.downs(), ['a@h', 'b@h'])
        self.assertEqual(self.sql("SELECT count(*) FROM events WHERE \"to\" = 'down'"), ['2'])
        self.assertEqual(self.sql("SELECT value - (SELECT count(*) FROM events) FROM meta WHERE key = 'event_count'"),
                         ['0'])

    def test_writes_survive_a_server_that_is_killed_again_and_again(self):
        c = self.conductor(self.place()).start()
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
        answered = []
        for i in range(30):
            if i % 10 == 5:
                self.server.kill()
                self.server.start()
            if self.disable(c, 'a@h', f'n{i}').status == 200:
                answered.append(f'n{i}')
        self.assertGreater(len(answered), 20)
        wait.until(c.web.ready, c.log)
        c.kill()
        stored = self.sql("SELECT reason FROM events WHERE kind = 'status' ORDER BY seq")
        self.assertEqual([r for r in stored if r in answered], answered)
        self.assertEqual(len(stored), len(set(stored)))
        self.assertEqual(self.sql("SELECT value - (SELECT count(*) FROM events) FROM meta WHERE key = 'event_count'"),
                         ['0'])

    def test_a_connection_that_is_cut_is_made_anew(self):
        c = self.conductor(self.place()).start()
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
        was = self.backend()
        self.server.psql(f'SELECT pg_terminate_backend({was})')
        wait.until(lambda: self.disable(c, 'a@h', 'x').status == 200, c.log)
        self.assertNotEqual(self.backend(), was)

    def test_a_session_of_before_that_the_server_still_has_is_ended(self):
        self.server.psql("ALTER ROLE muster PASSWORD 's3cret'")
        relay = away.Relay(self.server.port.number)
        self.addCleanup(relay.close)
        c = self.conductor(self.place(password='s3cret').replace(f':{self.server.port.number}/', f':{relay.port}/'))
        c.start()
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
        was = self.backend()
        relay.cut()
        wait.until(lambda: self.disable(c, 'a@h', 'x').status == 200, c.log)
        self.assertNotEqual(self.backend(), was)

    def test_a_session_that_has_nothing_to_do_is_kept(self):
        url = self.place(user='idler')
        self.server.psql("CREATE ROLE idler LOGIN SUPERUSER; ALTER ROLE idler SET idle_session_timeout = '200ms'")
        c = self.conductor(url).start()
        was = self.backend()
        idle = subprocess.Popen([program('psql'), url, '-Xq'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        self.addCleanup(idle.wait)
        self.addCleanup(idle.stdin.close)
        there = "SELECT 1 FROM pg_stat_activity WHERE usename = 'idler' AND application_name = 'psql'"
        wait.until(lambda: self.server.psql(there), 'another session')
        wait.until(lambda: not self.server.psql(there), 'the end of that one')
        self.assertEqual(self.backend(), was)

    def test_a_lock_that_another_one_has_for_now_is_waited_for(self):
        c = self.conductor(self.place()).start()
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
        other = subprocess.Popen([program('psql'), *self.server.psql_args()], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, text=True)
        self.addCleanup(other.wait)
        self.addCleanup(other.stdin.close)
        other.stdin.write(f"""SELECT pg_terminate_backend({self.backend()});
            SELECT pg_advisory_lock((1297437524::bigint << 32) | '{self.schema}'::regnamespace::oid::bigint);\n""")
        other.stdin.flush()
        wait.until(lambda: self.disable(c, 'a@h', 'x').status == 503, c.log)
        wait.until(lambda: 'in use by the conductor' in c.web.get('/readyz?verbose').text, c.log)
        other.stdin.write('SELECT pg_advisory_unlock_all();\n')
        other.stdin.flush()
        wait.until(lambda: self.disable(c, 'a@h', 'y').status == 200, c.log)

    def test_who_lost_the_database_to_another_one_ends(self):
        c = self.conductor(self.place()).start()
        c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
        self.sql("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
        self.disable(c, 'a@h', 'x')
        self.assertEqual(c.process.wait(wait.PATIENCE), 1)
        self.assertIn('another conductor has taken this database over: its life is number 2, ours was 1', c.log())
        self.assertEqual(self.sql("SELECT count(*) FROM events WHERE kind = 'status'"), ['0'])


if __name__ == '__main__':
    tap.main()
