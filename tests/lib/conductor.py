"""A conductor as a process of its own, in a folder of its own, on ports that were free.

    with Conductor() as c:
        c.web.get('/v1/summary')
"""

import os
import random
import signal
import shutil
import socket
import subprocess
import tempfile

from lib import wait
from lib.web import Web

MUSTER = os.environ.get('MUSTER', os.path.join(os.path.dirname(__file__), '../../build/muster'))
SOAK = bool(os.environ.get('MUSTER_SOAK'))


def muster(*args, timeout=60, **kwargs):
    """Runs `muster ARGS` to its end."""
    return subprocess.run([MUSTER, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, **kwargs)


def clean_env(more=None):
    """The environment without anything that steers muster or a service."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(('MUSTER_', 'LISTEN_', 'NOTIFY_', 'WATCHDOG_', 'JOURNAL_'))}
    env.update(more or {})
    return env


def has_ipv6():
    """Whether this machine has the loopback of IPv6; many containers don't."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(('::1', 0))
        return True
    except OSError:
        return False


# A prefix without the right to go beyond the system's limit of a receive buffer.
NO_NET_ADMIN = ('/usr/bin/setpriv', '--bounding-set=-net_admin') if os.geteuid() == 0 else ()


class Port:
    """A port that stays ours between two starts of a conductor: below those that the kernel gives to
    anybody, and no other test's as long as its name is taken here."""

    def __init__(self):
        with open('/proc/sys/net/ipv4/ip_local_port_range', encoding='ascii') as file:
            end = int(file.read().split()[0])
        self.name = socket.socket(socket.AF_UNIX)
        wait.until(lambda: self.take(random.randrange(1024, end)), 'a free port', pause=0)

    def take(self, number):
        try:
            self.name.bind(f'\0muster-test-port-{number}')
        except OSError:
            return False
        self.number = number
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(type=kind) as probe:
                    probe.bind(('127.0.0.1', number))
        except OSError:
            self.name.close()
            self.name = socket.socket(socket.AF_UNIX)
            return False
        return True

    def close(self):
        self.name.close()


class Conductor:
    """@config is the text of its muster.conf. Agents' times are 1 s / 3 s unless told otherwise."""

    TIMES = '[DEFAULT]\nreport_interval = 1s\nservice_down_time = 3s\n'

    def __init__(self, config=TIMES, store=None, args=(), env=None, prefix=(), folder=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix='muster-test-')
        self.db = os.path.join(self.folder, 'muster.db')
        self.store = store or 'sqlite:' + self.db
        self.ports_file = os.path.join(self.folder, 'ports')
        self.log_file = os.path.join(self.folder, 'log')
        self.conf = os.path.join(self.folder, 'muster.conf')
        self.args, self.env, self.prefix = list(args), env or {}, list(prefix)
        self.process = None
        self.ports = Port(), Port()
        self.agents_port, self.http_port = (port.number for port in self.ports)
        self.set_config(config)

    def set_config(self, text):
        with open(self.conf, 'w', encoding='utf-8') as file:
            file.write(text)

    def command(self):
        return [*self.prefix, MUSTER, 'conductor', '--config', self.conf, '--store', self.store,
                '--listen', f'127.0.0.1:{self.agents_port}', '--http', f'127.0.0.1:{self.http_port}',
                '--ports-file', self.ports_file, *self.args]

    def launch(self, **kwargs):
        """Starts the process and does not wait for it to listen."""
        if os.path.exists(self.ports_file):
            os.unlink(self.ports_file)
        with open(self.log_file, 'ab') as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=clean_env(self.env), **kwargs)
        return self

    def start(self, **kwargs):
        self.launch(**kwargs)
        wait.until(self.listening, self.log)
        with open(self.ports_file, encoding='ascii') as file:  # others where sockets are handed over
            ports = dict(line.strip().split('=') for line in file)
        self.agents_port, self.http_port = int(ports['agents']), int(ports['http'])
        return self

    def listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f'the conductor ended with {self.process.returncode}:\n{self.log()}')
        return os.path.exists(self.ports_file)

    @property
    def web(self):
        return Web(self.http_port)

    def log(self):
        with open(self.log_file, encoding='utf-8', errors='replace') as file:
            return file.read()

    def await_log(self, text, patience=wait.PATIENCE):
        wait.until(lambda: text in self.log(), lambda: f'"{text}" in the log:\n{self.log()}', patience)

    def signal(self, signum):
        self.process.send_signal(signum)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self, patience=10):
        """An orderly end. Returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def clean(self):
        self.kill()
        for port in self.ports:
            port.close()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.clean()
            raise

    def __exit__(self, *_):
        self.clean()

    # What it says.

    def agents(self):
        """Every agent by its name."""
        return {f"{a['binary']}@{a['host']}": a for a in self.web.pages('/v1/agents', 'agents')}

    def states(self):
        return {name: a['state'] for name, a in self.agents().items()}

    def events(self, since=0, kind=None):
        """Every event kept after number @since, oldest first."""
        events = []
        while True:
            answer = self.web.get(f'/v1/events?since={since}&limit=1000' + (f'&kind={kind}' if kind else ''))
            if answer.status == 410:
                since = answer.json['oldest'] - 1
                continue
            if answer.status != 200:
                raise AssertionError(f'/v1/events: {answer.status} {answer.text}')
            if not answer.json['events']:
                return events
            events += answer.json['events']
            since = answer.json['next']

    def downs(self):
        """The names of those that were ever said to be down by silence."""
        return sorted(e['agent'] for e in self.events(kind='state') if e['to'] == 'down')

    def memory(self):
        """Resident bytes."""
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE')
