"""What the scripts here share: a conductor, peers, costs, and a row for each figure.

    run = Run(__doc__)                  # reads --quick, --markdown FILE, --rounds N, --steer
    got = run.bench('beats', '-n', 1000)  # muster bench ... --json
    run.row('what', '1.2 us', '<= 2 us', 1.2 <= 2)
    run.end()                           # MISSED when a target was; small sizes are not judged

All runs on loopback, on ports that were free, in a scratch folder; what was started is ended."""

import argparse
import atexit
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get('BUILD', os.path.join(HERE, '../build')))
MUSTER = os.environ.get('MUSTER', os.path.join(BUILD, 'muster'))
os.environ.setdefault('MUSTER_PLUGIN_DIR', BUILD)  # drivers that were built, not installed
MISSED = 3  # exit code: it ran, but did not meet a target; others: it failed
RPS = '/sys/class/net/lo/queues/rx-0/rps_cpus'


def cpu_ns(pid):
    """CPU that all threads of @pid have used, also those that have ended, in ns."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # the clock that clock_getcpuclockid() gives


def memory(pid, name='VmRSS'):
    """Bytes resident; with VmHWM at most so far."""
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ':'))


def until(condition, what, patience=60):
    """Returns the first true thing that @condition returns; ends the script after @patience seconds."""
    end = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            sys.exit(f'not within {patience} s: {what}')
        time.sleep(0.02)


def quietly(command, **kwargs):
    """Runs @command; where it fails the script ends, and says what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', timeout=120, check=False, **kwargs)
    if done.returncode != 0:
        sys.exit(f'{" ".join(command)}: {done.stdout.strip()}')


def program(name):
    """The path of one that ./dev build leaves out; the script ends where it is not built."""
    path = os.path.join(BUILD, 'bench', name)
    if not os.access(path, os.X_OK):
        sys.exit(f'{path} is not built: ninja -C {os.path.relpath(BUILD)} bench-programs')
    return path


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def reaches(port):
    try:
        socket.create_connection(('127.0.0.1', port), 1).close()
        return True
    except OSError:
        return False


class Conductor:
    """One of the script's own; @times are the interval and the down time, in seconds."""

    def __init__(self, run, times=(10, 60), store=None, more=''):
        self.folder = tempfile.mkdtemp(dir=run.folder)
        with open(self.path('muster.conf'), 'w', encoding='ascii') as file:
            file.write(f'[DEFAULT]\nreport_interval = {times[0]}s\nservice_down_time = {times[1]}s\n'
                       f'[conductor]\n{more}[log]\nlevel = warn\n')
        self.process = run.start(
            [MUSTER, 'conductor', '--config', self.path('muster.conf'),
             '--store', store or 'sqlite:' + self.path('muster.db'), '--listen', '127.0.0.1:0',
             '--http', '127.0.0.1:0', '--ports-file', self.path('ports')],
            stderr=open(self.path('log'), 'w', encoding='utf-8'))
        until(lambda: os.path.exists(self.path('ports')) or self.process.poll() is not None,
              'the conductor listens')
        if self.process.poll() is not None:
            with open(self.path('log'), encoding='utf-8') as file:
                sys.exit(file.read())
        with open(self.path('ports'), encoding='ascii') as file:
            ports = dict(line.strip().split('=') for line in file)
        self.url = 'http://127.0.0.1:' + ports['http']
        self.pid = self.process.pid
        self.where = ['--conductor', '127.0.0.1:' + ports['agents'],
                      '--http', '127.0.0.1:' + ports['http']]

    def path(self, name):
        return os.path.join(self.folder, name)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def json(self, path):
        return json.loads(self.get(path))

    def metrics(self):
        """Every line of /metrics but comments: name with labels -> value."""
        lines = (line.rsplit(' ', 1) for line in self.get('/metrics').splitlines()
                 if line and not line.startswith('#'))
        return {name: float(value) for name, value in lines}


def lags(before, after):
    """The turns of the loop between two metrics(): upper bound of their length in s -> how many."""
    found, below = {}, 0
    for name, value in after.items():  # in ascending order, each with those of the bounds before
        if name.startswith('muster_loop_lag_seconds_bucket{le="'):
            until = value - before.get(name, 0)
            found[float(name.split('"')[1])], below = until - below, until
    return found


class Run:
    def __init__(self, doc, **options):
        parser = argparse.ArgumentParser(description=doc,
                                         formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument('--quick', action='store_true', help='small sizes, not judged: shows that it works')
        parser.add_argument('--rounds', type=int, default=3, help='of which the median is taken [3]')
        parser.add_argument('--markdown', metavar='FILE', help='append the rows of a table to it')
        parser.add_argument('--steer', action='store_true',
                            help="have the kernel receive on the server's core (root; undone at the end)")
        for name, more in options.items():
            parser.add_argument('--' + name.replace('_', '-'), **more)
        self.options = parser.parse_args()
        self.quick, self.rounds = self.options.quick, self.options.rounds
        self.command = 'bench/' + ' '.join([os.path.basename(sys.argv[0]), *self.told_options()])
        self.folder = tempfile.mkdtemp(prefix='muster-bench-')
        self.children, self.missed = [], 0
        atexit.register(self.clean)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(130))
        print(doc.strip().splitlines()[0], flush=True)
        self.pins = ['--server-cpu', '0', '--load-cpu', '1'] if os.cpu_count() > 1 else []
        if self.options.steer:
            self.steer()

    def sizes(self, text):
        """Says what is run where it is not what the heading says."""
        given = [getattr(self.options, name, None) for name in ('agents', 'rows')]
        if self.quick or any(given):
            print(f'{"small sizes" if self.quick else "sizes"}: {text}', flush=True)

    @staticmethod
    def told_options():
        """Those that change what is measured."""
        args, out = sys.argv[1:], []
        while args:
            arg = args.pop(0)
            if arg in ('--markdown', '--svg'):
                args.pop(0)
            else:
                out.append(arg)
        return out

    def steer(self):
        with open(RPS, encoding='ascii') as file:
            before = file.read()

        def write(text):
            with open(RPS, 'w', encoding='ascii') as file:
                file.write(text)

        write('1')
        atexit.register(write, before)

    def start(self, command, **kwargs):
        """A child that is ended with us."""
        kwargs = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, **kwargs}
        child = subprocess.Popen([str(word) for word in command], **kwargs)
        self.children.append(child)
        return child

    def end_child(self, child):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def clean(self):
        for child in reversed(self.children):
            self.end_child(child)
        shutil.rmtree(self.folder, ignore_errors=True)

    def bench(self, *words, timeout=900):
        """The figures of `muster bench WORDS`; its stderr is ours only where it fails."""
        command = [MUSTER, 'bench', *[str(word) for word in words], '--json']
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, check=False,
                              env={**os.environ, 'TMPDIR': self.folder})
        if done.returncode != 0:
            sys.exit(f'{" ".join(command)}: {done.stderr}')
        return json.loads(done.stdout)

    def row(self, what, figure, target='', good=None):
        """A figure, its target, and whether that is met; None = there is none."""
        if self.quick and good is not None:
            target, good = '', None  # it is for the full size
        verdict = '' if good is None else 'met' if good else 'MISSED'
        self.missed += good is False
        print(f'  {what:<66} {figure:>24}  {target:<22} {verdict}', flush=True)
        if self.options.markdown:  # at once: what fails later takes nothing back
            with open(self.options.markdown, 'a', encoding='utf-8') as file:
                file.write(f'| {what} | {figure} | {target}{" (missed)" if good is False else ""}'
                           f' | `{self.command}` |\n')

    def end(self):
        sys.exit(MISSED if self.missed else 0)
