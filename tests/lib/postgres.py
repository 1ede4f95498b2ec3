"""A PostgreSQL server of a test's own: in a scratch folder, on a port that was free and a Unix
socket, gone with the test. As root it runs as another user, since it refuses to run as root.

    with Server() as server:
        server.psql('SELECT 1')
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from lib import wait
from lib.conductor import Port

CONF = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
port = {port}
max_connections = 20
shared_buffers = 32MB
fsync = off
log_line_prefix = '%m [%p] '
"""
# Over TCP a password is wanted, by the socket none.
HBA = """
local all,replication all trust
host all all 127.0.0.1/32 scram-sha-256
"""


def program(name):
    """The path of one of the server's programs, which Debian keeps out of $PATH."""
    found = sorted(glob.glob(f'/usr/lib/postgresql/*/bin/{name}')) or [shutil.which(name)]
    if not found[-1]:
        raise AssertionError(f'{name} is not here; install the package postgresql')
    return found[-1]


def as_other():
    """What goes before a command of the server's, and who owns its folder."""
    if os.geteuid():
        return [], None
    try:
        user = pwd.getpwnam('postgres')
    except KeyError:
        user = pwd.getpwnam('nobody')
    return ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups'], user


class Server:
    PASSWORD = 's3cret'

    def __init__(self, conf='', prefix=()):
        """@prefix: what its programs are run by, for example in a namespace of their own."""
        other, user = as_other()
        self.prefix = [*prefix, *other]
        self.folder = tempfile.mkdtemp(prefix='muster-test-')
        self.data = os.path.join(self.folder, 'data')
        self.log_file = os.path.join(self.folder, 'log')
        self.port = Port()
        self.process = self.follower = None
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        os.chmod(self.folder, 0o755)  # the socket is for everybody
        self.run('initdb', '-D', self.data, '-U', 'muster', '-E', 'UTF8', '--locale=C', '-A', 'trust', '-N')
        for name, text in (('postgresql.conf', CONF.format(folder=self.folder, port=self.port.number) + conf),
                           ('pg_hba.conf', HBA)):
            with open(os.path.join(self.data, name), 'w', encoding='ascii') as file:
                file.write(text)

    def run(self, name, *args, **kwargs):
        done = subprocess.run([*self.prefix, program(name), *args], stdin=subprocess.DEVNULL, cwd='/',
                              capture_output=True, text=True, timeout=120, check=False, **kwargs)
        if done.returncode:
            raise AssertionError(f'{name}: {done.stderr}{done.stdout}')
        return done.stdout

    def start(self):
        self.process = self.launch(self.data)
        wait.until(self.answers, self.log, patience=60)
        return self

    def launch(self, data, *args):
        with open(self.log_file, 'ab') as log:
            return subprocess.Popen([*self.prefix, program('postgres'), '-D', data, *args], cwd='/',
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'the server ended with {self.process.returncode}:\n{self.log()}')
        return subprocess.run([program('psql'), *self.psql_args(), '-c', 'SELECT'], capture_output=True,
                              stdin=subprocess.DEVNULL, check=False).returncode == 0

    def log(self):
        with open(self.log_file, encoding='utf-8', errors='replace') as file:
            return file.read()

    def psql_args(self, database='postgres'):
        return ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', self.folder, '-p', str(self.port.number), '-U', 'muster',
                '-d', database]

    def psql(self, sql, database='postgres'):
        """Runs @sql. Returns the lines of the answer."""
        done = subprocess.run([program('psql'), *self.psql_args(database)], input=sql, capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode:
            raise AssertionError(f'{sql}: {done.stderr}')
        return done.stdout.splitlines()

    def url(self, schema=None, password=None, user='muster', database='postgres'):
        """Of a place in @database: by the socket, or by TCP with @password."""
        place = f'{user}@' if password is None else f'{user}:{password}@127.0.0.1:{self.port.number}'
        query = [] if password is not None else [f'host={self.folder}', f'port={self.port.number}']
        if schema:
            query.append(f'options=-csearch_path%3D{schema}')
        return f'postgresql://{place}/{database}' + ('?' + '&'.join(query) if query else '')

    def places(self, n):
        """Makes @n empty schemas. Returns the URL, with {n} for their number."""
        self.psql(''.join(f'CREATE SCHEMA t{i};' for i in range(1, n + 1)))
        return self.url('t{n}')

    # What may happen to it.

    def processes(self):
        """The server's pid and those of its children, which are no process group."""
        path = f'/proc/{self.process.pid}/task/{self.process.pid}/children'
        with open(path, encoding='ascii') as file:
            return [self.process.pid, *map(int, file.read().split())]

    def signal(self, signum):
        for pid in self.processes():
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """An end without a word to anybody."""
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def stand_by(self):
        """Starts another server that follows this one, which from now on answers nothing that the
        other does not have."""
        self.copy = self.data + '-copy'
        self.run('pg_basebackup', '-D', self.copy, '-R', '-c', 'fast', '-h', self.folder,
                 '-p', str(self.port.number), '-U', 'muster')
        self.copy_port = Port()
        self.follower = self.launch(self.copy, '-c', f'port={self.copy_port.number}')
        wait.until(lambda: self.psql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), self.log)
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.psql('SELECT pg_reload_conf()')
        wait.until(lambda: self.psql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), self.log)

    def fail_over(self):
        """This one dies; the other has its address, and only reads until promote()."""
        self.kill()
        self.follower.send_signal(signal.SIGINT)
        self.follower.wait(60)
        self.copy_port.close()
        self.data = self.copy
        self.start()

    def promote(self):
        self.psql('SELECT pg_promote()')

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # who is connected is cut off
        self.process.wait(60)

    def clean(self):
        self.kill()
        if self.follower and self.follower.poll() is None:
            self.follower.send_signal(signal.SIGQUIT)
            self.follower.wait()
        self.port.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.clean()
            raise

    def __exit__(self, *_):
        self.clean()
