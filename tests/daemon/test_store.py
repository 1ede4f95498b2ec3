#!/usr/bin/env python3
"""What may happen to a database: taken, rubbish, newer, unwritable, full, frozen."""

import os
import re
import shutil
import sqlite3
import tempfile
import unittest

from lib import away, tap, wait
from lib.conductor import Conductor, muster

NOBODY = 65534


class Refused(unittest.TestCase):
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

    def test_a_second_conductor_names_the_first(self):
        with Conductor() as first:
            self.refuse(Conductor(store=first.store), str(first.process.pid), first.db)
            self.assertTrue(first.web.ready())

    def test_rubbish_is_no_database(self):
        c = Conductor()
        rubbish = os.urandom(8192)
        with open(c.db, 'wb') as file:
            file.write(rubbish)
        self.refuse(c, c.db)
        with open(c.db, 'rb') as file:
            self.assertEqual(file.read(), rubbish)

    def test_a_database_of_something_else_is_left_alone(self):
        c = Conductor()
        with sqlite3.connect(c.db) as db:
            db.execute('CREATE TABLE songs (name TEXT)')
        db.close()
        self.refuse(c, c.db)
        with sqlite3.connect(c.db) as db:
            self.assertEqual(db.execute('SELECT name FROM sqlite_master').fetchall(), [('songs',)])
        db.close()

    def test_a_newer_schema_is_not_touched(self):
        with Conductor() as c:
            c.stop()
            db = sqlite3.connect(c.db)
            db.execute('PRAGMA user_version = 999')
            db.close()
            self.refuse(c, '999')

    def test_a_damaged_row_is_named_with_its_table_and_the_cure(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/a@b/beat')
            c.stop()
            with sqlite3.connect(c.db) as db:
                db.execute("""UPDATE agents SET labels = '{"rack":'""")
            db.close()
            self.refuse(c, c.db, 'row 1 of agents', 'labels', 'restore a backup, or mend it')

    def test_a_folder_that_cannot_be_written_is_named(self):
        c = Conductor()
        if os.geteuid() == 0:  # root may write everywhere
            c.prefix = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups']
            os.chmod(c.folder, 0o755)
        closed = os.path.join(c.folder, 'closed')
        os.mkdir(closed)
        os.chmod(closed, 0o555)
        c.store = f'sqlite:{closed}/muster.db'
        c.ports_file = os.path.join(closed, 'ports')
        self.refuse(c, closed)

    def test_a_folder_that_is_not_there_is_named(self):
        self.refuse(Conductor(store='sqlite:/nonexistent/muster.db'), '/nonexistent')


class Damage(unittest.TestCase):
    def test_an_event_with_a_damaged_detail_is_shown_without_it(self):
        with Conductor() as c:
            c.stop()
            with sqlite3.connect(c.db) as db:
                db.execute("""UPDATE events SET detail = '{"count":'""")
            db.close()
            c.start()
            events = c.web.get('/v1/events').json['events']
            self.assertEqual(events[0]['detail'], {'damaged': True})


class Db(unittest.TestCase):
    """muster db beside a running conductor."""

    def test_status_and_backup_work_while_it_runs_and_upgrade_waits(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
            status = muster('db', 'status', '--store', c.store)
            self.assertEqual(status.returncode, 0, status.stderr)
            self.assertIn('agents   1\n', status.stdout)
            self.assertIn(str(c.process.pid), status.stdout)
            upgrade = muster('db', 'upgrade', '--store', c.store)
            self.assertNotEqual(upgrade.returncode, 0)
            self.assertIn(str(c.process.pid), upgrade.stderr)
            copy = os.path.join(c.folder, 'copy.db')
            self.assertEqual(muster('db', 'backup', copy, '--store', c.store).returncode, 0)
            again = muster('db', 'backup', copy, '--store', c.store)
            self.assertEqual(again.returncode, 1)
            self.assertIn(f'{copy}: File exists; name a new file', again.stderr)
            self.assertEqual(c.stop(), 0)
            shutil.copy(c.db + '.secret', copy + '.secret')
            c.store = 'sqlite:' + copy
            c.start()
            self.assertIn('a@h', c.agents())

    def test_a_missing_file_is_a_failure_and_no_missing_agent(self):
        with tempfile.TemporaryDirectory() as folder:
            missing = os.path.join(folder, 'missing')
            for args in (['db', 'status', '--store', f'sqlite:{missing}.db'],
                         ['db', 'upgrade', '--store', f'sqlite:{missing}.db'],
                         ['db', 'backup', os.path.join(folder, 'copy'), '--store', f'sqlite:{missing}.db'],
                         ['conductor', '--store', f'sqlite:{missing}/muster.db']):
                with self.subTest(args=args):
                    result = muster(*args)
                    self.assertEqual(result.returncode, 1, result.stderr)
                    self.assertIn(missing, result.stderr)
                    self.assertRegex(result.stderr, 'a conductor .* makes it|make the folder first')
            self.assertEqual(os.listdir(folder), [])

    def test_an_empty_file_is_not_called_old(self):
        with tempfile.NamedTemporaryFile(suffix='.db') as empty:
            status = muster('db', 'status', '--store', f'sqlite:{empty.name}')
            self.assertEqual(status.returncode, 0, status.stderr)
            self.assertIn('schema   0 (empty: a conductor makes the tables at its start)', status.stdout)

    def test_status_counts_in_another_schema_and_calls_nothing_lost(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/a@h/beat?interval=300s')
            c.stop()
            ours = int(re.search(r'^wants +(\d+)$', muster('db', 'status', '--store', c.store).stdout, re.M)[1])
            for version, words in (ours - 1, 'old'), (999, 'of a newer muster'):
                db = sqlite3.connect(c.db)
                db.execute(f'PRAGMA user_version = {version}')
                db.close()
                status = muster('db', 'status', '--store', c.store).stdout
                self.assertRegex(status, rf'schema   {version} \({words}.*\nwants    {ours}\nagents   1\nevents   [1-9]')
                self.assertIn('starts   1\n', status)
            db = sqlite3.connect(c.db)
            db.executescript('DROP VIEW fleet; ALTER TABLE agents RENAME TO members')
            db.close()
            status = muster('db', 'status', '--store', c.store)
            self.assertEqual(status.returncode, 0, status.stderr)
            self.assertIn('agents   unknown\nevents   unknown\nstarts   unknown\n', status.stdout)

    def test_upgrade_has_nothing_to_do_on_a_new_one(self):
        with Conductor() as c:
            c.stop()
            result = muster('db', 'upgrade', '--store', c.store)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn('up to date', result.stdout)


class Away(away.Away):
    """As in lib/away.py, with a file."""

    def test_a_frozen_store_stops_nothing(self):
        with Conductor() as c:
            db = sqlite3.connect(c.db, isolation_level=None, check_same_thread=False)
            self.addCleanup(db.close)
            self.away(c, lambda: db.execute('BEGIN EXCLUSIVE'), lambda: db.execute('ROLLBACK'), away.FROZEN)

    def test_a_file_that_is_taken_away_stops_nothing(self):
        with Conductor() as c:
            kept = c.db + '.kept'
            self.away(c, lambda: os.rename(c.db, kept), lambda: os.rename(kept, c.db), 5)

    def test_a_full_disk_stops_nothing(self):
        c = Conductor()
        self.addCleanup(c.clean)
        disk = os.path.join(c.folder, 'disk')
        os.mkdir(disk)
        holder = self.mount(disk)
        c.store = f'sqlite:{disk}/muster.db'
        c.prefix = ['nsenter', '-t', str(holder), '-m', '-r', '-w', *(['-U'] if os.geteuid() else [])]
        c.start()
        filler = f'/proc/{holder}/root{disk}/filler'
        self.away(c, lambda: away.fill(filler), lambda: os.unlink(filler), 5)


if __name__ == '__main__':
    tap.main()
