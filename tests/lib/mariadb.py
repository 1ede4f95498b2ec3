"""A real MariaDB server as a process of its own, in a folder of its own, on a port that was free.

    with Server() as server:
        Conductor(store=server.place('fleet'))
"""

import os
import shutil
import signal
import subprocess
import tempfile
from urllib.parse import quote

from lib import wait
from lib.conductor import Port

USER, PASSWORD = 'muster', 'of ours/?@:%'
NOBODY = 65534
AS_NOBODY = {'user': NOBODY, 'group': NOBODY, 'extra_groups': []} if os.geteuid() == 0 else {}
# Small, and quick to start.
SIZES = ['--innodb-buffer-pool-size=16M', '--innodb-log-file-size=8M', '--innodb-log-buffer-size=2M',
         '--aria-pagecache-buffer-size=1M', '--key-buffer-size=1M', '--loose-innodb-temp-data-file-path=ibtmp1:1M:autoextend']


class Session:
    """A client that stays connected, and so can hold locks."""

    def __init__(self, server, database):
        self.process = subprocess.Popen(
            ['mariadb', '--no-defaults', '-uroot', '-S', server.socket, '-N', '-B', '-n', '-f', database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)

    def ask(self, text):
        """What @text answers, errors among it: lines."""
        self.process.stdin.write(f"{text};\nSELECT 'that is all';\n")
        return list(iter(lambda: self.process.stdout.readline().rstrip('\n'), 'that is all'))

    def close(self):
        self.process.communicate()


class Server:
    """@options are mariadbd's; @copy_of is a server, stopped or frozen, whose data it begins with;
    @port an address that another one had."""

    def __init__(self, options=(), copy_of=None, port=None):
        self.folder = tempfile.mkdtemp(prefix='muster-test-')
        self.data = os.path.join(self.folder, 'data')
        self.socket = os.path.join(self.folder, 'socket')
        self.log_file = os.path.join(self.folder, 'log')
        self.options = list(options)
        self.port = port or Port()
        self.own_port = port is None
        self.copy_of = copy_of
        self.process = None
        if AS_NOBODY:
            os.chown(self.folder, NOBODY, NOBODY)

    def install(self):
        with open(self.log_file, 'ab') as log:
            subprocess.run(['mariadb-install-db', '--no-defaults', f'--datadir={self.data}', '--skip-test-db',
                            '--auth-root-authentication-method=normal', '--innodb-flush-method=nosync', *SIZES,
                            *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, **AS_NOBODY)

    def start(self):
        with open(self.log_file, 'ab') as log:
            self.process = subprocess.Popen(
                [shutil.which('mariadbd', path='/usr/sbin:/usr/local/sbin:' + os.environ['PATH']), '--no-defaults',
                 f'--datadir={self.data}', f'--socket={self.socket}', f'--pid-file={self.folder}/pid',
                 '--bind-address=127.0.0.1', f'--port={self.port.number}', '--skip-name-resolve',
                 f'--tmpdir={self.folder}', *SIZES, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **AS_NOBODY)
        wait.until(self.answers, self.log, patience=60)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'the server ended with {self.process.returncode}:\n{self.log()}')
        return self.client('-e', 'SELECT 1', capture_output=True, check=False).returncode == 0

    def client(self, *args, **kwargs):
        return subprocess.run(['mariadb', '--no-defaults', '-uroot', '-S', self.socket, '-N', '-B', *args],
                              **{'stdin': subprocess.DEVNULL, 'text': True, 'check': True, **kwargs})

    def sql(self, text, database='mysql'):
        """What @text answers: rows, each a list of texts."""
        out = self.client(database, '-e', text, stdout=subprocess.PIPE).stdout
        return [line.split('\t') for line in out.splitlines()]

    def place(self, database):
        """Makes an empty database; its URL."""
        self.sql(f'CREATE DATABASE `{database}`; GRANT ALL ON `{database}`.* TO {USER}')
        return self.url(database)

    def places(self, n):
        """Makes n of them; their URL, with {n} for 1, 2, ..."""
        self.sql(''.join(f'CREATE DATABASE place_{i}; GRANT ALL ON place_{i}.* TO {USER};' for i in range(1, n + 1)))
        return self.url('place_{n}')

    def url(self, database, user=USER, password=PASSWORD):
        return f'mysql://{user}:{quote(password, safe="")}@127.0.0.1:{self.port.number}/{database}'

    def log(self):
        with open(self.log_file, encoding='utf-8', errors='replace') as file:
            return file.read()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def be_there(self):
        """As it should be, whatever was done to it."""
        if self.process.poll() is None:
            self.thaw()
        else:
            self.start()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def clean(self):
        self.kill()
        if self.own_port:
            self.port.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            if self.copy_of:
                shutil.copytree(self.copy_of.data, self.data)
                if AS_NOBODY:
                    subprocess.run(['chown', '-R', f'{NOBODY}:{NOBODY}', self.data], check=True)
                return self.start()
            self.install()
            self.start()
            self.sql(f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'")
            return self
        except BaseException:
            self.clean()
            raise

    def __exit__(self, *_):
        self.clean()
