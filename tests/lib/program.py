"""`muster agent` and other programs of ours as processes that a test starts and ends."""

import os
import signal
import subprocess
import tempfile

from lib.conductor import MUSTER, clean_env


class Program:
    """`muster ARGS`, with its standard error in .log()."""

    def __init__(self, *args, port=None, http=None, env=None, stdin=subprocess.DEVNULL, stderr=None,
                 prefix=(), **kwargs):
        places = ([f'muster://127.0.0.1:{port}'] if port else []) + \
                 ([f'http://127.0.0.1:{http}'] if http else [])
        env = dict(env or {}, **({'MUSTER_CONDUCTOR': ','.join(places)} if places else {}))
        self.err = tempfile.TemporaryFile()
        self.process = subprocess.Popen([*prefix, MUSTER, *args], stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=stderr or self.err, env=clean_env(env), **kwargs)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return os.pread(self.err.fileno(), 1 << 20, 0).decode(errors='replace')

    def signal(self, signum):
        self.process.send_signal(signum)

    def stop(self, patience=10):
        """An orderly end. Returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(patience)

    def wait(self, patience=20):
        return self.process.wait(patience)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdout.close()
        self.err.close()
